//! The grammar of RFC 2205 §3.1.3 to §3.1.9: which objects, how often, in which order.

use crate::class::{self, UnknownClass};
use crate::error::{ErrorKind, ParseError};
use crate::header::MessageType;
use crate::intserv::AdSpec;
use crate::message::Message;
use crate::object::{Object, RawObject};
use crate::objects::{
    Challenge, DClass, DsbmTimerIntervals, ErrorSpec, FilterSpec, Integrity, L2Address, MessageId,
    MessageIdAck, MessageIdList, NonResvSendLimit, ResvConfirm, ResvStyle, RsvpHop, SbmAddress,
    SbmPriority, Scope, Session, SessionPort, SourceSelector, TimeValues, TrafficClass,
};
use crate::policy::{PolicyData, PolicyElement};

/// How much a sender is forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Strictness {
    /// Accept what RFC 2205 tells receivers to accept and what real senders are known to do:
    /// any order where none binds; in ResvErr, ResvTear and ResvConf a FLOWSPEC behind its
    /// FILTER_SPEC; a ResvConf without flow descriptors; POLICY_DATA where no policy applies.
    #[default]
    Lenient,
    /// Accept only what a sender should send: the order of the grammar, ascending SCOPE
    /// lists, and also whole and legal IntServ and policy data.
    Strict,
}

/// Checks the objects of a message whose type has a grammar in RFC 2205.
pub(crate) fn check(message: Message<'_>, strictness: Strictness) -> Result<(), ParseError> {
    let Some(grammar) = Grammar::of(message.message_type(), strictness) else {
        return check_other(message, strictness);
    };
    // Read first, wherever it lies: the senders are checked against it.
    let session = message
        .find(class::SESSION)
        .map(RawObject::read)
        .transpose()?;
    let mut seen = 0_u16;
    let mut last_rank = 0;
    let mut flows: Option<FlowList> = None;
    for (position, object) in message.objects().enumerate() {
        match object.class {
            class::SESSION => {}
            class::FILTER_SPEC | class::SENDER_TEMPLATE => check_sender(object, session)?,
            _ => check_object(object, strictness)?,
        }
        if object.class == class::NULL || object.class > class::RESV_CONFIRM {
            continue;
        }
        let bit = bit(object.class);
        if grammar.allowed & bit == 0 {
            let kind = ErrorKind::NotAllowed {
                message: grammar.message,
            };
            return Err(object.fault(0, kind));
        }
        if seen & bit != 0 && REPEATED & bit == 0 {
            return Err(object.fault(0, ErrorKind::Duplicate));
        }
        seen |= bit;
        if object.class == class::INTEGRITY && position != 0 {
            let expected = "INTEGRITY follows the common header";
            return Err(object.fault(0, ErrorKind::Misplaced { expected }));
        }
        match (&mut flows, object.class) {
            (None, class::STYLE) => flows = Some(FlowList::new(object.read()?, &grammar)),
            (Some(flows), class::FLOWSPEC) => flows.flow_spec(object)?,
            (Some(flows), class::FILTER_SPEC) => flows.filter(object)?,
            (None, class::FLOWSPEC | class::FILTER_SPEC) => {
                let expected = "STYLE comes before the flow descriptors";
                return Err(object.fault(0, ErrorKind::Misplaced { expected }));
            }
            (Some(_), _) => {
                let expected = "STYLE and the flow descriptors come last";
                return Err(object.fault(0, ErrorKind::Misplaced { expected }));
            }
            (None, _) => {}
        }
        if strictness == Strictness::Strict {
            let rank = rank(object.class);
            if rank < last_rank {
                let expected = "the order of the grammar";
                return Err(object.fault(0, ErrorKind::Misplaced { expected }));
            }
            last_rank = rank;
        }
    }
    let end = crate::wire::clamp(message.bytes().len());
    if let Some(class) = (0..16).find(|class| grammar.required & !seen & bit(*class) != 0) {
        let kind = ErrorKind::Missing {
            message: grammar.message,
            class,
        };
        return Err(ParseError::message(end, kind));
    }
    flows.map_or(Ok(()), |flows| flows.finish(end))
}

