//! What waits: for answers of LPMs, or for the messages before it about the same flow.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::SystemTime;

use foldhash::{HashMap, HashMapExt};
use lpm_api::FlowKey;
use lpm_rsvp::{FilterSpec, Session};

use super::deadlines::Neighbour;
use super::output::{Datagram, Packet};
use super::state::ResvState;
use crate::reservations::Change;

/// Messages that are taken in one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Channel {
    /// About a sender's data.
    Path(Session, FilterSpec),
    /// From a next hop.
    Resv(Session, IpAddr),
}

/// A packet that waits.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    interface: u32,
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    pub(crate) bytes: Vec<u8>,
    received: SystemTime,
    integrity_verified: bool,
}

impl From<&Packet<'_>> for Held {
    fn from(packet: &Packet<'_>) -> Self {
        Self {
            interface: packet.interface,
            source: packet.source,
            destination: packet.destination,
            ttl: packet.ttl,
            bytes: packet.bytes.to_vec(),
            received: packet.received,
            integrity_verified: packet.integrity_verified,
        }
    }
}

impl Held {
    pub(crate) fn packet(&self) -> Packet<'_> {
        Packet {
            interface: self.interface,
            source: self.source,
            destination: self.destination,
            ttl: self.ttl,
            bytes: &self.bytes,
            received: self.received,
            integrity_verified: self.integrity_verified,
        }
    }
}

/// What an answer of LPMs is for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Whether this message is granted.
    Received(Held),
    /// What goes into this message.
    Outgoing(Target),
}

/// A message that LPMs are asked what goes into it.
#[derive(Debug)]
pub(crate) enum Target {
    /// The Path of a sender.
    Path(Session, FilterSpec, u64),
    /// The Resv for a previous hop, and whom to confirm.
    Upstream(Session, Neighbour, u64, Option<IpAddr>),
    /// An error message, with the POLICY_DATA that it came with.
    Error(Session, Datagram, Vec<Vec<u8>>),
}

/// A change of a reservation that the kernel is making.
#[derive(Debug)]
pub(crate) struct Reserving {
    pub(crate) flow: FlowKey,
    pub(crate) version: u64,
    pub(crate) change: Change,
    /// What was there before, and stays if it fails.
    pub(crate) before: Option<ResvState>,
    pub(crate) confirm: Option<IpAddr>,
    pub(crate) channel: Channel,
}

/// All that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Those that something of is under way, with the messages after it.
    channels: HashMap<Channel, Line>,
    asked: HashMap<u64, Asked>,
    reserving: HashMap<u64, Reserving>,
    held: usize,
    max: usize,
}

#[derive(Debug, Default)]
struct Line {
    /// How many answers the message that is under way waits for.
    open: usize,
    /// What it has got meanwhile, and previous hops have not heard of: flows, the versions of their
    /// state, and whom to confirm.
    in_force: Vec<InForce>,
    messages: VecDeque<Held>,
}

pub(crate) type InForce = (FlowKey, u64, Option<IpAddr>);

impl Waiting {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            channels: HashMap::new(),
            asked: HashMap::new(),
            reserving: HashMap::new(),
            held: 0,
            max,
        }
    }

    /// Whether there is room for one more question about a message that came in.
    pub(crate) fn has_room(&self) -> bool {
        self.asked.len() + self.held < self.max
    }

    /// Has a message wait if another one of its channel is under way. `None`: it is its turn; else
    /// whether there was room.
    pub(crate) fn line_up(&mut self, channel: Channel, packet: &Packet<'_>) -> Option<bool> {
        let has_room = self.has_room();
        let line = self.channels.get_mut(&channel)?;
        let last = line.messages.back();
        if last.is_some_and(|last| last.bytes == packet.bytes) {
            return Some(true);
        }
        if has_room {
            line.messages.push_back(packet.into());
            self.held += 1;
        }
        Some(has_room)
    }

    /// The message of a channel that is under way waits for one more answer.
    pub(crate) fn open(&mut self, channel: Channel) {
        self.channels.entry(channel).or_default().open += 1;
    }

    /// One of these answers came. Whether it was the last.
    pub(crate) fn close(&mut self, channel: Channel) -> bool {
        match self.channels.get_mut(&channel) {
            Some(line) => {
                line.open = line.open.saturating_sub(1);
                line.open == 0
            }
            None => false,
        }
    }

    /// A flow of the message that is under way has what it asks for.
    pub(crate) fn in_force(&mut self, channel: Channel, flow: InForce) {
        self.channels
            .entry(channel)
            .or_default()
            .in_force
            .push(flow);
    }

    /// The flows that have, once.
    pub(crate) fn all_in_force(&mut self, channel: Channel) -> Vec<InForce> {
        let line = self.channels.get_mut(&channel);
        line.map(|line| std::mem::take(&mut line.in_force))
            .unwrap_or_default()
    }

    /// The next message of a channel of which nothing is under way.
    pub(crate) fn next(&mut self, channel: Channel) -> Option<Held> {
        let line = self.channels.get_mut(&channel)?;
        if line.open > 0 {
            return None;
        }
        let next = line.messages.pop_front();
        match next {
            Some(_) => self.held -= 1,
            None => drop(self.channels.remove(&channel)),
        }
        next
    }

    pub(crate) fn ask(&mut self, id: u64, asked: Asked) {
        self.asked.insert(id, asked);
    }

    pub(crate) fn answered(&mut self, id: u64) -> Option<Asked> {
        self.asked.remove(&id)
    }

    pub(crate) fn reserve(&mut self, id: u64, reserving: Reserving) {
        self.reserving.insert(id, reserving);
    }

    pub(crate) fn reserved(&mut self, id: u64) -> Option<Reserving> {
        self.reserving.remove(&id)
    }
}
