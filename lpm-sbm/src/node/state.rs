//! What a node keeps of a session.

use std::net::IpAddr;
use std::time::Duration;

use lpm_api::{FlowKey, Interface, Priority};
use lpm_rsvp::{FilterSpec, ResvStyle, RsvpHop, ServiceRequest, Session};
use smallvec::SmallVec;

use super::deadlines::{Moment, Neighbour};
use super::few::Few;
use super::output::{Datagram, Route};
use crate::lifetime::Life;
use crate::message_ids::KeptId;
use crate::state::Senders;

/// Everything about a session.
#[derive(Debug, Default)]
pub(crate) struct SessionState {
    /// By sender.
    pub(crate) paths: Few<FilterSpec, PathState>,
    pub(crate) resvs: Few<FlowKey, ResvState>,
    /// What is asked of each previous hop.
    pub(crate) upstream: Few<Neighbour, Upstream>,
    pub(crate) blockades: Vec<Blockade>,
}

/// A sender: a PSB of RFC 2209.
#[derive(Debug)]
pub(crate) struct PathState {
    pub(crate) said: Box<[u8]>,
    /// Where it came in.
    pub(crate) interface: Interface,
    pub(crate) hop: RsvpHop,
    /// The TTL with which it came in.
    pub(crate) ttl: u8,
    /// Whether some node before this one does not speak RSVP.
    pub(crate) is_non_rsvp: bool,
    /// Whether the previous hop knows of MESSAGE_IDs.
    pub(crate) is_capable: bool,
    /// The MESSAGE_ID of the message that made it, or refreshed it last.
    pub(crate) id: KeptId,
    pub(crate) life: Life,
    pub(crate) route: Option<Route>,
    /// What is sent from time to time; `None` before the LPMs were asked, and where they want
    /// nothing sent.
    pub(crate) outgoing: Option<Outgoing>,
    /// What names it to the next hop.
    pub(crate) name: Option<u32>,
    pub(crate) refresh_at: Moment,
    pub(crate) look: Moment,
    /// Which of its changes this is.
    pub(crate) version: u64,
}

/// A Path as it goes on: what of its datagram is not the sender's or the session's.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) interface: u32,
    pub(crate) ttl: u8,
    pub(crate) bytes: Box<[u8]>,
}

/// A reservation that a next hop asks for: an RSB of RFC 2209.
#[derive(Clone, Debug)]
pub(crate) struct ResvState {
    pub(crate) said: Box<[u8]>,
    /// In ascending order; empty for any.
    pub(crate) senders: Senders,
    /// On which interface the resources are.
    pub(crate) interface: Interface,
    pub(crate) hop: RsvpHop,
    pub(crate) style: ResvStyle,
    pub(crate) service: ServiceRequest,
    pub(crate) priority: Priority,
    pub(crate) scope: Box<[IpAddr]>,
    /// As for a Path.
    pub(crate) is_capable: bool,
    pub(crate) id: KeptId,
    pub(crate) life: Life,
    pub(crate) look: Moment,
    /// Whether the kernel has what it asks for.
    pub(crate) is_reserved: bool,
    /// Which of its changes this is.
    pub(crate) version: u64,
}

/// What is asked of a previous hop.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) wanted: Wanted,
    /// As for a Path.
    pub(crate) outgoing: Option<Box<[u8]>>,
    pub(crate) name: Option<u32>,
    pub(crate) look: Moment,
    pub(crate) version: u64,
}

/// Objects of which there is one nearly always.
pub(crate) type PassedOn = SmallVec<[Box<[u8]>; 1]>;

/// A merged request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) style: ResvStyle,
    /// One for each sender in FF, else one for all. No senders for any.
    pub(crate) flows: SmallVec<[(ServiceRequest, Senders); 1]>,
    pub(crate) scope: Box<[IpAddr]>,
    /// What the previous hop calls its interface.
    pub(crate) logical_interface: u32,
    /// The POLICY_DATA that next hops sent, and objects that this node does not know.
    pub(crate) passed_on: PassedOn,
}

/// A request that failed upstream, and is not to keep lesser ones from succeeding (RFC 2205 §3.5).
#[derive(Clone, Debug)]
pub(crate) struct Blockade {
    /// `None` for any sender.
    pub(crate) sender: Option<FilterSpec>,
    pub(crate) previous_hop: IpAddr,
    pub(crate) service: ServiceRequest,
    pub(crate) until: Duration,
}

/// What the kernel was last told about a reservation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Installed {
    pub(crate) number: u64,
    pub(crate) interface: u32,
    pub(crate) senders: Senders,
    pub(crate) service: ServiceRequest,
}

impl SessionState {
    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.resvs.is_empty() && self.upstream.is_empty()
    }

    /// The senders whose data goes out by this interface.
    pub(crate) fn senders_by(&self, interface: u32) -> impl Iterator<Item = &FilterSpec> {
        let by = Some(Route::Out(interface));
        let paths = self.paths.iter();
        paths.filter_map(move |(sender, path)| (path.route == by).then_some(sender))
    }
}

impl Wanted {
    /// One of the senders, if they are named.
    pub(crate) fn sender(&self) -> Option<&FilterSpec> {
        self.flows.first()?.1.first()
    }
}

impl Outgoing {
    pub(crate) fn datagram(&self, session: Session, sender: &FilterSpec) -> Datagram {
        Datagram {
            interface: self.interface,
            source: sender.address(),
            destination: session.address(),
            ttl: self.ttl,
            router_alert: true,
            bytes: self.bytes.to_vec(),
        }
    }
}

impl PathState {
    pub(crate) fn previous_hop(&self) -> Neighbour {
        Neighbour {
            address: self.hop.address,
            interface: self.interface.index,
        }
    }
}

impl ResvState {
    pub(crate) fn next_hop(&self) -> Neighbour {
        Neighbour {
            address: self.hop.address,
            interface: self.interface.index,
        }
    }

    /// Whether it is for this sender, whose data goes this way.
    pub(crate) fn is_for(&self, sender: &FilterSpec, path: &PathState) -> bool {
        path.route == Some(Route::Out(self.interface.index))
            && (self.senders.is_empty() || self.senders.binary_search(sender).is_ok())
    }
}
