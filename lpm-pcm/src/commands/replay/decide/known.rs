//! Messages that came before, byte for byte, as most do.
//!
//! One that comes again is found by its bytes. Then it is not read, its flow's state is found without a
//! look for it, and of its row only packet and time are written anew. LPMs are asked all the same, and what
//! they say now counts. A refresh with the identity LPM takes 6 104 instructions; before this, and what came with it
//! in the SBM, it took 2 500 more.
//!
//! There is at most one for each flow, the last that came. What is signed is not kept: no two such
//! messages are alike, and a copy must be refused.

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

/// Messages that came before.
#[derive(Default)]
pub(super) struct KnownMessages {
    /// By the place of their flow's state.
    messages: Vec<Option<Box<Known>>>,
    /// Those places, by the messages' bytes.
    places: HashTable<u32>,
    hasher: RandomState,
}

/// A message that came before.
pub(super) struct Known {
    hash: u64,
    bytes: Box<[u8]>,
    entries: Box<[ObjectEntry]>,
    source: IpAddr,
    destination: IpAddr,
    interface: Interface,
    pub(super) integrity: Provenance,
    pub(super) receipt: Receipt,
    pub(super) row: Option<KnownRow>,
}

/// The row of a refresh.
pub(super) struct KnownRow {
    pub(super) printed: PrintedRow,
    /// What it says that of: the same message may be decided otherwise.
    pub(super) verdict: FlowVerdict,
    pub(super) path: Option<PathState>,
}

impl KnownMessages {
    /// The message with these bytes, if it came from there before.
    pub(super) fn find(&mut self, coming: &Coming<'_>, bytes: &[u8]) -> Option<&mut Known> {
        if coming.captured.outgoing || bytes.len() > LONGEST {
            return None;
        }
        let hash = self.hasher.hash_one(bytes);
        let messages = &self.messages;
        let is_it = |place: &u32| at(messages, *place).is_some_and(|known| known.hash == hash);
        let place = *self.places.find(hash, is_it)?;
        let known = self.messages.get_mut(place as usize)?.as_deref_mut()?;
        known.is(coming, bytes).then_some(known)
    }

    /// Keeps a message in place of what is known of its flow.
    pub(super) fn put(
        &mut self,
        coming: &Coming<'_>,
        message: &Message<'_>,
        integrity: Provenance,
        receipt: Receipt,
    ) {
        if message.bytes().len() > LONGEST || integrity == Provenance::Verified {
            return;
        }
        let (place, hash) = (receipt.place(), self.hasher.hash_one(message.bytes()));
        let known = Known {
            hash,
            bytes: message.bytes().into(),
            entries: message.entries().into(),
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
}

impl Known {
    /// The message.
    pub(super) fn message(&self) -> Message<'_> {
        Message::from_index(&self.bytes, &self.entries)
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
