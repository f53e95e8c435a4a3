//! What a node keeps, for people and programs that look at it from outside.

use lpm_rsvp::{Message, ObjectIndex, PolicyElement};
use serde::Serialize;

use super::state::{PathState, ResvState, SessionState};
use crate::bandwidth::rate;
use crate::node::Node;

/// A session that there is state of. Serialized in snake_case, as all of this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionReport {
    /// The session.
    pub session: String,
    /// Its senders.
    pub senders: Vec<SenderReport>,
    /// What next hops ask for.
    pub reservations: Vec<ReservationReport>,
}

/// A sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SenderReport {
    /// Its address and port.
    pub sender: String,
    /// Who the Path says that it is; empty for nobody.
    pub users: Vec<String>,
    /// The address of the previous hop.
    pub previous_hop: String,
    /// The number of the interface that it comes in on.
    pub interface: u32,
}

/// What a next hop asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReservationReport {
    /// The address of the next hop.
    pub next_hop: String,
    /// The number of the interface that it is reserved on.
    pub interface: u32,
    /// FF, SE or WF.
    pub style: String,
    /// The senders; empty for any.
    pub senders: Vec<String>,
    /// Who the Resv says that it is; empty for nobody.
    pub users: Vec<String>,
    /// In bit/s.
    pub rate: u64,
    /// The priority that policy gave it.
    pub priority: u16,
    /// Whether the kernel has reserved it, or was not to.
    pub is_reserved: bool,
}

impl<R> Node<R> {
    /// All sessions, in order.
    pub fn report(&self) -> Vec<SessionReport> {
        let sessions = self
            .sessions
            .iter()
            .map(|(session, kept)| (session, &**kept));
        let mut sessions: Vec<_> = sessions.collect();
        sessions.sort_unstable_by_key(|(session, _)| **session);
        let report = |(session, kept): (&lpm_rsvp::Session, &SessionState)| {
            let senders = kept.paths.iter();
            SessionReport {
                session: session.to_string(),
                senders: senders
                    .map(|(sender, path)| of_path(sender, path))
                    .collect(),
                reservations: kept.resvs.values().map(of_resv).collect(),
            }
        };
        sessions.into_iter().map(report).collect()
    }
}

fn of_path(sender: &lpm_rsvp::FilterSpec, path: &PathState) -> SenderReport {
    SenderReport {
        sender: sender.to_string(),
        users: users(&path.said),
        previous_hop: path.hop.address.to_string(),
        interface: path.interface.index,
    }
}

fn of_resv(resv: &ResvState) -> ReservationReport {
    ReservationReport {
        next_hop: resv.hop.address.to_string(),
        interface: resv.interface.index,
        style: resv.style.to_string(),
        senders: resv.senders.iter().map(ToString::to_string).collect(),
        users: users(&resv.said),
        rate: rate(&resv.service),
        priority: resv.priority.value(),
        is_reserved: resv.is_reserved,
    }
}

/// Who a message says that it is.
fn users(said: &[u8]) -> Vec<String> {
    let mut index = ObjectIndex::new();
    let Ok(message) = Message::parse(said, &mut index) else {
        return Vec::new();
    };
    let elements = message.policy_elements().map_while(Result::ok);
    elements
        .filter_map(|element| match element {
            PolicyElement::AuthUser(identity) => identity.locator().map(|name| name.to_string()),
            _ => None,
        })
        .collect()
}