/// Checks the messages of RFC 2747, RFC 2814 and RFC 2961: that what must be there is, and
/// that INTEGRITY comes first. Other types have no grammar here.
fn check_other(message: Message<'_>, strictness: Strictness) -> Result<(), ParseError> {
    let required: &[u8] = match message.message_type() {
        MessageType::IntegrityChallenge => &[class::CHALLENGE],
        MessageType::IntegrityResponse => &[class::INTEGRITY, class::CHALLENGE],
        MessageType::Ack => &[class::MESSAGE_ID_ACK],
        MessageType::Srefresh => &[class::MESSAGE_ID_LIST],
        MessageType::DsbmWilling => &[
            class::DSBM_IP_ADDRESS,
            class::RSVP_HOP_L2,
            class::SBM_PRIORITY,
        ],
        MessageType::IAmDsbm => &[
            class::DSBM_IP_ADDRESS,
            class::RSVP_HOP_L2,
            class::SBM_PRIORITY,
            class::DSBM_TIMER_INTERVALS,
        ],
        _ => return Ok(()),
    };
    for (position, object) in message.objects().enumerate() {
        check_object(object, strictness)?;
        if object.class == class::INTEGRITY && position != 0 {
            let expected = "INTEGRITY follows the common header";
            return Err(object.fault(0, ErrorKind::Misplaced { expected }));
        }
    }
    match required
        .iter()
        .find(|class| message.find(**class).is_none())
    {
        Some(class) => {
            let kind = ErrorKind::Missing {
                message: message.message_type(),
                class: *class,
            };
            Err(ParseError::message(
                crate::wire::clamp(message.bytes().len()),
                kind,
            ))
        }
        None => Ok(()),
    }
}

/// The objects of one message type, as sets of classes 1 to 15.
struct Grammar {
    message: MessageType,
    required: u16,
    allowed: u16,
    strictness: Strictness,
}

const fn bit(class: u8) -> u16 {
    match 1_u16.checked_shl(class as u32) {
        Some(bit) => bit,
        None => 0,
    }
}

const fn set(classes: &[u8]) -> u16 {
    match classes {
        [] => 0,
        [class, rest @ ..] => bit(*class) | set(rest),
    }
}

/// Classes that may occur more than once in a message.
const REPEATED: u16 = set(&[class::POLICY_DATA, class::FLOWSPEC, class::FILTER_SPEC]);
const SENDER: u16 = set(&[class::SENDER_TEMPLATE, class::SENDER_TSPEC, class::ADSPEC]);
const FLOWS: u16 = set(&[class::FLOWSPEC, class::FILTER_SPEC]);

impl Grammar {
    fn of(message: MessageType, strictness: Strictness) -> Option<Grammar> {
        use class::{
            ERROR_SPEC, INTEGRITY, POLICY_DATA, RESV_CONFIRM, RSVP_HOP, SCOPE, SENDER_TEMPLATE,
            SENDER_TSPEC, SESSION, STYLE, TIME_VALUES,
        };
        let (required, optional) = match message {
            MessageType::Path => (
                set(&[
                    SESSION,
                    RSVP_HOP,
                    TIME_VALUES,
                    SENDER_TEMPLATE,
                    SENDER_TSPEC,
                ]),
                set(&[POLICY_DATA]) | SENDER,
            ),
            MessageType::Resv => (
                set(&[SESSION, RSVP_HOP, TIME_VALUES, STYLE]),
                set(&[RESV_CONFIRM, SCOPE, POLICY_DATA]) | FLOWS,
            ),
            MessageType::PathErr => (set(&[SESSION, ERROR_SPEC]), set(&[POLICY_DATA]) | SENDER),
            MessageType::ResvErr => (
                set(&[SESSION, RSVP_HOP, ERROR_SPEC, STYLE]),
                set(&[SCOPE, POLICY_DATA]) | FLOWS,
            ),
            MessageType::PathTear => (set(&[SESSION, RSVP_HOP]), SENDER),
            MessageType::ResvTear => (set(&[SESSION, RSVP_HOP, STYLE]), set(&[SCOPE]) | FLOWS),
            MessageType::ResvConf => (set(&[SESSION, ERROR_SPEC, RESV_CONFIRM, STYLE]), FLOWS),
            _ => return None,
        };
        let forgiven = match strictness {
            Strictness::Lenient => set(&[POLICY_DATA]),
            Strictness::Strict => 0,
        };
        let allowed = required | optional | forgiven | set(&[INTEGRITY]);
        Some(Grammar {
            message,
            required,
            allowed,
            strictness,
        })
    }
}

