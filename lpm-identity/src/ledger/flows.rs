//! The flows that are counted: found by their key, by the message that was said of them last, and
//! together where a sender or a session ends.

use std::collections::BTreeSet;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use lpm_api::FlowKey;

use super::entry::Entry;
use super::wording::{Kept, Wording};
use crate::slots::Slots;

/// Entries by flow. Each stays in its place as long as it is counted.
#[derive(Debug, Default)]
pub(super) struct Flows {
    flows: Slots<Flow>,
    /// Their places, by key.
    by_key: HashTable<u32>,
    /// The places of those of which a message is kept, by its bytes.
    by_wording: HashTable<u32>,
    /// What ends together stands together.
    order: BTreeSet<Position>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Flow {
    key: FlowKey,
    /// That of the key.
    hash: u64,
    entry: Entry,
    /// The message that it was counted for last, if nothing has changed since.
    said: Option<Box<Kept>>,
}

/// Hashes of session and sender, and a place, as one number: comparing keys takes ten times as
/// long.
type Position = u128;

/// Where a flow was looked for, and is, if it is counted.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    hash: u64,
    place: Option<u32>,
}

impl Flows {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    /// All of them, in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&FlowKey, &Entry)> {
        let flows = self.flows.iter();
        let mut flows: Vec<_> = flows.map(|flow| (&flow.key, &flow.entry)).collect();
        flows.sort_unstable_by_key(|(flow, _)| **flow);
        flows.into_iter()
    }

    pub(super) fn contains(&self, flow: &FlowKey) -> bool {
        self.spot(flow).place.is_some()
    }

    pub(super) fn get(&self, flow: &FlowKey) -> Option<&Entry> {
        self.at(self.spot(flow))
    }

    /// The entry of a flow, which may change: the message that was kept of it is forgotten.
    pub(super) fn get_mut(&mut self, flow: &FlowKey) -> Option<&mut Entry> {
        self.at_mut(self.spot(flow))
    }

    /// Looks for a flow. What is found is good until a flow begins or ends.
    pub(super) fn spot(&self, flow: &FlowKey) -> Spot {
        let hash = self.hasher.hash_one(flow);
        let is_it = |place: &u32| {
            let other = self.flows.get(*place);
            other.is_some_and(|other| other.key == *flow)
        };
        let place = self.by_key.find(hash, is_it).copied();
        Spot { hash, place }
    }

    /// The entry that was found.
    pub(super) fn at(&self, spot: Spot) -> Option<&Entry> {
        Some(&self.flows.get(spot.place?)?.entry)
    }

    /// The same, which may change: as [`get_mut`](Self::get_mut).
    pub(super) fn at_mut(&mut self, spot: Spot) -> Option<&mut Entry> {
        let place = spot.place?;
        self.forget_wording(place);
        Some(&mut self.flows.get_mut(place)?.entry)
    }

    /// Counts a flow that was not found there.
    pub(super) fn begin(&mut self, key: FlowKey, spot: Spot, entry: Entry) {
        let place = self.flows.insert(Flow {
            key,
            hash: spot.hash,
            entry,
            said: None,
        });
        self.order.insert(self.position(&key, place));
        let flows = &self.flows;
        let hash_of = |place: &u32| flows.get(*place).map_or(0, |flow| flow.hash);
        self.by_key.insert_unique(spot.hash, place, hash_of);
    }

    pub(super) fn remove(&mut self, flow: &FlowKey) -> Option<Entry> {
        let Spot { hash, place } = self.spot(flow);
        let place = place?;
        self.forget_wording(place);
        if let Ok(found) = self.by_key.find_entry(hash, |other| *other == place) {
            found.remove();
        }
        self.order.remove(&self.position(flow, place));
        Some(self.flows.remove(place)?.entry)
    }

    /// The flows of a flow's session, those of a sender together.
    pub(super) fn of_session(&self, flow: &FlowKey) -> impl Iterator<Item = FlowKey> + use<'_> {
        let (flow, first) = (*flow, self.position(flow, 0) & OF_SESSION);
        let flows = self.between(first, first | !OF_SESSION);
        flows.filter(move |other| other.is_of_session(&flow))
    }

    /// Those with the same sender, or none, too.
    pub(super) fn of_sender(&self, flow: &FlowKey) -> impl Iterator<Item = FlowKey> + use<'_> {
        let (flow, first) = (*flow, self.position(flow, 0));
        let flows = self.between(first, self.position(&flow, u32::MAX));
        flows.filter(move |other| other.is_of_session(&flow) && other.sender() == flow.sender())
    }

    fn between(&self, first: Position, last: Position) -> impl Iterator<Item = FlowKey> + use<'_> {
        let positions = self.order.range(first..=last);
        let flows = positions.map(|position| self.flows.get(place_in(*position)));
        flows.filter_map(|flow| Some(flow?.key))
    }

    /// The flow that is counted for a message like this one, and nothing about it has changed
    /// since; with what else was kept.
    pub(super) fn said(&self, wording: &Wording<'_>) -> Option<(&FlowKey, &Entry, &Kept)> {
        let is_it = |place: &u32| self.kept(*place).is_some_and(|kept| kept.is(wording));
        let place = self.by_wording.find(wording.hash(&self.hasher), is_it)?;
        let flow = self.flows.get(*place)?;
        Some((&flow.key, &flow.entry, flow.said.as_deref()?))
    }

    /// Keeps the message that the flow which was found is counted for.
    pub(super) fn keep_wording(&mut self, spot: Spot, wording: &Wording<'_>) {
        let Some(place) = spot.place else {
            return;
        };
        self.forget_wording(place);
        let hash = wording.hash(&self.hasher);
        if let Some(flow) = self.flows.get_mut(place) {
            flow.said = Some(Box::new(Kept::of(wording, hash)));
        }
        let flows = &self.flows;
        let hash_of = |place: &u32| {
            let said = flows.get(*place).and_then(|flow| flow.said.as_ref());
            said.map_or(0, |kept| kept.hash())
        };
        self.by_wording.insert_unique(hash, place, hash_of);
    }

    /// Forgets the messages of all flows.
    pub(super) fn forget_wordings(&mut self) {
        self.by_wording.clear();
        for flow in self.flows.iter_mut() {
            flow.said = None;
        }
    }

    fn forget_wording(&mut self, place: u32) {
        let flow = self.flows.get_mut(place);
        let Some(said) = flow.and_then(|flow| flow.said.take()) else {
            return;
        };
        if let Ok(found) = self.by_wording.find_entry(said.hash(), |it| *it == place) {
            found.remove();
        }
    }

    fn kept(&self, place: u32) -> Option<&Kept> {
        self.flows.get(place)?.said.as_deref()
    }

    fn position(&self, flow: &FlowKey, place: u32) -> Position {
        let session = self.hasher.hash_one(flow.session());
        let sender = flow
            .sender()
            .map_or(0, |sender| self.hasher.hash_one(sender));
        // Half of a sender's hash is enough within a session.
        u128::from(session) << 64 | u128::from(sender >> 32) << 32 | u128::from(place)
    }
}

/// What of a position is the same for all of a session.
const OF_SESSION: Position = !0 << 64;

fn place_in(position: Position) -> u32 {
    let [.., a, b, c, d] = position.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}
