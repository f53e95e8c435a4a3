//! The flows that there is state of.
//!
//! The state of a flow stays in its place as long as it is kept, so that who has a [`Receipt`]
//! finds it without the flow's key.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use foldhash::{HashMap, HashMapExt};
use hashbrown::HashTable;
use lpm_api::{Direction, FlowKey, Priority};
use lpm_rsvp::{FilterSpec, MessageIdEntry, ObjectIndex, Session};
use slab::Slab;

use crate::lifetime::{Deadline, Time};
use crate::message_ids::{MessageIds, StateId};
use crate::path_state::PathState;
use crate::receipt::Receipt;
use crate::state::{Senders, State};

/// How much memory messages and senders of a flow may take on average, in bytes.
const BYTES_PER_FLOW: usize = 1024;

/// State by flow, bounded.
pub(crate) struct FlowTable {
    max_flows: usize,
    flows: Slab<Flow>,
    /// Where each flow is, by its key.
    places: HashTable<u32>,
    hasher: RandomState,
    sessions: HashMap<Session, Flows>,
    looks: Looks,
    /// Flows whose deadline was over at the same time, the last first.
    due: Vec<(FlowKey, Deadline)>,
    ids: MessageIds,
    bytes: usize,
    /// How often state became another one.
    changes: u64,
    /// How often Path state came or went.
    path_changes: u64,
}

struct Flow {
    key: FlowKey,
    state: State,
    look: Time,
    /// Which change of the table made the state what it is.
    change: u64,
    /// Of a reservation: those before and after it in the list of its session.
    previous: Option<u32>,
    next: Option<u32>,
}

/// The flows of a session.
#[derive(Default)]
struct Flows {
    /// How many senders have Path state.
    paths: usize,
    /// The reservation that came last, from which on they are a list.
    reservations: Option<u32>,
}

