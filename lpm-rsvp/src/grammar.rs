//! The grammar of messages: which objects, how often, in which order (RFC 2205 §3.1.3 to
//! §3.1.9, and the messages of RFC 2747, 2814 and 2961).
//!
//! A message is checked in one pass, object by object. What may come next is a set of classes;
//! an object outside of it is refused, and only then is found out which rule it breaks. Most
//! messages need not come so far: see [`usual`].

mod object;
mod sender;
pub(crate) mod usual;

use self::object::check_object;
use self::sender::SenderRule;
use crate::class;
use crate::error::{ErrorKind, ParseError};
use crate::message::Message;
use crate::message_type::MessageType;
use crate::object::RawObject;
use crate::objects::ResvStyle;
use crate::wire;

/// How much a sender is forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Strictness {
    /// Accept what RFC 2205 tells receivers to accept and what real senders are known to do:
    /// any order where none binds; in ResvErr, ResvTear and ResvConf a FLOWSPEC behind its
    /// FILTER_SPEC; a ResvConf without flow descriptors; POLICY_DATA where no policy applies; a
    /// minimum policed unit of 0, as Cisco IOS sends it. Flag bits of INTEGRITY never matter.
    #[default]
    Lenient,
    /// Accept only what a sender should send: the order of the grammar, ascending SCOPE
    /// lists, and also whole and legal IntServ and policy data; what RFC 2814 and 2961 add, in
    /// its place.
    Strict,
}

/// Classes 1 to 15 as bits.
type Set = u16;

/// No bit for NULL and for classes above 15, which have no place in the grammar.
const fn bit(class: u8) -> Set {
    match 1_u16.checked_shl(class as u32) {
        Some(bit) => bit & !1,
        None => 0,
    }
}

const fn set(classes: &[u8]) -> Set {
    match classes {
        [] => 0,
        [class, rest @ ..] => bit(*class) | set(rest),
    }
}

const INTEGRITY: Set = bit(class::INTEGRITY);
const FLOW_SPEC: Set = bit(class::FLOWSPEC);
const FILTER: Set = bit(class::FILTER_SPEC);
const FLOWS: Set = FLOW_SPEC | FILTER;
const SENDER: Set = set(&[class::SENDER_TEMPLATE, class::SENDER_TSPEC, class::ADSPEC]);
/// Classes that may occur more than once in a message.
const REPEATED: Set = bit(class::POLICY_DATA) | FLOWS;

/// What a message type must and may have.
struct Rules {
    required: Set,
    allowed: Set,
    /// Classes that may not come twice.
    once: Set,
    /// Required classes above 15.
    also_required: &'static [u8],
}

impl Rules {
    /// A message of RFC 2205: nothing but these, flow objects only behind STYLE.
    const fn base(required: Set, optional: Set) -> Self {
        Self {
            required,
            allowed: required | optional | INTEGRITY,
            once: !REPEATED,
            also_required: &[],
        }
    }

    /// A message that may also carry anything else.
    const fn other(required: Set, also_required: &'static [u8]) -> Self {
        Self {
            required,
            allowed: Set::MAX,
            once: 0,
            also_required,
        }
    }

