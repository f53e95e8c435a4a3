//! Messages that came before, byte for byte, as most do.
//!
//! One that comes again is found by its bytes. Then it is not read, its flow's state is found
//! without a look for it, and of its row only packet and time are written anew. LPMs are asked all
//! the same, for their reasons, too, and what they say now counts. A refresh with the identity LPM
//! takes at most 2 480 instructions, of which some 560 are the LPM's; before this, and what came
//! with it in the SBM, it took 8 600.
//!
//! There is at most one for each flow of which state is kept, the last that came, and a number of
//! those that were refused. What is signed is not kept: no two such messages are alike, and a copy
//! must be refused.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use lpm_api::Interface;
use lpm_host::{FlowVerdict, Outcome};
use lpm_rsvp::{Message, ObjectEntry};
use lpm_sbm::{Answer, PathState, Receipt, TimedVerdict};

use super::coming::Coming;
use super::flows::Reasons;
use crate::integrity::Provenance;
use crate::output::printer::PrintedRow;

/// What is longer, in bytes, is read every time, so that memory is bounded by the number of flows.
const LONGEST: usize = 1024;

/// How many messages are kept at most of those that take turns.
const IN_TURNS: u32 = 1 << 14;

/// What messages are found by.
#[derive(Default)]
pub(super) struct Hasher(RandomState);

/// Messages that came before.
#[derive(Default)]
pub(super) struct KnownMessages {
    /// Each in its place.
    messages: Vec<Option<Box<Known>>>,
    /// Those places, by the messages' bytes.
    places: HashTable<u32>,
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
    pub(super) row: Option<Box<KnownRow>>,
}

/// The row of a refresh.
pub(super) struct KnownRow {
    pub(super) printed: PrintedRow,
    /// What it says that of: the same message may be decided otherwise.
    pub(super) decided: Decided,
}

/// What a row says besides what is in the message.
pub(super) struct Decided {
    pub(super) verdict: FlowVerdict,
    pub(super) path: Option<PathState>,
    pub(super) reason: Option<String>,
}

impl Hasher {
    /// The hash of a message that may come again, or came before.
    pub(super) fn hash(&self, coming: &Coming<'_>, bytes: &[u8]) -> Option<u64> {
        let may_come_again = !coming.captured.outgoing && bytes.len() <= LONGEST;
        may_come_again.then(|| self.0.hash_one(bytes))
    }
}

impl KnownMessages {
    /// The message with these bytes, which have this hash, if it came from there before, until it
    /// is [given back](Self::give_back).
    pub(super) fn take(
        &mut self,
        hash: u64,
        coming: &Coming<'_>,
        bytes: &[u8],
    ) -> Option<Box<Known>> {
        let place = self.place(hash)?;
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
    pub(super) fn put_in_turn(&mut self, known: Known) {
        let like = self.place(known.hash);
        let place = like.unwrap_or_else(|| {
            self.turns = (self.turns + 1) % IN_TURNS;
            self.turns
        });
        self.put(place, known);
    }

    /// Keeps a message in this place, instead of the one that is there.
    pub(super) fn put(&mut self, place: u32, mut known: Known) {
        known.place = place;
        let hash = known.hash;
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

impl Decided {
    /// What was decided on a message about one flow; `None` for any other.
    pub(super) fn of(answer: &Answer<TimedVerdict>, reasons: &Reasons) -> Option<Self> {
        Some(Self {
            verdict: *verdict(answer)?,
            path: path(answer),
            reason: reasons.first().cloned().flatten(),
        })
    }

    /// Whether an answer says this.
    pub(super) fn is_of(&self, answer: &Answer<TimedVerdict>, reasons: &Reasons) -> bool {
        let reason = reasons.first().and_then(Option::as_deref);
        verdict(answer).is_some_and(|verdict| self.is(verdict, path(answer), reason))
    }

    /// Whether this was decided, for this reason.
    pub(super) fn is(
        &self,
        verdict: &FlowVerdict,
        path: Option<PathState>,
        reason: Option<&str>,
    ) -> bool {
        *verdict == self.verdict && path == self.path && reason == self.reason.as_deref()
    }
}

/// The verdict on a message about one flow, of which there is state, or which is refused.
fn verdict(answer: &Answer<TimedVerdict>) -> Option<&FlowVerdict> {
    match answer.verdict.verdict.flows() {
        [verdict] if answer.receipt.is_some() || is_refused(answer) => Some(verdict),
        _ => None,
    }
}

fn path(answer: &Answer<TimedVerdict>) -> Option<PathState> {
    answer.receipt.and_then(|receipt| receipt.path())
}

/// Whether policy refuses all that a message asks for, which is one flow.
pub(super) fn is_refused(answer: &Answer<TimedVerdict>) -> bool {
    let [verdict] = answer.verdict.verdict.flows() else {
        return false;
    };
    verdict.outcome() == Outcome::Reject && answer.flows.len() == 1
}

impl Known {
    /// A message with this hash that came now.
    pub(super) fn new(
        hash: u64,
        coming: &Coming<'_>,
        message: &Message<'_>,
        integrity: Provenance,
        receipt: Option<Receipt>,
    ) -> Self {
        Self {
            hash,
            place: 0,
            bytes: message.bytes().into(),
            entries: message.entries().into(),
            counted_flows: message.counted_flows(),
            source: coming.captured.source,
            destination: coming.captured.destination,
            interface: coming.interface,
            integrity,
            receipt,
            row: None,
        }
    }

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
