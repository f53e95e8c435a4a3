//! The flows that there is state of.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, BinaryHeap};

use foldhash::{HashMap, HashMapExt};
use lpm_api::{Direction, FlowKey};
use lpm_rsvp::{FilterSpec, MessageIdEntry, ObjectIndex, Session};

use crate::lifetime::{Deadline, Time};
use crate::message_ids::{MessageIds, StateId};
use crate::state::{Senders, State};

/// How much memory messages and senders of a flow may take on average, in bytes.
const BYTES_PER_FLOW: usize = 1024;

/// State by flow, bounded.
pub(crate) struct FlowTable {
    max_flows: usize,
    flows: HashMap<FlowKey, Flow>,
    sessions: HashMap<Session, Flows>,
    looks: Looks,
    ids: MessageIds,
    bytes: usize,
}

struct Flow {
    state: State,
    look: Time,
}

/// The flows of a session.
#[derive(Default)]
struct Flows {
    /// How many senders have Path state.
    paths: usize,
    reservations: BTreeSet<FlowKey>,
}

impl FlowTable {
    pub(crate) fn new(max_flows: usize) -> Self {
        Self {
            max_flows,
            flows: HashMap::new(),
            sessions: HashMap::new(),
            looks: Looks::default(),
            ids: MessageIds::new(),
            bytes: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.flows.len()
    }

    pub(crate) fn contains(&self, flow: &FlowKey) -> bool {
        self.flows.contains_key(flow)
    }

    pub(crate) fn get(&self, flow: &FlowKey) -> Option<&State> {
        self.flows.get(flow).map(|flow| &flow.state)
    }

    /// Whether there is room for the state in place of the flow's old one.
    pub(crate) fn has_room(&self, state: &State, old: Option<&State>) -> bool {
        let flows = self.flows.len() + usize::from(old.is_none());
        let bytes = self.bytes - old.map_or(0, State::cost) + state.cost();
        flows <= self.max_flows && bytes <= self.max_flows.saturating_mul(BYTES_PER_FLOW)
    }

    /// Refreshes a flow's state, if it is such that nothing else of it changes.
    pub(crate) fn refresh(
        &mut self,
        flow: &FlowKey,
        now: Time,
        id: Option<StateId>,
        is_unchanged: impl FnOnce(&State) -> bool,
    ) -> bool {
        match self.flows.get_mut(flow) {
            // Its deadline does not come any earlier.
            Some(Flow { state, .. }) if is_unchanged(state) => {
                state.life.refresh(now);
                self.ids.change(flow, state.id, id);
                state.id = id;
                true
            }
            _ => false,
        }
    }

    /// Renews the state that this MESSAGE_ID names in an entry of a list, and says whether there is any.
    pub(crate) fn refresh_by_id(
        &mut self,
        id: &StateId,
        entry: &MessageIdEntry,
        now: Time,
    ) -> bool {
        let flows = self.ids.flows(id, entry);
        for flow in &flows {
            if let Some(Flow { state, .. }) = self.flows.get_mut(flow) {
                state.life.refresh(now);
            }
        }
        !flows.is_empty()
    }

    /// Keeps the state, which is a refresh where there is some already, and gives back that.
    pub(crate) fn put(&mut self, flow: FlowKey, mut state: State) -> Option<State> {
        self.bytes += state.cost();
        let id = state.id;
        match self.flows.entry(flow) {
            Entry::Occupied(mut kept) => {
                let kept = kept.get_mut();
                self.ids.change(&flow, kept.state.id, id);
                state.life = state.life.continuing(kept.state.life);
                let deadline = state.life.deadline().time;
                if deadline < kept.look {
                    kept.look = deadline;
                    self.looks.add(deadline, flow);
                }
                let old = std::mem::replace(&mut kept.state, state);
                self.bytes -= old.cost();
                Some(old)
            }
            Entry::Vacant(place) => {
                let look = state.life.deadline().time;
                self.looks.add(look, flow);
                self.ids.change(&flow, None, id);
                place.insert(Flow { state, look });
                let flows = self.sessions.entry(flow.session()).or_default();
                if is_path(&flow) {
                    flows.paths += 1;
                } else {
                    flows.reservations.insert(flow);
                }
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, flow: &FlowKey) -> Option<State> {
        let Flow { state, .. } = self.flows.remove(flow)?;
        self.bytes -= state.cost();
        self.ids.change(flow, state.id, None);
        if let Entry::Occupied(mut session) = self.sessions.entry(flow.session()) {
            let flows = session.get_mut();
            if is_path(flow) {
                flows.paths -= 1;
            } else {
                flows.reservations.remove(flow);
            }
            if flows.paths == 0 && flows.reservations.is_empty() {
                session.remove();
            }
        }
        Some(state)
    }

    /// Takes senders out of a reservation.
    pub(crate) fn narrow(&mut self, flow: &FlowKey, left: &[FilterSpec], index: &mut ObjectIndex) {
        if let Some(Flow { state, .. }) = self.flows.get_mut(flow) {
            self.bytes -= state.cost();
            state.narrow(left, index);
            self.bytes += state.cost();
        }
    }

    /// The flow whose deadline was over first.
    pub(crate) fn expired(&mut self, now: Time) -> Option<(FlowKey, Deadline)> {
        while let Some(mut first) = self.looks.before(now) {
            let Reverse((look, flow)) = *first;
            match self.flows.get_mut(&flow).filter(|kept| kept.look == look) {
                Some(kept) => {
                    let deadline = kept.state.life.deadline();
                    if deadline.time == look {
                        return Some((flow, deadline));
                    }
                    // It was refreshed since.
                    kept.look = deadline.time;
                    *first = Reverse((deadline.time, flow));
                }
                // It is gone since, or is looked at before.
                None => drop(PeekMut::pop(first)),
            }
        }
        self.looks.clear_away(&self.flows);
        None
    }

    /// Whether some sender of the flow's session has Path state.
    pub(crate) fn has_path(&self, flow: &FlowKey) -> bool {
        let flows = self.sessions.get(&flow.session());
        flows.is_some_and(|flows| flows.paths > 0)
    }

    /// The reservations for the session of a flow, each with its senders.
    pub(crate) fn reservations_of(&self, flow: &FlowKey) -> Vec<(FlowKey, Senders)> {
        let Some(flows) = self.sessions.get(&flow.session()) else {
            return Vec::new();
        };
        let reservations = flows.reservations.iter();
        reservations
            .filter_map(|flow| Some((*flow, self.get(flow)?.senders.clone())))
            .collect()
    }
}

/// When to look at each flow: at its deadline, or before, since a refresh does not change it.
///
/// Those of flows that are gone are taken out when they come, or when they are more than those that are left.
#[derive(Default)]
struct Looks(BinaryHeap<Reverse<(Time, FlowKey)>>);

impl Looks {
    fn add(&mut self, look: Time, flow: FlowKey) {
        self.0.push(Reverse((look, flow)));
    }

    fn before(&mut self, now: Time) -> Option<PeekMut<'_, Reverse<(Time, FlowKey)>>> {
        let first = self.0.peek_mut()?;
        let Reverse((look, _)) = *first;
        (look < now).then_some(first)
    }

    fn clear_away(&mut self, flows: &HashMap<FlowKey, Flow>) {
        const FEW: usize = 64;
        if self.0.len() > 2 * flows.len() + FEW {
            let looks = flows.iter().map(|(flow, kept)| Reverse((kept.look, *flow)));
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
