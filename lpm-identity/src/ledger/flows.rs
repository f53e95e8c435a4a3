//! The flows that are counted: found by their key, by the message that was said of them last, and
//! together where a sender or a session ends.

use std::collections::BTreeSet;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use lpm_api::FlowKey;
use slab::Slab;

use super::entry::Entry;
use super::wording::{Kept, Wording};

/// Entries by flow. Each stays in its place as long as it is counted.
#[derive(Debug, Default)]
pub(super) struct Flows {
    /// Each by itself, so that nothing is moved where there are many.
    flows: Slab<Box<Flow>>,
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
    entry: Entry,
    /// The message that it was counted for last, if nothing has changed since.
    said: Option<Box<Kept>>,
}

/// Hashes of session and sender, and a place. Comparing keys takes ten times as long.
type Position = (u64, u64, u32);

impl Flows {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    /// All of them, in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&FlowKey, &Entry)> {
        let flows = self.flows.iter();
        let mut flows: Vec<_> = flows.map(|(_, flow)| (&flow.key, &flow.entry)).collect();
        flows.sort_unstable_by_key(|(flow, _)| **flow);
        flows.into_iter()
    }

    pub(super) fn contains(&self, flow: &FlowKey) -> bool {
        self.place(flow).is_some()
    }

    pub(super) fn get(&self, flow: &FlowKey) -> Option<&Entry> {
        let place = self.place(flow)?;
        Some(&self.flows.get(place as usize)?.entry)
    }

    /// The entry of a flow, which may change: the message that was kept of it is forgotten.
    pub(super) fn get_mut(&mut self, flow: &FlowKey) -> Option<&mut Entry> {
        let place = self.place(flow)?;
        self.forget_wording(place);
        Some(&mut self.flows.get_mut(place as usize)?.entry)
    }

    /// The entry of a flow, which begins as this one if it is new.
    pub(super) fn begin(&mut self, flow: FlowKey, entry: impl FnOnce() -> Entry) -> &mut Entry {
        let hash = self.hasher.hash_one(flow);
        let place = match self.place_by(hash, &flow) {
            Some(place) => {
                self.forget_wording(place);
                place as usize
            }
            None => self.add(flow, hash, entry()),
        };
        &mut self.flows[place].entry
    }

    fn add(&mut self, key: FlowKey, hash: u64, entry: Entry) -> usize {
        let vacant = self.flows.vacant_entry();
        let place = vacant.key();
        let number = u32::try_from(place).expect("memory ends before 2³² flows");
        vacant.insert(Box::new(Flow {
            key,
            entry,
            said: None,
        }));
        self.order.insert(self.position(&key, number));
        let (flows, hasher) = (&self.flows, &self.hasher);
        let hash_of = |place: &u32| {
            let flow = flows.get(*place as usize);
            flow.map_or(0, |flow| hasher.hash_one(flow.key))
        };
        self.by_key.insert_unique(hash, number, hash_of);
        place
    }

    pub(super) fn remove(&mut self, flow: &FlowKey) -> Option<Entry> {
        let hash = self.hasher.hash_one(flow);
        let place = self.place_by(hash, flow)?;
        self.forget_wording(place);
        if let Ok(found) = self.by_key.find_entry(hash, |other| *other == place) {
            found.remove();
        }
        self.order.remove(&self.position(flow, place));
        Some(self.flows.try_remove(place as usize)?.entry)
    }

    /// The flows of a flow's session, those of a sender together.
    pub(super) fn of_session(&self, flow: &FlowKey) -> impl Iterator<Item = FlowKey> + use<'_> {
        let (flow, session) = (*flow, self.hasher.hash_one(flow.session()));
        let places = self
            .order
            .range((session, 0, 0)..=(session, u64::MAX, u32::MAX));
        let flows = places.filter_map(|(.., place)| Some(self.flows.get(*place as usize)?.key));
        flows.filter(move |other| other.is_of_session(&flow))
    }

    /// Those with the same sender, or none, too.
    pub(super) fn of_sender(&self, flow: &FlowKey) -> impl Iterator<Item = FlowKey> + use<'_> {
        let (flow, (session, sender, _)) = (*flow, self.position(flow, 0));
        let places = self
            .order
            .range((session, sender, 0)..=(session, sender, u32::MAX));
        let flows = places.filter_map(|(.., place)| Some(self.flows.get(*place as usize)?.key));
        flows.filter(move |other| other.is_of_session(&flow) && other.sender() == flow.sender())
    }

    /// The flow that is counted for a message like this one, and nothing about it has changed
    /// since; with what else was kept.
    pub(super) fn said(&self, wording: &Wording<'_>) -> Option<(&FlowKey, &Entry, &Kept)> {
        let is_it = |place: &u32| self.kept(*place).is_some_and(|kept| kept.is(wording));
        let place = self.by_wording.find(wording.hash(&self.hasher), is_it)?;
        let flow = self.flows.get(*place as usize)?;
        Some((&flow.key, &flow.entry, flow.said.as_deref()?))
    }

    /// Keeps the message that a flow is counted for.
    pub(super) fn keep_wording(&mut self, flow: &FlowKey, wording: &Wording<'_>) {
        let Some(place) = self.place(flow) else {
            return;
        };
        self.forget_wording(place);
        let hash = wording.hash(&self.hasher);
        if let Some(flow) = self.flows.get_mut(place as usize) {
            flow.said = Some(Box::new(Kept::of(wording, hash)));
        }
        let flows = &self.flows;
        let hash_of = |place: &u32| {
            let said = flows
                .get(*place as usize)
                .and_then(|flow| flow.said.as_ref());
            said.map_or(0, |kept| kept.hash())
        };
        self.by_wording.insert_unique(hash, place, hash_of);
    }

    /// Forgets the messages of all flows.
    pub(super) fn forget_wordings(&mut self) {
        self.by_wording.clear();
        for (_, flow) in &mut self.flows {
            flow.said = None;
        }
    }

    fn forget_wording(&mut self, place: u32) {
        let flow = self.flows.get_mut(place as usize);
        let Some(said) = flow.and_then(|flow| flow.said.take()) else {
            return;
        };
        if let Ok(found) = self.by_wording.find_entry(said.hash(), |it| *it == place) {
            found.remove();
        }
    }

    fn kept(&self, place: u32) -> Option<&Kept> {
        self.flows.get(place as usize)?.said.as_deref()
    }

    fn place(&self, flow: &FlowKey) -> Option<u32> {
        self.place_by(self.hasher.hash_one(flow), flow)
    }

    fn place_by(&self, hash: u64, flow: &FlowKey) -> Option<u32> {
        let is_it = |place: &u32| {
            let other = self.flows.get(*place as usize);
            other.is_some_and(|other| other.key == *flow)
        };
        self.by_key.find(hash, is_it).copied()
    }

    fn position(&self, flow: &FlowKey, place: u32) -> Position {
        let sender = flow
            .sender()
            .map_or(0, |sender| self.hasher.hash_one(sender));
        (self.hasher.hash_one(flow.session()), sender, place)
    }
}
