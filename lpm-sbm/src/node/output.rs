//! What goes into a node, and what it wants done.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use lpm_api::{CommitDecision, Decision, DeleteReason, FlowKey, Interface, Priority};
use lpm_rsvp::{FilterSpec, MessageType, ServiceRequest, Session};

use crate::config::SbmConfig;
use crate::refusal::Refusal;

/// A datagram with an RSVP message that came in.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The number of the interface it came in on.
    pub interface: u32,
    /// Its source address.
    pub source: IpAddr,
    /// Its destination address.
    pub destination: IpAddr,
    /// The TTL or hop limit with which it came in.
    pub ttl: u8,
    /// The RSVP message.
    pub bytes: &'a [u8],
    /// When it came in, for LPMs.
    pub received: SystemTime,
    /// Whether its INTEGRITY object was verified.
    pub integrity_verified: bool,
}

/// What a node wants done, in this order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send a datagram.
    Send(Datagram),
    /// Ask the LPMs. The answer goes to [`Node::decided`](crate::Node::decided) or
    /// [`Node::supplied`](crate::Node::supplied).
    Ask(Question),
    /// Tell the LPMs.
    Tell(Notice),
    /// Change reservations. The answer goes to [`Node::reserved`](crate::Node::reserved).
    Reserve(Command),
    /// Put on record what was decided.
    Record(Decided),
    /// Count a message that announces a longer refresh period than
    /// [`SbmConfig::max_refresh`](crate::SbmConfig::max_refresh), and is taken to announce that.
    Bounded {
        /// The interface it came in on.
        interface: u32,
        /// Where it came from.
        source: IpAddr,
        /// The period that it announces.
        announced: Duration,
    },
    /// Count a datagram that was not taken in.
    Dropped {
        /// The interface it came in on.
        interface: u32,
        /// Where it came from.
        source: IpAddr,
        /// Why.
        reason: DropReason,
    },
}

/// The TTL of messages between neighbours.
pub(crate) const TTL: u8 = 64;

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The interface it goes out on.
    pub interface: u32,
    /// Its source: the sender's of the data for a Path, this node's for others.
    pub source: IpAddr,
    /// Its destination.
    pub destination: IpAddr,
    /// Its TTL or hop limit.
    pub ttl: u8,
    /// Whether it has a Router Alert option.
    pub router_alert: bool,
    /// The RSVP message, with its checksum.
    pub bytes: Vec<u8>,
}

impl Datagram {
    /// A message between neighbours, from this node's own address.
    pub(super) fn to_neighbour(own: Interface, to: IpAddr, bytes: Vec<u8>) -> Self {
        Self {
            interface: own.index,
            source: own.address,
            destination: to,
            ttl: TTL,
            router_alert: false,
            bytes,
        }
    }
}

/// A question for LPMs.
#[derive(Clone, Debug)]
pub struct Question {
    /// What the answer is given with.
    pub id: u64,
    /// The session it is about. Questions and notices about one are asked in order.
    pub session: Session,
    /// What is asked.
    pub about: About,
}

/// What LPMs are asked.
#[derive(Clone, Debug)]
pub enum About {
    /// Whether a message may have what it asks for.
    Received {
        /// The message.
        bytes: Vec<u8>,
        /// The interface it came in on.
        interface: Interface,
        /// When.
        received: SystemTime,
        /// Whether its INTEGRITY object was verified.
        integrity_verified: bool,
    },
    /// Which POLICY_DATA goes into a message.
    Outgoing {
        /// The message without policy data.
        bytes: Vec<u8>,
        /// The interface it goes out on.
        interface: Interface,
        /// How many bytes there is room for.
        room: u32,
    },
}

/// What LPMs are told.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The session it is about.
    pub session: Session,
    /// A message that names the flow.
    pub bytes: Vec<u8>,
    /// The interface that the flow's messages come in on.
    pub interface: Interface,
    /// What they are told.
    pub news: News,
}

/// What LPMs are told of a flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum News {
    /// The message is a teardown that came in.
    Torn {
        /// When.
        received: SystemTime,
    },
    /// State is gone for this reason.
    Gone(DeleteReason),
    /// Resources were reserved.
    Committed {
        /// New or changed.
        decision: CommitDecision,
        /// What is reserved: the merged requests of all next hops.
        merged: ServiceRequest,
    },
}

