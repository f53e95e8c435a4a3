//! Reassembly of IP fragments, in bounded memory.

use std::time::{Duration, SystemTime};

use etherparse::defrag::{IpDefragBuf, IpFragId};
use etherparse::{IpFragOffset, IpNumber};

/// How many datagrams are reassembled at a time. Each takes up to 64 KiB; beyond this number the
/// oldest is given up.
const MAX_DATAGRAMS: usize = 64;

/// How long the fragments of a datagram are waited for, by the clock of the capture (RFC 8200 §4.5).
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// A fragment of an IP datagram.
pub(super) struct Fragment<'a> {
    /// What it has in common with the other fragments of its datagram.
    pub(super) id: IpFragId<u32>,
    pub(super) offset: IpFragOffset,
    pub(super) more: bool,
    pub(super) bytes: &'a [u8],
    /// When it was captured.
    pub(super) time: SystemTime,
}

/// The datagrams whose fragments have not all been seen.
#[derive(Default)]
pub(super) struct Reassembler {
    /// The oldest first.
    datagrams: Vec<Datagram>,
    given_up: Vec<(IpNumber, u64)>,
}

struct Datagram {
    id: IpFragId<u32>,
    started: SystemTime,
    bytes: IpDefragBuf,
}

impl Reassembler {
    /// Takes a fragment; returns protocol and payload of the datagram that it completes.
    pub(super) fn add(&mut self, fragment: Fragment<'_>) -> Option<(IpNumber, Vec<u8>)> {
        self.give_up_expired(fragment.time);
        let position = self.position_of(&fragment);
        let datagram = &mut self.datagrams[position];
        let added = datagram
            .bytes
            .add(fragment.offset, fragment.more, fragment.bytes);
        if added.is_err() {
            // Fragments that contradict each other: none of them can be trusted.
            self.give_up(position);
            return None;
        }
        datagram.bytes.is_complete().then(|| {
            let datagram = self.datagrams.remove(position);
            let protocol = datagram.bytes.ip_number();
            (protocol, datagram.bytes.take_bufs().0)
        })
    }

    /// How many datagrams of `protocol` have been given up or are not complete.
    pub(super) fn incomplete(&self, protocol: IpNumber) -> u64 {
        let waiting = self
            .datagrams
            .iter()
            .map(|datagram| datagram.bytes.ip_number());
        let given_up = self
            .given_up
            .iter()
            .filter(|(number, _)| *number == protocol);
        waiting.filter(|number| *number == protocol).count() as u64
            + given_up.map(|(_, count)| count).sum::<u64>()
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
                started: fragment.time,
                bytes: IpDefragBuf::new(fragment.id.payload_ip_number, Vec::new(), Vec::new()),
            });
            self.datagrams.len() - 1
        })
    }

    fn give_up_expired(&mut self, now: SystemTime) {
        let expired = |datagram: &Datagram| {
            now.duration_since(datagram.started)
                .is_ok_and(|age| age > TIME_LIMIT)
        };
        while let Some(position) = self.datagrams.iter().position(expired) {
            self.give_up(position);
        }
    }

    fn give_up(&mut self, position: usize) {
        let protocol = self.datagrams.remove(position).bytes.ip_number();
        match self
            .given_up
            .iter_mut()
            .find(|(number, _)| *number == protocol)
        {
            Some((_, count)) => *count += 1,
            None => self.given_up.push((protocol, 1)),
        }
    }
}