    /// `None` for message types that are indexed only.
    fn of(message: MessageType) -> Option<&'static Self> {
        use class::{
            CHALLENGE, DSBM_IP_ADDRESS, DSBM_TIMER_INTERVALS, ERROR_SPEC, MESSAGE_ID_ACK,
            MESSAGE_ID_LIST, POLICY_DATA, RESV_CONFIRM, RSVP_HOP, RSVP_HOP_L2, SBM_PRIORITY, SCOPE,
            SENDER_TEMPLATE, SENDER_TSPEC, SESSION, STYLE, TIME_VALUES,
        };
        const POLICY: Set = bit(POLICY_DATA);
        const PATH: Set = set(&[
            SESSION,
            RSVP_HOP,
            TIME_VALUES,
            SENDER_TEMPLATE,
            SENDER_TSPEC,
        ]);
        const RESV: Set = set(&[SESSION, RSVP_HOP, TIME_VALUES, STYLE]);
        const RESV_OPTIONS: Set = set(&[RESV_CONFIRM, SCOPE]) | POLICY | FLOWS;
        const PATH_ERR: Set = set(&[SESSION, ERROR_SPEC]);
        const RESV_ERR: Set = set(&[SESSION, RSVP_HOP, ERROR_SPEC, STYLE]);
        const RESV_TEAR: Set = set(&[SESSION, RSVP_HOP, STYLE]);
        const RESV_CONF: Set = set(&[SESSION, ERROR_SPEC, RESV_CONFIRM, STYLE]);
        const WILLING: &[u8] = &[DSBM_IP_ADDRESS, RSVP_HOP_L2, SBM_PRIORITY];
        const I_AM: &[u8] = &[
            DSBM_IP_ADDRESS,
            RSVP_HOP_L2,
            SBM_PRIORITY,
            DSBM_TIMER_INTERVALS,
        ];
        Some(match message {
            MessageType::Path => &const { Self::base(PATH, POLICY | SENDER) },
            MessageType::Resv => &const { Self::base(RESV, RESV_OPTIONS) },
            MessageType::PathErr => &const { Self::base(PATH_ERR, POLICY | SENDER) },
            MessageType::ResvErr => &const { Self::base(RESV_ERR, bit(SCOPE) | POLICY | FLOWS) },
            MessageType::PathTear => &const { Self::base(set(&[SESSION, RSVP_HOP]), SENDER) },
            MessageType::ResvTear => &const { Self::base(RESV_TEAR, bit(SCOPE) | FLOWS) },
            MessageType::ResvConf => &const { Self::base(RESV_CONF, FLOWS) },
            MessageType::IntegrityChallenge => &const { Self::other(0, &[CHALLENGE]) },
            MessageType::IntegrityResponse => &const { Self::other(INTEGRITY, &[CHALLENGE]) },
            MessageType::Ack => &const { Self::other(0, &[MESSAGE_ID_ACK]) },
            MessageType::Srefresh => &const { Self::other(0, &[MESSAGE_ID_LIST]) },
            MessageType::DsbmWilling => &const { Self::other(0, WILLING) },
            MessageType::IAmDsbm => &const { Self::other(0, I_AM) },
            _ => return None,
        })
    }
}

/// The check of one message; fed its objects one after another. Small, and handed to the rare
/// cases as a copy, so that it stays in registers.
#[derive(Clone, Copy)]
pub(crate) struct Check<'a, const STRICT: bool> {
    message: MessageType,
    rules: &'static Rules,
    once: Set,
    seen: Set,
    /// What may come next.
    open: Set,
    /// What may come behind an object that is not a flow object.
    head: Set,
    after_flow_spec: Set,
    after_filter: Set,
    /// The last of the flow objects was a FLOWSPEC, which wants a FILTER_SPEC.
    pending: bool,
    /// FLOWSPEC and FILTER_SPEC must come in the order of the grammar.
    ordered: bool,
    style: Option<ResvStyle>,
    senders: SenderRule<'a>,
}

impl<'a, const STRICT: bool> Check<'a, STRICT> {
    /// `None` for message types that are indexed only.
    #[inline]
    pub(crate) fn new(message: MessageType) -> Option<Self> {
        let rules = Rules::of(message)?;
        let forgiven = if STRICT { 0 } else { bit(class::POLICY_DATA) };
        let allowed = rules.allowed | forgiven;
        // The flow objects of RFC 2205 wait for the STYLE that says what may come.
        let (head, flows) = if rules.once == 0 {
            (allowed & !INTEGRITY, allowed & !INTEGRITY)
        } else {
            (allowed & !INTEGRITY & !FLOWS, 0)
        };
        Some(Check {
            message,
            rules,
            once: rules.once,
            seen: 0,
            open: head | INTEGRITY,
            head,
            after_flow_spec: flows,
            after_filter: flows,
            pending: false,
            ordered: match message {
                MessageType::Resv => true,
                // The FLOWSPECs of a ResvTear are ignored and may be left out.
                MessageType::ResvTear => false,
                _ => STRICT,
            },
            style: None,
            senders: SenderRule::new(),
        })
    }

