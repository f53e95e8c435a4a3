//! The flows that there is state of.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lpm_api::FlowKey;
use lpm_rsvp::{FilterSpec, ObjectIndex, Session};

use super::is_path;
use super::lifetime::{Deadline, Time};
use super::state::State;

/// How much memory messages and senders of a flow may take on average, in bytes.
const BYTES_PER_FLOW: usize = 1024;

/// State by flow, bounded, and in the order of its deadlines.
pub(super) struct FlowTable {
    max_flows: usize,
    states: BTreeMap<FlowKey, State>,
    deadlines: BTreeSet<(Time, FlowKey)>,
    /// How many senders have Path state, by session.
    paths: HashMap<Session, usize>,
    bytes: usize,
}

impl FlowTable {
    pub(super) fn new(max_flows: usize) -> FlowTable {
        FlowTable {
            max_flows,
            states: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            paths: HashMap::new(),
            bytes: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    pub(super) fn contains(&self, flow: &FlowKey) -> bool {
        self.states.contains_key(flow)
    }

    pub(super) fn get(&self, flow: &FlowKey) -> Option<&State> {
        self.states.get(flow)
    }

    /// Whether there is room for the state, in place of what there is.
    pub(super) fn has_room(&self, flow: &FlowKey, state: &State) -> bool {
        let old = self.states.get(flow);
        let flows = self.states.len() + usize::from(old.is_none());
        let bytes = self.bytes - old.map_or(0, State::cost) + state.cost();
        flows <= self.max_flows && bytes <= self.max_flows.saturating_mul(BYTES_PER_FLOW)
    }

    /// Keeps the state, which is a refresh where there is some already, and gives back that.
    pub(super) fn put(&mut self, flow: FlowKey, mut state: State) -> Option<State> {
        let old = self.remove(&flow);
        if let Some(old) = &old {
            state.life = state.life.continuing(old.life);
        }
        if is_path(&flow) {
            *self.paths.entry(flow.session()).or_default() += 1;
        }
        self.deadlines.insert((state.life.deadline().time, flow));
        self.bytes += state.cost();
        self.states.insert(flow, state);
        old
    }

    pub(super) fn remove(&mut self, flow: &FlowKey) -> Option<State> {
        let state = self.states.remove(flow)?;
        self.bytes -= state.cost();
        self.deadlines.remove(&(state.life.deadline().time, *flow));
        if is_path(flow) {
            let session = flow.session();
            if let Some(count) = self.paths.get_mut(&session) {
                *count -= 1;
                if *count == 0 {
                    self.paths.remove(&session);
                }
            }
        }
        Some(state)
    }

    /// Takes senders out of a reservation.
    pub(super) fn narrow(&mut self, flow: &FlowKey, left: &[FilterSpec], index: &mut ObjectIndex) {
        if let Some(state) = self.states.get_mut(flow) {
            self.bytes -= state.cost();
            state.narrow(left, index);
            self.bytes += state.cost();
        }
    }

    /// The first flow whose deadline is over.
    pub(super) fn expired(&self, now: Time) -> Option<(FlowKey, Deadline)> {
        let (time, flow) = self.deadlines.first()?;
        let state = self.states.get(flow).filter(|_| *time < now)?;
        Some((*flow, state.life.deadline()))
    }

    /// Whether some sender of the flow's session has Path state.
    pub(super) fn has_path(&self, flow: &FlowKey) -> bool {
        self.paths.contains_key(&flow.session())
    }

    /// The reservations for a session, each with its senders.
    pub(super) fn reservations_of(&self, session: &FlowKey) -> Vec<(FlowKey, Vec<FilterSpec>)> {
        self.states
            .range(session.start_of_session()..)
            .take_while(|(flow, _)| flow.is_of_session(session))
            .filter(|(flow, _)| !is_path(flow))
            .map(|(flow, state)| (*flow, state.senders.clone()))
            .collect()
    }
}