/// Place of a class in the grammar; the messages do not differ in it.
const fn rank(class: u8) -> u8 {
    match class {
        class::INTEGRITY => 0,
        class::SESSION => 1,
        class::RSVP_HOP => 2,
        class::TIME_VALUES => 3,
        class::ERROR_SPEC => 4,
        class::RESV_CONFIRM => 5,
        class::SCOPE => 6,
        class::POLICY_DATA => 7,
        class::SENDER_TEMPLATE => 8,
        class::SENDER_TSPEC => 9,
        class::ADSPEC => 10,
        class::STYLE => 11,
        _ => 12,
    }
}

/// The flow descriptor list of a style, fed object by object (RFC 2205 §3.1.4, §3.1.8).
struct FlowList {
    style: ResvStyle,
    message: MessageType,
    /// FLOWSPEC and FILTER_SPEC must come in the order of the grammar.
    ordered: bool,
    flow_specs: u16,
    filters: u16,
    /// The last object was a FLOWSPEC, which wants a FILTER_SPEC.
    pending: bool,
}

impl FlowList {
    fn new(style: ResvStyle, grammar: &Grammar) -> FlowList {
        let ordered = match grammar.message {
            MessageType::Resv => true,
            // The FLOWSPECs of a ResvTear are ignored and may be left out.
            MessageType::ResvTear => false,
            _ => grammar.strictness == Strictness::Strict,
        };
        let message = grammar.message;
        FlowList {
            style,
            message,
            ordered,
            flow_specs: 0,
            filters: 0,
            pending: false,
        }
    }

    fn flow_spec(&mut self, object: RawObject<'_>) -> Result<(), ParseError> {
        let fault = |expected| Err(object.fault(0, ErrorKind::FlowDescriptors { expected }));
        match self.style {
            ResvStyle::WildcardFilter if self.flow_specs > 0 => {
                return fault("WF has one FLOWSPEC");
            }
            ResvStyle::SharedExplicit if self.flow_specs > 0 => {
                return fault("SE has one FLOWSPEC");
            }
            ResvStyle::FixedFilter if self.ordered && self.pending => {
                return fault("FF has a FILTER_SPEC after each FLOWSPEC");
            }
            _ => {}
        }
        self.flow_specs = self.flow_specs.saturating_add(1);
        self.pending = true;
        Ok(())
    }

    fn filter(&mut self, object: RawObject<'_>) -> Result<(), ParseError> {
        let fault = |expected| Err(object.fault(0, ErrorKind::FlowDescriptors { expected }));
        match self.style {
            ResvStyle::WildcardFilter => return fault("WF has no FILTER_SPEC"),
            ResvStyle::FixedFilter | ResvStyle::SharedExplicit
                if self.ordered && self.flow_specs == 0 =>
            {
                return fault("FF and SE begin with a FLOWSPEC");
            }
            ResvStyle::FixedFilter if self.message == MessageType::ResvErr && self.filters > 0 => {
                return fault("a ResvErr has one flow descriptor");
            }
            _ => {}
        }
        self.filters = self.filters.saturating_add(1);
        self.pending = false;
        Ok(())
    }

    /// Checks that the list is complete, at offset `end`.
    fn finish(&self, end: u16) -> Result<(), ParseError> {
        let fault = |expected| {
            Err(ParseError::message(
                end,
                ErrorKind::FlowDescriptors { expected },
            ))
        };
        if let ResvStyle::Unknown(_) = self.style {
            return Ok(());
        }
        let empty = self.flow_specs == 0 && self.filters == 0;
        let wildcard = self.style == ResvStyle::WildcardFilter;
        match self.message {
            MessageType::ResvErr if empty => return Ok(()),
            MessageType::ResvConf if empty && !self.ordered => return Ok(()),
            MessageType::ResvTear => {}
            _ if self.flow_specs == 0 => return fault("a FLOWSPEC is missing"),
            _ => {}
        }
        if !wildcard && (self.filters == 0 || self.ordered && self.pending) {
            return fault("a FILTER_SPEC is missing");
        }
        Ok(())
    }
}

