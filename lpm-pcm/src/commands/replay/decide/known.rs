//! Messages that came before, byte for byte, as most do.
//!
//! One that comes again is found by its bytes. Then it is not read, its flow's state is found
//! without a look for it, and of its row only packet and time are written anew. LPMs are asked all
//! the same, for their reasons, too, and what they say now counts. A refresh with the identity LPM
//! takes 5 660 instructions, of which 2 460 are the LPM's; before this, and what came with it in
//! the SBM, it took 8 600.
//!
//! There is at most one for each flow of which state is kept, the last that came, and a number of
//! those that were refused. What is signed is not kept: no two such messages are alike, and a copy
//! must be refused.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use lpm_api::Interface;
use lpm_host::FlowVerdict;
use lpm_rsvp::{Message, ObjectEntry};
use lpm_sbm::{PathState, Receipt};

use super::coming::Coming;
use crate::integrity::Provenance;
use crate::output::printer::PrintedRow;

/// What is longer, in bytes, is read every time, so that memory is bounded by the number of flows.
const LONGEST: usize = 1024;

/// How many messages are kept at most of those that take turns.
const IN_TURNS: u32 = 1 << 14;

/// Messages that came before.
#[derive(Default)]
pub(super) struct KnownMessages {
    /// Each in its place.
    messages: Vec<Option<Box<Known>>>,
    /// Those places, by the messages' bytes.
    places: HashTable<u32>,
    hasher: RandomState,
    /// The place that was given out last in turns.
    turns: u32,
}

/// A message that came before.
pub(super) struct Known {
    hash: u64,
    /// Where it is kept.
    place: u32,
    bytes: Box<[u8]>,
    entries: Box<[ObjectEntry]>,
    counted_flows: Option<u32>,
    source: IpAddr,
    destination: IpAddr,
    interface: Interface,
    pub(super) integrity: Provenance,
    /// If there is state that says the same.
    pub(super) receipt: Option<Receipt>,
    pub(super) row: Option<KnownRow>,
}

/// The row of a refresh.
pub(super) struct KnownRow {
    pub(super) printed: PrintedRow,
    /// What it says that of: the same message may be decided otherwise.
    pub(super) decided: Decided,
}

/// What a row says besides what is in the message.
#[derive(PartialEq)]
pub(super) struct Decided {
    pub(super) verdict: FlowVerdict,
    pub(super) path: Option<PathState>,
    pub(super) reason: Option<String>,
}

impl KnownMessages {
    /// The message with these bytes, if it came from there before, until it is [given
    /// back](Self::give_back).
    pub(super) fn take(&mut self, coming: &Coming<'_>, bytes: &[u8]) -> Option<Box<Known>> {
        if coming.captured.outgoing || bytes.len() > LONGEST {
            return None;
        }
        let place = self.place(self.hasher.hash_one(bytes))?;
        let known = self.messages.get_mut(place as usize)?;
        known.take_if(|known| known.is(coming, bytes))
    }

    /// Puts a message back in its place.
    pub(super) fn give_back(&mut self, known: Box<Known>) {
        let place = known.place as usize;
        self.messages[place] = Some(known);
    }

    /// Keeps a message instead of the one that was kept first, if there are many, or of one with
    /// the same bytes that came from elsewhere.
    pub(super) fn put_in_turn(
        &mut self,
        coming: &Coming<'_>,
        message: &Message<'_>,
        integrity: Provenance,
    ) {
        let like = self.place(self.hasher.hash_one(message.bytes()));
        let place = like.unwrap_or_else(|| {
            self.turns = (self.turns + 1) % IN_TURNS;
            self.turns
        });
        self.put(place, coming, message, integrity, None);
    }

    /// Keeps a message in this place, instead of the one that is there.
    pub(super) fn put(
        &mut self,
        place: u32,
        coming: &Coming<'_>,
        message: &Message<'_>,
        integrity: Provenance,
        receipt: Option<Receipt>,
    ) {
        if message.bytes().len() > LONGEST || integrity == Provenance::Verified {
            return;
        }
        let hash = self.hasher.hash_one(message.bytes());
        let known = Known {
            hash,
            place,
            bytes: message.bytes().into(),
            entries: message.entries().into(),
            counted_flows: message.counted_flows(),
            source: coming.captured.source,
            destination: coming.captured.destination,
            interface: coming.interface,
            integrity,
            receipt,
            row: None,
        };
        if self.messages.len() <= place as usize {
            self.messages.resize_with(place as usize + 1, || None);
        }
        if let Some(old) = self.messages[place as usize].replace(Box::new(known)) {
            if let Ok(entry) = self.places.find_entry(old.hash, |other| *other == place) {
                entry.remove();
            }
        }
        let messages = &self.messages;
        let hash_of = |place: &u32| at(messages, *place).map_or(0, |known| known.hash);
        self.places.insert_unique(hash, place, hash_of);
    }

    fn place(&self, hash: u64) -> Option<u32> {
        let is_it =
            |place: &u32| at(&self.messages, *place).is_some_and(|known| known.hash == hash);
        self.places.find(hash, is_it).copied()
    }
}

impl Known {
    /// The message.
    pub(super) fn message(&self) -> Message<'_> {
        Message::from_index(&self.bytes, &self.entries).with_counted_flows(self.counted_flows)
    }

    fn is(&self, coming: &Coming<'_>, bytes: &[u8]) -> bool {
        *self.bytes == *bytes
            && self.source == coming.captured.source
            && self.destination == coming.captured.destination
            && self.interface == coming.interface
    }
}

fn at(messages: &[Option<Box<Known>>], place: u32) -> Option<&Known> {
    messages.get(place as usize)?.as_deref()
}
