//! The SBM: takes in messages, has a policy decide, and does what follows.

mod removal;

use std::net::IpAddr;

use lpm_api::{Decision, DeleteReason, FlowKey, Interface, Priority};
use lpm_host::ReceivedMessage;
use lpm_host::error::PcmError;
use lpm_rsvp::{
    FlowDescriptor, Message, MessageIdList, MessageType, ObjectIndex, ServiceRequest, class,
};
use smallvec::SmallVec;

use crate::answer::{Again, Answer, FlowAnswer, RemovalReason, Removed, Resources};
use crate::bandwidth::{InterfaceName, Pools};
use crate::config::SbmConfig;
use crate::excerpt::Parts;
use crate::flow_table::{FlowTable, is_path};
use crate::lifetime::{Time, Timers};
use crate::message_ids::{StateId, SummaryRefresh};
use crate::path_state::PathState;
use crate::policy::{Committed, Policy};
use crate::receipt::Receipt;
use crate::refusal::Refusal;
use crate::reservations::{Change, Request, ReservationKey, Reservations};
use crate::state::State;

/// Keeps the state of flows, and has a policy decide on their messages.
pub struct Sbm<P> {
    policy: P,
    require_path: bool,
    timers: Timers,
    clock: Time,
    table: FlowTable,
    reservations: Reservations,
    index: ObjectIndex,
}

impl<P: Policy> Sbm<P> {
    /// An SBM without any state, that asks this policy.
    pub fn new(policy: P, config: &SbmConfig) -> Self {
        Self {
            policy,
            require_path: config.require_path,
            timers: Timers {
                missed_refreshes: config.missed_refreshes,
                max_refresh: config.max_refresh,
                max_duration: config.max_flow_duration,
            },
            clock: Time::default(),
            table: FlowTable::new(config.max_flows),
            reservations: Reservations::new(Pools::new(&config.interfaces)),
            index: ObjectIndex::new(),
        }
    }

    /// The policy.
    pub fn policy(&self) -> &P {
        &self.policy
    }

    /// How many flows there is state of.
    pub fn flow_count(&self) -> usize {
        self.table.len()
    }

    /// How much of an interface's bandwidth is reserved, in bit/s.
    pub fn allocated(&self, interface: &Interface) -> u128 {
        let pools = self.reservations.pools();
        pools.taken(pools.key(interface))
    }

    /// The interfaces that the configuration names, and that no message came in on.
    pub fn unused_interfaces(&self) -> &[InterfaceName] {
        self.reservations.pools().unused()
    }

    /// Takes in a message. The clock is that of the messages, and never goes back.
    ///
    /// # Errors
    /// As `Pcm::admit`.
    pub fn receive(
        &mut self,
        received: &ReceivedMessage<'_>,
    ) -> Result<Answer<P::Verdict>, PcmError> {
        self.reservations.is_used(&received.interface);
        let before = self.advance(received.received)?;
        let verdict = self.policy.admit(received)?;
        self.take_in(received, before, verdict)
    }

    /// Takes in a message that has the same bytes, and came in on the same interface, as the one
    /// that the receipt is for. That comes to the same as [`receive`](Self::receive), and takes
    /// less time: policy decides on it, but the message is not read if it can only be a refresh.
    ///
    /// # Errors
    /// As `Pcm::admit`.
    pub fn receive_again(
        &mut self,
        received: &ReceivedMessage<'_>,
        receipt: &Receipt,
    ) -> Result<Again<P::Verdict>, PcmError> {
        let before = self.advance(received.received)?;
        let verdict = self.policy.admit(received)?;
        if let (true, Decision::Accept(priority)) = (before.is_empty(), P::decision(&verdict, 0)) {
            if let Some(receipt) = self.renewed(received, receipt) {
                if self.table.refresh_again(&receipt, priority, self.clock) {
                    return Ok(Again::Refreshed { verdict, receipt });
                }
            }
        }
        self.take_in(received, before, verdict).map(Again::Answered)
    }

    /// A receipt with the Path state that there is now. `None` if a Resv lacks some that it needs.
    fn renewed(&self, received: &ReceivedMessage<'_>, receipt: &Receipt) -> Option<Receipt> {
        let mut receipt = *receipt;
        let path_changes = self.table.path_changes();
        if receipt.path.is_some() && receipt.path_changes != path_changes {
            let flow = self.table.of_receipt(&receipt)?;
            let descriptor = received.message.flow_descriptors().next()?;
            receipt.path = Some(self.path_state(flow, &descriptor));
            receipt.path_changes = path_changes;
        }
        self.is_enough(receipt.path).then_some(receipt)
    }