/// Checks what one object says by itself. FLOWSPEC, ADSPEC and POLICY_DATA are opaque to RSVP
/// (RFC 2205 §3.10), as is the content of SENDER_TSPEC.
#[inline]
fn check_object(object: RawObject<'_>, strictness: Strictness) -> Result<(), ParseError> {
    let strict = strictness == Strictness::Strict;
    match object.class {
        class::RSVP_HOP => object.read::<RsvpHop>().map(drop),
        class::TIME_VALUES => object.read::<TimeValues>().map(drop),
        class::ERROR_SPEC => object.read::<ErrorSpec>().map(drop),
        class::SCOPE => {
            let scope = object.read::<Scope<'_>>()?;
            if strict && !scope.is_ascending() {
                return Err(object.value(0, "SCOPE list", "ascending addresses", 0_u32));
            }
            Ok(())
        }
        class::STYLE => object.read::<ResvStyle>().map(drop),
        class::RESV_CONFIRM => object.read::<ResvConfirm>().map(drop),
        class::INTEGRITY => object.read::<Integrity<'_>>().map(drop),
        class::SENDER_TSPEC if object.c_type != 2 => Err(object.unknown_c_type()),
        class::SENDER_TSPEC if strict => object.read::<crate::Tspec>().map(drop),
        class::FLOWSPEC if strict => object.read::<crate::FlowSpec<'_>>()?.service().map(drop),
        class::ADSPEC if strict => object.read::<AdSpec<'_>>()?.general().map(drop),
        class::POLICY_DATA if strict => {
            let data = object.read::<PolicyData<'_>>()?;
            for option in data.options() {
                option?;
            }
            data.elements().try_for_each(|element| match element? {
                PolicyElement::AuthUser(identity) | PolicyElement::AuthApp(identity) => identity
                    .attributes()
                    .try_for_each(|attribute| attribute.map(drop)),
                _ => Ok(()),
            })
        }
        class::MESSAGE_ID => object.read::<MessageId>().map(drop),
        class::MESSAGE_ID_ACK => object.read::<MessageIdAck>().map(drop),
        class::MESSAGE_ID_LIST => object.read::<MessageIdList<'_>>().map(drop),
        class::DSBM_IP_ADDRESS | class::LAN_NHOP_L3 | class::LAN_LOOPBACK => {
            object.read::<SbmAddress>().map(drop)
        }
        class::RSVP_HOP_L2 | class::LAN_NHOP_L2 => object.read::<L2Address>().map(drop),
        class::SBM_PRIORITY => object.read::<SbmPriority>().map(drop),
        class::DSBM_TIMER_INTERVALS => object.read::<DsbmTimerIntervals>().map(drop),
        class::NON_RESV_SEND_LIMIT => object.read::<NonResvSendLimit>().map(drop),
        class::TCLASS => object.read::<TrafficClass>().map(drop),
        class::CHALLENGE => object.read::<Challenge>().map(drop),
        class::DCLASS => object.read::<DClass<'_>>().map(drop),
        other if class::name(other).is_none() => match UnknownClass::rule(other) {
            UnknownClass::RejectMessage => Err(object.fault(2, ErrorKind::UnknownClass)),
            UnknownClass::Ignore | UnknownClass::Forward => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Checks a sender, and that it goes with the session: address family, ports or GPI
/// (RFC 2205 §3.2, RFC 2207 §4.1).
fn check_sender(object: RawObject<'_>, session: Option<Session>) -> Result<(), ParseError> {
    let sender = FilterSpec::parse(object)?;
    let Some(session) = session else {
        return Ok(());
    };
    let conflict = |expected| Err(object.fault(0, ErrorKind::Conflict { expected }));
    if sender.address().is_ipv4() != session.address().is_ipv4() {
        return conflict(if session.address().is_ipv4() {
            "IPv4"
        } else {
            "IPv6"
        });
    }
    match (session.port(), sender.selector()) {
        (SessionPort::Virtual(_), SourceSelector::Gpi(_)) => Ok(()),
        (SessionPort::Virtual(_), _) => conflict("a GPI"),
        (SessionPort::Port(_), SourceSelector::Gpi(_)) => conflict("a port"),
        (SessionPort::Port(0), SourceSelector::Port(port)) if port != 0 => {
            let at = object.body.len().saturating_sub(2);
            Err(object.value(at, "SrcPort", "0, as DstPort is,", port))
        }
        _ => Ok(()),
    }
}
