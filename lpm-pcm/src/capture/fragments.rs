//! Reassembly of IP fragments, in bounded memory.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use etherparse::defrag::IpDefragBuf;
use etherparse::{IpFragOffset, IpNumber};
use foldhash::fast::FixedState;
use foldhash::{HashSet, HashSetExt};

use super::bytes::be_u16;
use super::rsvp::{RSVP, UDP_PORTS};

/// How many datagrams are reassembled at a time. Each takes up to 64 KiB; beyond this number the
/// oldest is given up.
const MAX_DATAGRAMS: usize = 64;

/// How long the fragments of a datagram are waited for, by the clock of what comes in (RFC 8200
/// §4.5).
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How many different fragments of a datagram are told from others: as many as there can be.
const MAX_PIECES: usize = 1 << 13;

/// What the fragments of a datagram have in common. Not the interface or the direction: they may
/// come on several, and what a router takes in and sends on is captured twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FragmentId {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: IpNumber,
    pub(crate) identification: u32,
    /// The VLAN tags that they came with.
    pub(crate) tags: u64,
}

/// A fragment of an IP datagram.
pub(crate) struct Fragment<'a> {
    pub(crate) id: FragmentId,
    pub(crate) offset: IpFragOffset,
    pub(crate) more: bool,
    pub(crate) bytes: &'a [u8],
    /// The packet that it is, where they are counted, and when it came.
    pub(crate) packet: u64,
    pub(crate) time: SystemTime,
}

/// An RSVP message of which fragments are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incomplete {
    /// The packet that brought the first of its fragments, counted from 1.
    pub packet: u64,
    /// When that packet was captured.
    pub time: SystemTime,
    /// IP source address.
    pub source: IpAddr,
    /// IP destination address.
    pub destination: IpAddr,
    /// How many fragments there are.
    pub fragments: u64,
    /// How many bytes there are, of those behind the IP header.
    pub bytes: usize,
}

/// The datagrams whose fragments have not all been seen.
#[derive(Default)]
pub(crate) struct Reassembler {
    /// The oldest first.
    datagrams: Vec<Datagram>,
    /// Those that were completed lately, the oldest first.
    completed: VecDeque<Completed>,
    given_up: VecDeque<Incomplete>,
}

struct Datagram {
    id: FragmentId,
    packet: u64,
    started: SystemTime,
    bytes: IpDefragBuf,
    pieces: HashSet<Piece>,
    /// How many fragments have come.
    fragments: u64,
}

/// What was in a datagram, to tell its fragments when they come a second time.
struct Completed {
    id: FragmentId,
    time: SystemTime,
    pieces: HashSet<Piece>,
}

/// Where a fragment lies, and a hash of what is in it.
type Piece = (u16, u64);

impl Reassembler {
    /// Takes a fragment; returns the payload of the datagram that it completes.
    pub(crate) fn add(&mut self, fragment: &Fragment<'_>) -> Option<Vec<u8>> {
        self.forget_expired(fragment.time);
        let position = self.position_of(fragment);
        let datagram = &mut self.datagrams[position];
        let offset = fragment.offset;
        datagram.fragments += 1;
        if datagram.pieces.len() < MAX_PIECES {
            let hash = FixedState::default().hash_one(fragment.bytes);
            datagram.pieces.insert((offset.value(), hash));
        }
        let added = datagram.bytes.add(offset, fragment.more, fragment.bytes);
        if added.is_err() {
            // Fragments that contradict each other: none of them can be trusted.
            self.give_up(position);
            return None;
        }
        datagram.bytes.is_complete().then(|| {
            let datagram = self.datagrams.remove(position);
            if self.completed.len() == MAX_DATAGRAMS {
                self.completed.pop_front();
            }
            self.completed.push_back(Completed {
                id: datagram.id,
                time: fragment.time,
                pieces: datagram.pieces,
            });
            datagram.bytes.take_bufs().0
        })
    }

    /// A message that was given up; each is told once.
    pub(crate) fn given_up(&mut self) -> Option<Incomplete> {
        self.given_up.pop_front()
    }

    /// Gives up all that is not complete.
    pub(super) fn finish(&mut self) {
        while !self.datagrams.is_empty() {
            self.give_up(0);
        }
    }

    /// The datagram that a fragment belongs to, started when there is none.
    fn position_of(&mut self, fragment: &Fragment<'_>) -> usize {
        let known = self
            .datagrams
            .iter()
            .position(|datagram| datagram.id == fragment.id);
        known.unwrap_or_else(|| {
            if self.datagrams.len() == MAX_DATAGRAMS {
                self.give_up(0);
            }
            self.datagrams.push(Datagram {
                id: fragment.id.clone(),
                packet: fragment.packet,
                started: fragment.time,
                bytes: IpDefragBuf::new(fragment.id.protocol, Vec::new(), Vec::new()),
                pieces: HashSet::new(),
                fragments: 0,
            });
            self.datagrams.len() - 1
        })
    }

    /// Gives up what was waited for for too long.
    pub(crate) fn forget_expired(&mut self, now: SystemTime) {
        let is_expired =
            |time: SystemTime| now.duration_since(time).is_ok_and(|age| age > TIME_LIMIT);
        while let Some(position) = self
            .datagrams
            .iter()
            .position(|datagram| is_expired(datagram.started))
        {
            self.give_up(position);
        }
        while self
            .completed
            .front()
            .is_some_and(|first| is_expired(first.time))
        {
            self.completed.pop_front();
        }
    }

    fn give_up(&mut self, position: usize) {
        let datagram = self.datagrams.remove(position);
        if !datagram.is_rsvp() || self.has_come_before(&datagram) {
            return;
        }
        let sections = datagram.bytes.sections().iter();
        self.given_up.push_back(Incomplete {
            packet: datagram.packet,
            time: datagram.started,
            source: datagram.id.source,
            destination: datagram.id.destination,
            fragments: datagram.fragments,
            bytes: sections
                .map(|section| usize::from(section.end - section.start))
                .sum(),
        });
    }

    /// Whether all of its fragments are those of a datagram that was completed: captured twice.
    fn has_come_before(&self, datagram: &Datagram) -> bool {
        let mut completed = self.completed.iter();
        completed.any(|completed| {
            completed.id == datagram.id && datagram.pieces.is_subset(&completed.pieces)
        })
    }
}

impl Datagram {
    /// Whether it is known to be an RSVP message.
    fn is_rsvp(&self) -> bool {
        match self.id.protocol {
            RSVP => true,
            IpNumber::UDP => {
                let has_start = self.pieces.iter().any(|(offset, _)| *offset == 0);
                let port = be_u16(self.bytes.data(), 2).filter(|_| has_start);
                port.is_some_and(|port| UDP_PORTS.contains(&port))
            }
            _ => false,
        }
    }
}
