//! Which messages speak of the same flow.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use lpm_rsvp::{FilterSpec, FlowDescriptor, Message, MessageType, ResvStyle, Session};

/// What tells a flow from every other.
///
/// What a sender announces (Path) and what receivers reserve (Resv) are flows of their own, told
/// apart as RSVP tells its state apart (RFC 2209 section 1): a Path by session and sender; a Resv
/// by session and next hop, and by sender where every sender has a reservation of its own (FF).
///
/// Sorts by session, then sender. With the feature `serde` it can be written and read back, for
/// state that is [handed over](crate::Lpm::hand_over).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parts")
)]
pub struct FlowKey {
    session: Session,
    sender: Option<FilterSpec>,
    next_hop: Option<IpAddr>,
}

/// A [`FlowKey`] as it is read back: any parts.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parts {
    session: Session,
    sender: Option<FilterSpec>,
    next_hop: Option<IpAddr>,
}

#[cfg(feature = "serde")]
impl TryFrom<Parts> for FlowKey {
    type Error = &'static str;

    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        match (parts.sender, parts.next_hop) {
            (Some(sender), None) => Ok(Self::path(parts.session, sender)),
            (Some(sender), Some(next_hop)) => Ok(Self::distinct(parts.session, sender, next_hop)),
            (None, Some(next_hop)) => Ok(Self::shared(parts.session, next_hop)),
            (None, None) => Err("a flow has a sender, a next hop or both"),
        }
    }
}

/// Which way a flow goes, seen from the one who asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// It is sent: announced with a Path.
    Sends,
    /// It is received: reserved with a Resv.
    Receives,
}

impl FlowKey {
    /// The flow that a sender announces.
    #[must_use]
    pub fn path(session: Session, sender: FilterSpec) -> Self {
        Self {
            session: plain(session),
            sender: Some(sender),
            next_hop: None,
        }
    }

    /// A next hop's reservation for one sender (FF).
    #[must_use]
    pub fn distinct(session: Session, sender: FilterSpec, next_hop: IpAddr) -> Self {
        Self {
            session: plain(session),
            sender: Some(sender),
            next_hop: Some(next_hop),
        }
    }

    /// A next hop's reservation that senders share (SE, WF).
    #[must_use]
    pub fn shared(session: Session, next_hop: IpAddr) -> Self {
        Self {
            session: plain(session),
            sender: None,
            next_hop: Some(next_hop),
        }
    }

    /// The flow that a flow descriptor of a Path, Resv, PathTear or ResvTear is about.
    ///
    /// `None` if the message lacks the objects that say so, or has a style that RFC 2205 does not
    /// know.
    #[must_use]
    pub fn of(message: &Message<'_>, descriptor: &FlowDescriptor<'_>) -> Option<Self> {
        let session = message.session()?;
        let sender = descriptor.filters().next();
        match message.message_type() {
            MessageType::Path | MessageType::PathTear => Some(Self::path(session, sender?)),
            MessageType::Resv | MessageType::ResvTear => {
                let next_hop = message.hop()?.address;
                match (message.style()?, sender) {
                    (ResvStyle::FixedFilter, Some(sender)) => {
                        Some(Self::distinct(session, sender, next_hop))
                    }
                    (ResvStyle::SharedExplicit, Some(_)) | (ResvStyle::WildcardFilter, _) => {
                        Some(Self::shared(session, next_hop))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Before every flow of the same session, in the order of keys.
    #[must_use]
    pub fn start_of_session(&self) -> Self {
        Self {
            session: self.session,
            sender: None,
            next_hop: None,
        }
    }

    /// Whether the flow is announced by a sender or reserved by a receiver.
    #[must_use]
    pub fn direction(&self) -> Direction {
        if self.next_hop.is_none() {
            Direction::Sends
        } else {
            Direction::Receives
        }
    }

    /// Whether both flows are of one session.
    #[must_use]
    pub fn is_of_session(&self, of: &Self) -> bool {
        self.session == of.session
    }

    /// The session, without its flags.
    #[must_use]
    pub const fn session(&self) -> Session {
        self.session
    }

    /// The sender; `None` for a reservation that senders share.
    #[must_use]
    pub fn sender(&self) -> Option<FilterSpec> {
        self.sender
    }
}

/// Takes few and short words, since flows are looked up for every message.
impl Hash for FlowKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.session.hash(state);
        if let Some(sender) = self.sender {
            sender.hash(state);
        }
        match self.next_hop {
            Some(IpAddr::V4(address)) => state.write_u32(address.to_bits()),
            Some(IpAddr::V6(address)) => state.write_u128(address.to_bits()),
            None => {}
        }
    }
}

/// The session without its flags: E_Police changes from hop to hop (RFC 2205 section A.1).
fn plain(session: Session) -> Session {
    session.with_flags(0)
}