    /// Does what follows from the policy's verdict.
    fn take_in(
        &mut self,
        received: &ReceivedMessage<'_>,
        before: Vec<Removed>,
        verdict: P::Verdict,
    ) -> Result<Answer<P::Verdict>, PcmError> {
        let mut flows = SmallVec::<[FlowAnswer; 1]>::new();
        let mut after = Vec::new();
        let mut receipt = None;
        let message = received.message;
        match message.message_type() {
            MessageType::Path | MessageType::Resv => {
                let parts = Parts::of(message);
                for descriptor in message.flow_descriptors() {
                    let incoming = Incoming {
                        received,
                        parts: &parts,
                        descriptor,
                    };
                    let decision = P::decision(&verdict, descriptor.index());
                    flows.push(self.flow(&incoming, decision, &mut after)?);
                }
                let is_accepted = matches!(P::decision(&verdict, 0), Decision::Accept(_));
                if let ([flow], Some(descriptor)) = (&flows[..], message.flow_descriptors().next())
                {
                    if is_accepted && flow.refusal.is_none() {
                        let key = FlowKey::of(&message, &descriptor);
                        receipt = key.and_then(|key| self.table.receipt(&key, flow.path));
                    }
                }
            }
            MessageType::PathTear | MessageType::ResvTear => {
                for descriptor in message.flow_descriptors() {
                    self.torn_down(&message, &descriptor, &mut after)?;
                }
            }
            _ => {}
        }
        Ok(Answer {
            before,
            verdict,
            flows,
            after,
            receipt,
        })
    }

    /// Takes in the lists of a Srefresh that this node has sent, once it was
    /// [received](Self::receive): renews the state that its MESSAGE_IDs name (RFC 2961 §5.3).
    /// Nothing for other messages.
    pub fn summary_refresh(&mut self, message: &Message<'_>, sender: IpAddr) -> SummaryRefresh {
        let mut summary = SummaryRefresh::default();
        if message.message_type() != MessageType::Srefresh {
            return summary;
        }
        let objects = message.objects();
        let lists = objects.filter(|object| object.class == class::MESSAGE_ID_LIST);
        for list in lists.filter_map(|object| object.read::<MessageIdList<'_>>().ok()) {
            for entry in list.entries() {
                let id = StateId {
                    generator: sender,
                    epoch: list.epoch(),
                    identifier: entry.identifier,
                };
                if self.table.refresh_by_id(&id, &entry, self.clock) {
                    summary.refreshed.push(id);
                } else {
                    summary.unknown.push(id);
                }
            }
        }
        summary
    }

    fn flow(
        &mut self,
        incoming: &Incoming<'_, '_>,
        decision: Decision,
        after: &mut Vec<Removed>,
    ) -> Result<FlowAnswer, PcmError> {
        let mut answer = FlowAnswer::default();
        let (received, descriptor) = (incoming.received, &incoming.descriptor);
        let Some(flow) = FlowKey::of(&received.message, descriptor) else {
            return Ok(answer);
        };
        let Decision::Accept(priority) = decision else {
            // The policy has told every LPM.
            self.forget(flow, DeleteReason::AdmissionControlFailed, after)?;
            return Ok(answer);
        };
        if let Some(unchanged) = self.refresh(incoming, &flow, priority) {
            return Ok(unchanged);
        }
        let old = self.table.get(&flow);
        let is_kept = old.is_some();
        let mut state = State::of(
            received,
            incoming.parts,
            descriptor,
            self.timers,
            self.clock,
        );
        let result = if !self.policy.may_grant() {
            Err(Refusal::NotOnRecord)
        } else if !self.table.has_room(&state, old) {
            Err(Refusal::TableFull)
        } else if is_path(&flow) {
            Ok(None)
        } else {
            let path = self.path_state(&flow, descriptor);
            answer.path = Some(path);
            state.priority = Some(priority);
            self.reserve(descriptor, &flow, &state, priority, path, after)?
                .map(Some)
        };
        match result {
            Ok(change) => {
                self.keep(flow, state, change)?;
                answer.resources = change.map(Change::resources);
            }
            Err(refusal) => {
                answer.refusal = Some(refusal);
                answer.resources = match (is_path(&flow), is_kept) {
                    (true, _) => None,
                    (false, true) => Some(Resources::RefusedInPlace),
                    (false, false) => Some(Resources::Refused),
                };
                self.tell_deleted(&state, DeleteReason::AdmissionControlFailed)?;
            }
        }
        Ok(answer)
    }