impl FlowTable {
    pub(crate) fn new(max_flows: usize) -> Self {
        Self {
            max_flows,
            flows: Slab::new(),
            places: HashTable::new(),
            hasher: RandomState::default(),
            sessions: HashMap::new(),
            looks: Looks::default(),
            due: Vec::new(),
            ids: MessageIds::new(),
            bytes: 0,
            changes: 0,
            path_changes: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.flows.len()
    }

    pub(crate) fn contains(&self, flow: &FlowKey) -> bool {
        self.place(flow).is_some()
    }

    pub(crate) fn get(&self, flow: &FlowKey) -> Option<&State> {
        let place = self.place(flow)?;
        Some(&self.flow(place)?.state)
    }

    /// Whether there is room for the state in place of the flow's old one.
    pub(crate) fn has_room(&self, state: &State, old: Option<&State>) -> bool {
        let flows = self.flows.len() + usize::from(old.is_none());
        let bytes = self.bytes - old.map_or(0, State::cost) + state.cost();
        // A place has 32 bits.
        let most = self.max_flows.min(u32::MAX as usize);
        flows <= most && bytes <= self.max_flows.saturating_mul(BYTES_PER_FLOW)
    }

    /// Refreshes a flow's state, if it is such that nothing else of it changes.
    pub(crate) fn refresh(
        &mut self,
        flow: &FlowKey,
        now: Time,
        id: Option<StateId>,
        is_unchanged: impl FnOnce(&State) -> bool,
    ) -> bool {
        let place = self.place(flow);
        match place.and_then(|place| self.flows.get_mut(place as usize)) {
            // Its deadline does not come any earlier.
            Some(Flow { state, change, .. }) if is_unchanged(state) => {
                state.life.refresh(now);
                if state.id != id {
                    self.ids.change(flow, state.id, id);
                    state.id = id;
                    self.changes += 1;
                    *change = self.changes;
                }
                true
            }
            _ => false,
        }
    }

    /// What is to be remembered of a message that says what is kept of this flow now.
    pub(crate) fn receipt(&self, flow: &FlowKey, path: Option<PathState>) -> Option<Receipt> {
        let place = self.place(flow)?;
        Some(Receipt {
            place,
            change: self.flow(place)?.change,
            path,
            path_changes: self.path_changes,
        })
    }

    /// The flow of a receipt, if its state is still the one that there was then.
    pub(crate) fn of_receipt(&self, receipt: &Receipt) -> Option<&FlowKey> {
        let flow = self.flow(receipt.place)?;
        (flow.change == receipt.change).then_some(&flow.key)
    }

    /// How often Path state came or went.
    pub(crate) fn path_changes(&self) -> u64 {
        self.path_changes
    }

    /// Refreshes the state of a receipt, if it is still the one that there was then, with resources
    /// by this priority if it is that of a Resv.
    pub(crate) fn refresh_again(
        &mut self,
        receipt: &Receipt,
        priority: Priority,
        now: Time,
    ) -> bool {
        let flow = self.flows.get_mut(receipt.place as usize);
        let Some(Flow { state, .. }) = flow.filter(|flow| flow.change == receipt.change) else {
            return false;
        };
        let is_refresh = receipt.path.is_none() || state.priority == Some(priority);
        if is_refresh {
            state.life.refresh(now);
        }
        is_refresh
    }

    /// Renews the state that this MESSAGE_ID names in an entry of a list, and says whether there is
    /// any.
    pub(crate) fn refresh_by_id(
        &mut self,
        id: &StateId,
        entry: &MessageIdEntry,
        now: Time,
    ) -> bool {
        let flows = self.ids.flows(id, entry);
        for flow in &flows {
            let place = self.place(flow);
            if let Some(flow) = place.and_then(|place| self.flows.get_mut(place as usize)) {
                flow.state.life.refresh(now);
            }
        }
        !flows.is_empty()
    }

    /// Keeps the state, which is a refresh where there is some already, and gives back that.
    pub(crate) fn put(&mut self, flow: FlowKey, mut state: State) -> Option<State> {
        self.bytes += state.cost();
        self.changes += 1;
        let place = self.place(&flow);
        let Some(kept) = place.and_then(|place| self.flows.get_mut(place as usize)) else {
            self.add(flow, state);
            return None;
        };
        self.ids.change(&flow, kept.state.id, state.id);
        state.life = state.life.continuing(kept.state.life);
        let deadline = state.life.deadline().time;
        if let Some(place) = place.filter(|_| deadline < kept.look) {
            kept.look = deadline;
            self.looks.add(deadline, place);
        }
        kept.change = self.changes;
        let old = std::mem::replace(&mut kept.state, state);
        self.bytes -= old.cost();
        Some(old)
    }

    fn add(&mut self, key: FlowKey, state: State) {
        let look = state.life.deadline().time;
        self.ids.change(&key, None, state.id);
        if self.flows.len() == self.flows.capacity() {
            // Doubling would leave nearly half of many places unused.
            self.flows.reserve_exact(self.flows.len() / 8 + 16);
        }
        let entry = self.flows.vacant_entry();
        let place = u32::try_from(entry.key()).expect("no more flows than a place has bits for");
        let session = self.sessions.entry(key.session()).or_default();
        let mut next = None;
        if is_path(&key) {
            session.paths += 1;
            self.path_changes += 1;
        } else {
            next = session.reservations.replace(place);
        }
        entry.insert(Flow {
            key,
            state,
            look,
            change: self.changes,
            previous: None,
            next,
        });
        if let Some(next) = self.flow_mut(next) {
            next.previous = Some(place);
        }
        self.looks.add(look, place);
        let (flows, hasher) = (&self.flows, &self.hasher);
        let hash_of = |place: &u32| {
            let flow = flows.get(*place as usize);
            flow.map_or(0, |flow| hasher.hash_one(flow.key))
        };
        self.places
            .insert_unique(hasher.hash_one(key), place, hash_of);
    }

    pub(crate) fn remove(&mut self, flow: &FlowKey) -> Option<State> {
        let (hash, flows) = (self.hasher.hash_one(flow), &self.flows);
        let is_it = |place: &u32| flows.get(*place as usize).is_some_and(|it| it.key == *flow);
        let (place, _) = self.places.find_entry(hash, is_it).ok()?.remove();
        let removed = self.flows.try_remove(place as usize)?;
        let state = removed.state;
        self.bytes -= state.cost();
        self.ids.change(flow, state.id, None);
        if let Some(next) = self.flow_mut(removed.next) {
            next.previous = removed.previous;
        }
        if let Some(previous) = self.flow_mut(removed.previous) {
            previous.next = removed.next;
        }
        if let Entry::Occupied(mut session) = self.sessions.entry(flow.session()) {
            let flows = session.get_mut();
            if is_path(flow) {
                flows.paths -= 1;
                self.path_changes += 1;
            } else if removed.previous.is_none() {
                flows.reservations = removed.next;
            }
            if flows.paths == 0 && flows.reservations.is_none() {
                session.remove();
            }
        }
        Some(state)
    }

    /// Takes senders out of a reservation.
    pub(crate) fn narrow(&mut self, flow: &FlowKey, left: &[FilterSpec], index: &mut ObjectIndex) {
        let place = self.place(flow);
        if let Some(flow) = place.and_then(|place| self.flows.get_mut(place as usize)) {
            self.changes += 1;
            flow.change = self.changes;
            self.bytes -= flow.state.cost();
            flow.state.narrow(left, index);
            self.bytes += flow.state.cost();
        }
    }

    /// The flow whose deadline was over first; of several, that with the smallest key.
    pub(crate) fn expired(&mut self, now: Time) -> Option<(FlowKey, Deadline)> {
        loop {
            while let Some((flow, deadline)) = self.due.pop() {
                // One may have gone with another.
                if self.contains(&flow) {
                    return Some((flow, deadline));
                }
            }
            self.look(now);
            if self.due.is_empty() {
                self.looks.clear_away(&self.flows);
                return None;
            }
        }
    }

    /// Finds the flows whose deadline was over first.
    fn look(&mut self, now: Time) {
        while let Some(mut first) = self.looks.before(now) {
            let Reverse((look, place)) = *first;
            let mut due = self.due.iter();
            if due.next().is_some_and(|(_, first)| first.time < look) {
                break;
            }
            let flow = self.flows.get_mut(place as usize);
            match flow.filter(|kept| kept.look == look) {
                Some(kept) => {
                    let deadline = kept.state.life.deadline();
                    if deadline.time == look {
                        self.due.push((kept.key, deadline));
                        PeekMut::pop(first);
                    } else {
                        // It was refreshed since.
                        kept.look = deadline.time;
                        *first = Reverse((deadline.time, place));
                    }
                }
                // It is gone since, or is looked at before.
                None => drop(PeekMut::pop(first)),
            }
        }
        self.due.sort_unstable_by_key(|(flow, _)| Reverse(*flow));
    }

    fn place(&self, flow: &FlowKey) -> Option<u32> {
        let is_it = |place: &u32| self.flow(*place).is_some_and(|it| it.key == *flow);
        self.places.find(self.hasher.hash_one(flow), is_it).copied()
    }

    fn flow(&self, place: u32) -> Option<&Flow> {
        self.flows.get(place as usize)
    }

    fn flow_mut(&mut self, place: Option<u32>) -> Option<&mut Flow> {
        self.flows.get_mut(place? as usize)
    }

    /// Whether some sender of the flow's session has Path state.
    pub(crate) fn has_path(&self, flow: &FlowKey) -> bool {
        let flows = self.sessions.get(&flow.session());
        flows.is_some_and(|flows| flows.paths > 0)
    }

    /// The reservations for the session of a flow, each with its senders, in the order of their
    /// keys.
    pub(crate) fn reservations_of(&self, flow: &FlowKey) -> Vec<(FlowKey, Senders)> {
        let session = self.sessions.get(&flow.session());
        let mut next = session.and_then(|flows| flows.reservations);
        let mut reservations = Vec::new();
        while let Some(flow) = next.and_then(|place| self.flow(place)) {
            reservations.push((flow.key, flow.state.senders.clone()));
            next = flow.next;
        }
        reservations.sort_unstable_by_key(|(flow, _)| *flow);
        reservations
    }
}

/// When to look at each flow: at its deadline, or before, since a refresh does not change it.
///
/// Those of flows that are gone are taken out when they come, or when they are more than those that
/// are left.
#[derive(Default)]
struct Looks(BinaryHeap<Look>);

/// The earliest is the greatest.
type Look = Reverse<(Time, u32)>;

impl Looks {
    fn add(&mut self, look: Time, place: u32) {
        self.0.push(Reverse((look, place)));
    }

    fn before(&mut self, now: Time) -> Option<PeekMut<'_, Look>> {
        let Reverse((look, _)) = self.0.peek()?;
        if *look >= now {
            return None;
        }
        self.0.peek_mut()
    }

    fn clear_away(&mut self, flows: &Slab<Flow>) {
        const FEW: usize = 64;
        if self.0.len() > 2 * flows.len() + FEW {
            let looks = flows.iter().filter_map(|(place, kept)| {
                let place = u32::try_from(place).ok()?;
                Some(Reverse((kept.look, place)))
            });
            self.0 = looks.collect();
        }
    }
}

/// Whether a flow is one that a Path announces, not one that a Resv asks for.
pub(crate) fn is_path(flow: &FlowKey) -> bool {
    flow.direction() == Direction::Sends
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::of_path;

    #[test]
    fn what_is_gone_does_not_add_up() {
        let mut table = FlowTable::new(1_000);
        let (flow, state) = of_path();
        for _ in 0..10_000 {
            table.put(flow, state.clone());
            table.remove(&flow);
            assert_eq!(table.expired(Time::default()), None);
        }
        assert!(table.looks.0.len() < 100, "{}", table.looks.0.len());
    }
}