    /// Checks the next object.
    #[inline]
    pub(crate) fn object(&mut self, object: RawObject<'a>) -> Result<(), ParseError> {
        let this = bit(object.class);
        if self.open & this == 0 {
            self.open &= !INTEGRITY;
            return self.look_closer(object);
        }
        let mut next = self.head;
        match object.class {
            class::SESSION => self.senders.session(object)?,
            class::SENDER_TEMPLATE => self.senders.check(object)?,
            class::FILTER_SPEC => {
                self.senders.check(object)?;
                self.pending = false;
                next = self.after_filter;
            }
            class::FLOWSPEC => {
                if STRICT {
                    check_object(object, STRICT)?;
                }
                self.pending = true;
                next = self.after_flow_spec;
            }
            class::STYLE => {
                self.style(object)?;
                next = self.open;
            }
            _ => check_object(object, STRICT)?,
        }
        self.seen |= this;
        self.open = next & !(self.seen & self.once);
        if STRICT && self.once != 0 {
            self.open &= not_before(object.class);
        }
        Ok(())
    }

    /// Begins the flow descriptor list.
    #[inline]
    fn style(&mut self, object: RawObject<'_>) -> Result<(), ParseError> {
        let style: ResvStyle = object.read()?;
        if self.once == 0 {
            return Ok(());
        }
        self.once |= match style {
            ResvStyle::WildcardFilter | ResvStyle::SharedExplicit => FLOW_SPEC,
            ResvStyle::FixedFilter if self.message == MessageType::ResvErr => FILTER,
            ResvStyle::FixedFilter | ResvStyle::Unknown(_) => 0,
        };
        let flows = match style {
            ResvStyle::WildcardFilter => FLOW_SPEC,
            _ => FLOWS,
        };
        self.ordered &= !matches!(style, ResvStyle::Unknown(_));
        let (first, second) = if self.ordered {
            (FLOW_SPEC, FILTER)
        } else {
            (FLOWS, FLOWS)
        };
        self.open = first & flows;
        self.after_flow_spec = second & flows;
        self.after_filter = flows;
        // Nothing else comes behind the list.
        self.head = 0;
        self.style = Some(style);
        Ok(())
    }

    /// Checks an object that has no place in the grammar, or refuses it.
    #[cold]
    #[inline(never)]
    fn look_closer(self, object: RawObject<'a>) -> Result<(), ParseError> {
        if object.class != class::NULL && object.class <= class::RESV_CONFIRM {
            return Err(self.refuse(object));
        }
        if STRICT {
            self.check_place(object)?;
        }
        check_object(object, STRICT)
    }
}