    /// Takes in a refresh that says what is kept already, as most do. `None` for anything else.
    fn refresh(
        &mut self,
        incoming: &Incoming<'_, '_>,
        flow: &FlowKey,
        priority: Priority,
    ) -> Option<FlowAnswer> {
        let descriptor = &incoming.descriptor;
        let path = (!is_path(flow)).then(|| self.path_state(flow, descriptor));
        if !self.is_enough(path) {
            return None;
        }
        let id = StateId::of(&incoming.received.message);
        let is_unchanged = |state: &State| {
            let has_all = path.is_none() || state.priority == Some(priority);
            has_all && state.is_said_by(incoming.received, incoming.parts, descriptor)
        };
        let is_refresh = self.table.refresh(flow, self.clock, id, is_unchanged);
        is_refresh.then(|| FlowAnswer::refreshed(path))
    }

    /// Whether a Resv may have resources with such Path state; anything else has none.
    fn is_enough(&self, path: Option<PathState>) -> bool {
        !self.require_path || path.is_none_or(|path| path == PathState::Known)
    }

    fn path_state(&self, flow: &FlowKey, descriptor: &FlowDescriptor<'_>) -> PathState {
        let is_known = |sender| {
            let path = FlowKey::path(flow.session(), sender);
            self.table.contains(&path)
        };
        if descriptor.filters().any(is_known) {
            PathState::Known
        } else if !self.table.has_path(flow) {
            PathState::NoPath
        } else if descriptor.filters().next().is_none() {
            PathState::Known
        } else {
            PathState::NoSender
        }
    }

    /// Finds resources for a Resv that policy has accepted, and takes them.
    fn reserve(
        &mut self,
        descriptor: &FlowDescriptor<'_>,
        flow: &FlowKey,
        state: &State,
        priority: Priority,
        path: PathState,
        after: &mut Vec<Removed>,
    ) -> Result<Result<Change, Refusal>, PcmError> {
        match path {
            PathState::NoPath if self.require_path => return Ok(Err(Refusal::NoPath)),
            PathState::NoSender if self.require_path => return Ok(Err(Refusal::NoSender)),
            _ => {}
        }
        let flow_spec = descriptor.flow_spec();
        let Some(Ok(service)) = flow_spec.map(|flow_spec| flow_spec.service()) else {
            return Ok(Err(Refusal::BadFlowSpec));
        };
        let key = self.reservations.key(&state.interface, flow);
        let request = Request {
            service,
            senders: state.senders.clone(),
            priority,
        };
        if self.reservations.has(&key, flow, &request) {
            return Ok(Ok(Change::Unchanged));
        }
        match self.reservations.room_for(&key, flow, &request) {
            Ok(preempted) => {
                for lower in preempted {
                    self.remove(lower, self.clock, RemovalReason::Preempted, after)?;
                }
            }
            Err(refusal) => return Ok(Err(refusal)),
        }
        Ok(Ok(self.reservations.put(key, *flow, request)))
    }

    /// Keeps the state of a flow, and tells policy what changed in the reservations by it.
    fn keep(
        &mut self,
        flow: FlowKey,
        state: State,
        change: Option<Change>,
    ) -> Result<(), PcmError> {
        let key = self.reservation_of(&flow, &state);
        let replaced = self.table.put(flow, state);
        let Some((key, change)) = key.zip(change) else {
            return Ok(());
        };
        if let Some(old) = replaced.and_then(|state| self.reservation_of(&flow, &state)) {
            // Asked for on another interface until now.
            if old != key {
                let change = self.reservations.remove(&old, &flow);
                self.commit_remaining(&old, change)?;
            }
        }
        match self.reservations.merged(&key) {
            Some(merged) => self.commit(&flow, merged, change),
            None => Ok(()),
        }
    }

    /// Tells policy that a reservation has changed by what left it.
    fn commit_remaining(&mut self, key: &ReservationKey, change: Change) -> Result<(), PcmError> {
        match self.reservations.first(key) {
            Some((flow, merged)) => self.commit(&flow, merged, change),
            None => Ok(()),
        }
    }

    /// Tells policy what is reserved now, if that has changed, by the state of a flow with a part
    /// in it.
    fn commit(
        &mut self,
        flow: &FlowKey,
        merged: ServiceRequest,
        change: Change,
    ) -> Result<(), PcmError> {
        let Some((decision, state)) = change.decision().zip(self.table.get(flow)) else {
            return Ok(());
        };
        let Some(message) = state.message(&mut self.index) else {
            return Ok(());
        };
        self.policy.commit_resv(&Committed {
            message,
            interface: state.interface,
            merged,
            decision,
        })
    }

    /// Whose resources a flow has a part in.
    fn reservation_of(&self, flow: &FlowKey, state: &State) -> Option<ReservationKey> {
        let has_resources = state.priority.is_some();
        has_resources.then(|| self.reservations.key(&state.interface, flow))
    }
}

/// A flow of a message that came in.
struct Incoming<'a, 'm> {
    received: &'a ReceivedMessage<'m>,
    parts: &'a Parts<'m>,
    descriptor: FlowDescriptor<'m>,
}