/// A change of a reservation in the kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// What the answer is given with.
    pub id: u64,
    /// The reservation; the same in all commands about it, and never used again.
    pub reservation: u64,
    /// The interface.
    pub interface: u32,
    /// What is to be there; `None` for nothing.
    pub wanted: Option<Reserved>,
}

/// What a reservation is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Reserved {
    /// Where the traffic goes.
    pub session: Session,
    /// Where it comes from; empty for anywhere.
    pub senders: Vec<FilterSpec>,
    /// The resources, which all senders share.
    pub service: ServiceRequest,
}

/// A decision for the record.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The type of the message that was decided on.
    pub message: MessageType,
    /// The session.
    pub session: Session,
    /// The flow, where it is one that state is kept of.
    pub flow: Option<FlowKey>,
    /// What it came to.
    pub outcome: Ruling,
}

/// What became of a flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ruling {
    /// Policy grants it, with this priority, and what it asks for is there.
    Granted(Priority),
    /// Policy does not grant it.
    Denied(Decision),
    /// Policy grants it, and this node cannot.
    Refused(Refusal),
    /// Policy grants it, and the kernel does not reserve it.
    NotReserved,
    /// Its state is removed.
    Removed(DeleteReason),
}

impl Ruling {
    /// What became of the flow, in snake_case.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Granted(_) => "granted",
            Self::Denied(Decision::Reject(_)) => "denied",
            Self::Denied(_) => "dropped",
            Self::Refused(_) => "refused",
            Self::NotReserved => "not_reserved",
            Self::Removed(_) => "removed",
        }
    }
}

/// Why a datagram was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DropReason {
    /// It is no RSVP message, or not a legal one.
    Malformed,
    /// It came in on an interface that RSVP does not run on.
    Interface,
    /// It is for another node, and of a type that goes from node to node.
    NotForUs,
    /// It is this node's own.
    Loop,
    /// Its TTL is used up.
    TtlExhausted,
    /// Its port is 0, and that of its senders is not (RFC 2205 §3.2).
    Ports,
    /// The logical interface in it is none of this node's.
    LogicalInterface,
    /// There is no state that it is about.
    NoState,
    /// A message that was sent after it has come before it (RFC 2961 §4.5).
    OutOfOrder,
    /// A type that this node does not take in.
    Unsupported,
    /// As many messages wait for decisions as may.
    Busy,
}

impl DropReason {
    /// The reason in snake_case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Interface => "interface",
            Self::NotForUs => "not_for_us",
            Self::Loop => "loop",
            Self::TtlExhausted => "ttl_exhausted",
            Self::Ports => "ports",
            Self::LogicalInterface => "logical_interface",
            Self::NoState => "no_state",
            Self::OutOfOrder => "out_of_order",
            Self::Unsupported => "unsupported",
            Self::Busy => "busy",
        }
    }
}

/// An interface that RSVP runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInterface {
    /// Its number, from 1.
    pub index: u32,
    /// Its addresses, the first of each family first.
    pub addresses: Vec<IpAddr>,
    /// The longest packet, in bytes.
    pub mtu: u32,
}

impl NodeInterface {
    /// The address that stands for it in messages of this family.
    #[must_use]
    pub fn address(&self, like: IpAddr) -> Option<IpAddr> {
        let mut addresses = self.addresses.iter();
        addresses
            .find(|address| address.is_ipv4() == like.is_ipv4())
            .copied()
    }
}

/// Where packets for an address go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To this node.
    Local,
    /// Out by this interface.
    Out(u32),
}

/// The kernel's routes.
pub trait Routes {
    /// Where packets from `source` to `destination` go; `None` if nowhere.
    fn route(&mut self, destination: IpAddr, source: IpAddr) -> Option<Route>;
}

/// What a node is told about itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeConfig {
    /// State, its timers and the bandwidth of interfaces. A Resv always needs Path state.
    pub sbm: SbmConfig,
    /// R: how often this node refreshes state in its neighbours.
    pub refresh: Duration,
    /// Kb: for how many of these a reservation that failed upstream is left out of what is asked
    /// there (RFC 2205 §3.5).
    pub blockade_periods: u32,
    /// How many messages may wait for decisions, all together.
    pub max_waiting: usize,
    /// What jitter is made from. Nodes that start together have better different ones.
    pub seed: u64,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            sbm: SbmConfig::default(),
            refresh: Duration::from_secs(30),
            blockade_periods: 2,
            max_waiting: 4_096,
            seed: 0,
        }
    }
}