impl<const STRICT: bool> Check<'_, STRICT> {
    /// Checks the place of an object of RFC 2814 or 2961.
    fn check_place(self, object: RawObject<'_>) -> Result<(), ParseError> {
        let seen = |set| self.seen & set != 0;
        let kind = match object.class {
            class::MESSAGE_ID if self.message == MessageType::Ack => ErrorKind::NotAllowed {
                message: self.message,
            },
            class::MESSAGE_ID | class::MESSAGE_ID_ACK if seen(!INTEGRITY) => ErrorKind::Misplaced {
                expected: "MESSAGE_ID objects come before all but INTEGRITY",
            },
            class::RSVP_HOP_L2 | class::LAN_NHOP_L2 | class::LAN_NHOP_L3 | class::LAN_LOOPBACK
                if seen(bit(class::SESSION)) =>
            {
                ErrorKind::Misplaced {
                    expected: "layer 2 objects come before SESSION",
                }
            }
            _ => return Ok(()),
        };
        Err(object.fault(0, kind))
    }

    /// Checks what can be said only at the end of the message.
    #[inline]
    pub(crate) fn finish(self, message: Message<'_>) -> Result<(), ParseError> {
        let rules = self.rules;
        if self.senders.is_late() {
            self.senders.check_all(message)?;
        }
        if rules.required & !self.seen != 0 || !rules.also_required.is_empty() {
            self.find_missing(message)?;
        }
        match self.style {
            Some(style) => match self.unfinished(style) {
                None => Ok(()),
                Some(expected) => Err(at_end(message, ErrorKind::FlowDescriptors { expected })),
            },
            None => Ok(()),
        }
    }

    #[cold]
    #[inline(never)]
    fn find_missing(self, message: Message<'_>) -> Result<(), ParseError> {
        let missing = self.rules.required & !self.seen;
        let missing = (0..16).find(|class| missing & bit(*class) != 0);
        let mut others = self.rules.also_required.iter().copied();
        match missing.or_else(|| others.find(|class| message.find(*class).is_none())) {
            None => Ok(()),
            Some(class) => {
                let message_type = self.message;
                let kind = ErrorKind::Missing {
                    message: message_type,
                    class,
                };
                Err(at_end(message, kind))
            }
        }
    }

    /// What the flow descriptor list lacks.
    #[inline]
    fn unfinished(self, style: ResvStyle) -> Option<&'static str> {
        let may_be_empty = match self.message {
            MessageType::ResvErr => true,
            MessageType::ResvConf => !self.ordered,
            _ => false,
        };
        let has = |class| self.seen & class != 0;
        if matches!(style, ResvStyle::Unknown(_)) || may_be_empty && !has(FLOWS) {
            None
        } else if !has(FLOW_SPEC) && self.message != MessageType::ResvTear {
            Some("a FLOWSPEC is missing")
        } else if style != ResvStyle::WildcardFilter
            && (!has(FILTER) || self.ordered && self.pending)
        {
            Some("a FILTER_SPEC is missing")
        } else {
            None
        }
    }

    /// The rule that an object breaks which may not come here.
    #[cold]
    #[inline(never)]
    fn refuse(self, object: RawObject<'_>) -> ParseError {
        let this = bit(object.class);
        let misplaced = |expected| ErrorKind::Misplaced { expected };
        let flows = |expected| ErrorKind::FlowDescriptors { expected };
        let forgiven = if STRICT { 0 } else { bit(class::POLICY_DATA) };
        let kind = if (self.rules.allowed | forgiven) & this == 0 {
            ErrorKind::NotAllowed {
                message: self.message,
            }
        } else if self.seen & this & !REPEATED != 0 {
            ErrorKind::Duplicate
        } else if this == INTEGRITY {
            misplaced("INTEGRITY follows the common header")
        } else {
            match (self.style, FLOWS & this != 0) {
                (None, true) => misplaced("STYLE comes before the flow descriptors"),
                (None, false) => misplaced("the order of the grammar"),
                (Some(_), false) => misplaced("STYLE and the flow descriptors come last"),
                (Some(style), true) => flows(match (style, this == FLOW_SPEC) {
                    (ResvStyle::WildcardFilter, true) => "WF has one FLOWSPEC",
                    (ResvStyle::WildcardFilter, false) => "WF has no FILTER_SPEC",
                    (ResvStyle::SharedExplicit, true) => "SE has one FLOWSPEC",
                    (_, true) => "FF has a FILTER_SPEC after each FLOWSPEC",
                    (ResvStyle::FixedFilter, false) if self.seen & FILTER != 0 => {
                        "a ResvErr has one flow descriptor"
                    }
                    (_, false) => "FF and SE begin with a FLOWSPEC",
                }),
            }
        };
        object.fault(0, kind)
    }
}

fn at_end(message: Message<'_>, kind: ErrorKind) -> ParseError {
    ParseError::message(wire::clamp(message.bytes().len()), kind)
}

/// The classes that the grammar does not put before this one; the messages do not differ in it.
const fn not_before(class: u8) -> Set {
    const ORDER: [u8; 12] = [
        class::INTEGRITY,
        class::SESSION,
        class::RSVP_HOP,
        class::TIME_VALUES,
        class::ERROR_SPEC,
        class::RESV_CONFIRM,
        class::SCOPE,
        class::POLICY_DATA,
        class::SENDER_TEMPLATE,
        class::SENDER_TSPEC,
        class::ADSPEC,
        class::STYLE,
    ];
    let mut rest: &[u8] = &ORDER;
    while let [first, after @ ..] = rest {
        if *first == class {
            return set(rest) | FLOWS;
        }
        rest = after;
    }
    FLOWS
}
