//! The flows that are counted: found by their key for every message, and in order where a sender
//! ends.

use std::collections::BTreeSet;
use std::collections::hash_map::Entry as Place;

use foldhash::{HashMap, HashMapExt};
use lpm_api::FlowKey;

use super::entry::Entry;

/// Entries by flow.
#[derive(Debug)]
pub(super) struct Flows {
    entries: HashMap<FlowKey, Entry>,
    /// Sorted by session, then sender: what ends with a sender stands together.
    order: BTreeSet<FlowKey>,
}

impl Flows {
    pub(super) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeSet::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&FlowKey, &Entry)> {
        let flows = self.order.iter();
        flows.filter_map(|flow| Some((flow, self.entries.get(flow)?)))
    }

    pub(super) fn contains(&self, flow: &FlowKey) -> bool {
        self.entries.contains_key(flow)
    }

    pub(super) fn get(&self, flow: &FlowKey) -> Option<&Entry> {
        self.entries.get(flow)
    }

    pub(super) fn get_mut(&mut self, flow: &FlowKey) -> Option<&mut Entry> {
        self.entries.get_mut(flow)
    }

    /// The entry of a flow, which begins as this one if it is new.
    pub(super) fn begin(&mut self, flow: FlowKey, entry: impl FnOnce() -> Entry) -> &mut Entry {
        match self.entries.entry(flow) {
            Place::Occupied(known) => known.into_mut(),
            Place::Vacant(place) => {
                self.order.insert(flow);
                place.insert(entry())
            }
        }
    }

    pub(super) fn remove(&mut self, flow: &FlowKey) -> Option<Entry> {
        let entry = self.entries.remove(flow)?;
        self.order.remove(flow);
        Some(entry)
    }

    /// The flows of a flow's session from a key on, in order.
    pub(super) fn of_session(&self, from: &FlowKey) -> impl Iterator<Item = FlowKey> + use<'_> {
        let from = *from;
        let flows = self.order.range(from..).copied();
        flows.take_while(move |flow| flow.is_of_session(&from))
    }
}
