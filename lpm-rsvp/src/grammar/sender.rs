//! SESSION and senders that must go together: address family, ports or GPI (RFC 2205 §3.2,
//! RFC 2207 §4.1).

use super::object::has_fixed_length;
use crate::class;
use crate::error::{ErrorKind, ParseError};
use crate::message::Message;
use crate::object::{Object, RawObject};
use crate::objects::{FilterSpec, Session, SessionPort, SourceSelector};

/// What the SESSION of a message asks of its senders.
#[derive(Clone, Copy)]
pub(super) struct SenderRule<'a> {
    session: Option<RawObject<'a>>,
    /// C-Types of senders that go with the session, as bits; none before it is known.
    types: u8,
    /// DstPort is 0, so each SrcPort has to be.
    no_port: bool,
    /// A sender came before the session.
    late: bool,
}

impl<'a> SenderRule<'a> {
    pub(super) const fn new() -> Self {
        SenderRule {
            session: None,
            types: 0,
            no_port: false,
            late: false,
        }
    }

    #[inline]
    pub(super) fn session(&mut self, object: RawObject<'a>) -> Result<(), ParseError> {
        let Some((address, [protocol, _, port @ ..])) = object.body.split_last_chunk::<4>() else {
            return object.read::<Session>().map(drop);
        };
        let legal = has_fixed_length(object)
            && address.iter().any(|byte| *byte != 0)
            && *protocol != 0
            && (object.c_type <= 2 || *port != [0, 0]);
        if !legal {
            object.read::<Session>()?;
        }
        self.types = match object.c_type {
            1 => 1 << 1,
            2 => 1 << 2 | 1 << 3,
            3 => 1 << 4,
            _ => 1 << 5,
        };
        self.no_port = object.c_type <= 2 && *port == [0, 0];
        self.session = Some(object);
        Ok(())
    }

    #[inline]
    pub(super) fn check(&mut self, object: RawObject<'_>) -> Result<(), ParseError> {
        let goes_along = u32::from(self.types).checked_shr(object.c_type.into());
        if goes_along.is_some_and(|bits| bits & 1 != 0)
            && has_fixed_length(object)
            && (!self.no_port || matches!(object.body, [.., 0, 0]))
        {
            return Ok(());
        }
        self.late |= self.session.is_none();
        self.look_closer(object)
    }

    /// Finds the fault, if there is one.
    #[cold]
    #[inline(never)]
    fn look_closer(self, object: RawObject<'_>) -> Result<(), ParseError> {
        match self.session {
            Some(session) => check_sender(object, session.read()?),
            None => FilterSpec::parse(object).map(drop),
        }
    }

    /// Whether senders were read that are not checked against the session.
    pub(super) const fn is_late(self) -> bool {
        self.late
    }

    #[cold]
    #[inline(never)]
    pub(super) fn check_all(self, message: Message<'_>) -> Result<(), ParseError> {
        let Some(session) = self.session else {
            return Ok(());
        };
        let session = session.read()?;
        message
            .objects()
            .filter(|object| matches!(object.class, class::FILTER_SPEC | class::SENDER_TEMPLATE))
            .try_for_each(|object| check_sender(object, session))
    }
}

fn check_sender(object: RawObject<'_>, session: Session) -> Result<(), ParseError> {
    let sender = FilterSpec::parse(object)?;
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
