//! What the SBM has to do, with nothing kept but a list of flows: whatever follows from it is
//! worked out anew each time.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole and small numbers"
)]

use std::time::{Duration, SystemTime};

use lpm_api::{CommitDecision, Decision, DeleteReason, Direction, FlowKey, Interface, Priority};
use lpm_host::ReceivedMessage;
use lpm_rsvp::{FilterSpec, FlowDescriptor, MessageType, ServiceRequest};
use lpm_sbm::{
    FlowAnswer, InterfaceName, PathState, PoolConfig, Refusal, RemovalReason, Removed, Resources,
    SbmConfig,
};

use crate::messages::Told;

pub struct Model {
    config: SbmConfig,
    clock: SystemTime,
    flows: Vec<Flow>,
    pub told: Vec<Told>,
}

pub struct Expected {
    pub before: Vec<Removed>,
    pub flows: Vec<FlowAnswer>,
    pub after: Vec<Removed>,
}

#[derive(Clone)]
struct Flow {
    key: FlowKey,
    senders: Vec<FilterSpec>,
    interface: Interface,
    since: SystemTime,
    refreshed: SystemTime,
    refresh_ms: u32,
    /// `None` for a Path.
    request: Option<(ServiceRequest, Priority)>,
}

/// What flows share resources for.
type Group = (u32, FlowKey);

impl Flow {
    fn group(&self) -> Option<Group> {
        self.request.map(|_| group(&self.interface, &self.key))
    }
}

/// Every interface of the tests has a pool of its own.
fn group(interface: &Interface, key: &FlowKey) -> Group {
    let shared = match key.sender() {
        Some(sender) => FlowKey::path(key.session(), sender),
        None => key.start_of_session(),
    };
    (interface.index, shared)
}

fn rate(service: &ServiceRequest) -> u64 {
    let bytes = match service {
        ServiceRequest::ControlledLoad(tspec) => tspec.rate,
        ServiceRequest::Guaranteed(_, rspec) => rspec.rate,
        _ => 0.0,
    };
    // Rates of the tests are whole numbers of kilobytes.
    bytes as u64 * 8
}

impl Model {
    pub fn new(config: SbmConfig) -> Self {
        Self {
            config,
            clock: SystemTime::UNIX_EPOCH,
            flows: Vec::new(),
            told: Vec::new(),
        }
    }

    pub fn flow_count(&self) -> usize {
        self.flows.len()
    }

    pub fn pool(&self, interface: &Interface) -> Option<PoolConfig> {
        let named = |wanted| {
            self.config
                .interfaces
                .iter()
                .find(move |(name, _)| *name == wanted)
        };
        named(InterfaceName::Index(interface.index))
            .or(named(InterfaceName::Any))
            .map(|(_, pool)| *pool)
    }

    pub fn allocated(&self, interface: &Interface) -> u128 {
        self.groups(interface)
            .into_iter()
            .map(|group| u128::from(self.rate(group)))
            .sum()
    }

    pub fn receive(&mut self, received: &ReceivedMessage<'_>, decisions: &[Decision]) -> Expected {
        self.clock = self.clock.max(received.received);
        let mut expected = Expected {
            before: Vec::new(),
            flows: Vec::new(),
            after: Vec::new(),
        };
        while let Some((time, flow, reason)) = self.first_over() {
            self.remove(
                flow,
                time,
                RemovalReason::Deleted(reason),
                &mut expected.before,
            );
        }
        let message = received.message;
        let kind = message.message_type();
        for (descriptor, decision) in message.flow_descriptors().zip(decisions) {
            let key = FlowKey::of(&message, &descriptor).unwrap();
            let mut senders: Vec<_> = descriptor.filters().collect();
            senders.sort();
            let after = &mut expected.after;
            match (kind, decision) {
                (MessageType::PathTear, _) => {
                    self.forget(key, DeleteReason::ReceivedPathTear, after);
                }
                (MessageType::ResvTear, _) => {
                    if senders.is_empty() || !self.leave_out(key, &senders) {
                        self.forget(key, DeleteReason::ReceivedResvTear, after);
                    }
                }
                (_, Decision::Accept(priority)) => {
                    let answer =
                        self.accepted(received, &descriptor, key, senders, *priority, after);
                    expected.flows.push(answer);
                }
                _ => {
                    self.forget(key, DeleteReason::AdmissionControlFailed, after);
                    expected.flows.push(FlowAnswer::default());
                }
            }
        }
        expected
    }

    /// The flow that is over first, if some is, with the time and the reason.
    fn first_over(&self) -> Option<(SystemTime, FlowKey, DeleteReason)> {
        let over = self.flows.iter().map(|flow| {
            let k = f64::from(self.config.missed_refreshes);
            let lifetime = (k + 0.5) * 1.5 * f64::from(flow.refresh_ms);
            let timeout = flow.refreshed + Duration::from_millis(lifetime as u64);
            match self.config.max_flow_duration {
                Some(longest) if flow.since + longest < timeout => {
                    (flow.since + longest, flow.key, DeleteReason::FlowDuration)
                }
                _ => (timeout, flow.key, DeleteReason::StateTimeout),
            }
        });
        over.filter(|(time, ..)| *time < self.clock)
            .min_by_key(|(time, key, _)| (*time, *key))
    }

    fn accepted(
        &mut self,
        received: &ReceivedMessage<'_>,
        descriptor: &FlowDescriptor<'_>,
        key: FlowKey,
        senders: Vec<FilterSpec>,
        priority: Priority,
        after: &mut Vec<Removed>,
    ) -> FlowAnswer {
        let mut answer = FlowAnswer::default();
        let old = self.flows.iter().find(|flow| flow.key == key).cloned();
        let is_path = key.direction() == Direction::Sends;
        let flow = Flow {
            key,
            senders,
            interface: received.interface,
            since: old.as_ref().map_or(self.clock, |old| old.since),
            refreshed: self.clock,
            refresh_ms: received.message.time_values().unwrap().refresh_ms,
            request: (!is_path)
                .then(|| (descriptor.flow_spec().unwrap().service().unwrap(), priority)),
        };
        let result = if old.is_none() && self.flows.len() >= self.config.max_flows {
            Err(Refusal::TableFull)
        } else if is_path {
            Ok(None)
        } else {
            let path = self.path(&flow);
            answer.path = Some(path);
            match path {
                PathState::NoPath if self.config.require_path => Err(Refusal::NoPath),
                PathState::NoSender if self.config.require_path => Err(Refusal::NoSender),
                _ => self.resources(&flow, after).map(Some),
            }
        };
        match result {
            Ok(resources) => {
                answer.resources = resources;
                let before = old.as_ref().and_then(Flow::group);
                let left = before.filter(|before| Some(*before) != flow.group());
                let left = left.map(|left| (left, self.merged(left), self.senders(left)));
                self.flows.retain(|flow| flow.key != key);
                self.flows.push(flow.clone());
                if let Some((left, merged, senders)) = left {
                    self.commit_remaining(left, merged, senders);
                }
                let decision = match resources {
                    Some(Resources::Allocated) => Some(CommitDecision::ResourcesAllocated),
                    Some(Resources::Modified) => Some(CommitDecision::ResourcesModified),
                    _ => None,
                };
                if let Some(decision) = decision {
                    self.told.push(Told::Committed {
                        flow: key,
                        interface: flow.interface.index,
                        merged: self.merged(flow.group().unwrap()).unwrap(),
                        decision,
                    });
                }
            }
            Err(refusal) => {
                answer.refusal = Some(refusal);
                answer.resources = match (is_path, old) {
                    (true, _) => None,
                    (false, Some(_)) => Some(Resources::RefusedInPlace),
                    (false, None) => Some(Resources::Refused),
                };
                self.told.push(Told::Deleted {
                    flow: key,
                    senders: flow.senders,
                    interface: flow.interface.index,
                    reason: DeleteReason::AdmissionControlFailed,
                });
            }
        }
        answer
    }

    fn path(&self, flow: &Flow) -> PathState {
        let paths: Vec<_> = self
            .flows
            .iter()
            .filter(|other| other.request.is_none() && other.key.is_of_session(&flow.key))
            .map(|path| path.senders[0])
            .collect();
        if paths.is_empty() {
            PathState::NoPath
        } else if flow.senders.is_empty()
            || flow.senders.iter().any(|sender| paths.contains(sender))
        {
            PathState::Known
        } else {
            PathState::NoSender
        }
    }

    /// What becomes of a Resv's resources. Flows that give way are removed.
    fn resources(&mut self, flow: &Flow, after: &mut Vec<Removed>) -> Result<Resources, Refusal> {
        let (service, priority) = flow.request.unwrap();
        let group = flow.group().unwrap();
        let pool = self.pool(&flow.interface);
        let asked = rate(&service);
        if let Some(limit) = pool
            .and_then(|pool| pool.max_per_flow)
            .filter(|limit| asked > *limit)
        {
            return Err(Refusal::TooMuchPerFlow { asked, limit });
        }
        let (before, senders_before) = (self.merged(group), self.senders(group));
        // As it would be.
        let mut next = self.flows.clone();
        next.retain(|other| other.key != flow.key);
        next.push(flow.clone());
        let next = Self {
            config: self.config.clone(),
            clock: self.clock,
            flows: next,
            told: Vec::new(),
        };
        let merged = next.merged(group).ok_or(Refusal::ServiceConflict)?;
        let asked = rate(&merged);
        if let Some(pool) = pool.filter(|_| asked > before.map_or(0, |before| rate(&before))) {
            let others = self
                .groups(&flow.interface)
                .into_iter()
                .filter(|other| *other != group);
            let mut others: Vec<_> = others.map(|other| (self.priority(other), other)).collect();
            let taken: u64 = others.iter().map(|(_, other)| self.rate(*other)).sum();
            let mut free = pool.bandwidth - taken;
            let mut preempted = Vec::new();
            others.sort();
            for (theirs, other) in others {
                if free < asked && pool.preemption && theirs < priority && self.rate(other) > 0 {
                    free += self.rate(other);
                    preempted.push(other);
                }
            }
            if free < asked {
                return Err(Refusal::Bandwidth { asked, free });
            }
            for group in preempted {
                for key in self.keys(group) {
                    self.remove(key, self.clock, RemovalReason::Preempted, after);
                }
            }
        }
        Ok(match before {
            None => Resources::Allocated,
            Some(before) if before == merged && senders_before == next.senders(group) => {
                Resources::Unchanged
            }
            Some(_) => Resources::Modified,
        })
    }

    fn forget(&mut self, key: FlowKey, reason: DeleteReason, after: &mut Vec<Removed>) {
        if let Some(at) = self.flows.iter().position(|flow| flow.key == key) {
            self.take(at);
            self.after_path(key, self.clock, RemovalReason::Deleted(reason), after);
        }
    }

    fn remove(
        &mut self,
        key: FlowKey,
        time: SystemTime,
        reason: RemovalReason,
        removed: &mut Vec<Removed>,
    ) {
        let at = self.flows.iter().position(|flow| flow.key == key).unwrap();
        let flow = self.flows[at].clone();
        self.told.push(Told::Deleted {
            flow: key,
            senders: flow.senders.clone(),
            interface: flow.interface.index,
            reason: reason.told(),
        });
        self.take(at);
        removed.push(Removed {
            time,
            flow: key,
            senders: flow.senders,
            interface: flow.interface,
            reason,
        });
        self.after_path(key, time, reason, removed);
    }

    /// Takes a flow off the list; what it had a part in may change.
    fn take(&mut self, at: usize) {
        match self.flows[at].group() {
            Some(group) => {
                let (merged, senders) = (self.merged(group), self.senders(group));
                self.flows.remove(at);
                self.commit_remaining(group, merged, senders);
            }
            None => drop(self.flows.remove(at)),
        }
    }

    fn after_path(
        &mut self,
        path: FlowKey,
        time: SystemTime,
        reason: RemovalReason,
        removed: &mut Vec<Removed>,
    ) {
        if path.direction() != Direction::Sends {
            return;
        }
        let sender = path.sender().unwrap();
        let of_session = |flow: &&Flow| flow.key.is_of_session(&path);
        let is_last = !self
            .flows
            .iter()
            .filter(of_session)
            .any(|flow| flow.request.is_none());
        let mut reservations: Vec<_> = self.flows.iter().filter(of_session).cloned().collect();
        reservations.retain(|flow| flow.request.is_some());
        reservations.sort_by_key(|flow| flow.key);
        for flow in reservations {
            let is_gone = if flow.senders.is_empty() {
                is_last
            } else {
                flow.senders.contains(&sender) && !self.leave_out(flow.key, &[sender])
            };
            if is_gone {
                self.remove(flow.key, time, reason, removed);
            }
        }
    }

    /// Whether senders are left.
    fn leave_out(&mut self, key: FlowKey, gone: &[FilterSpec]) -> bool {
        let Some(at) = self.flows.iter().position(|flow| flow.key == key) else {
            return false;
        };
        let mut left = self.flows[at].senders.clone();
        left.retain(|sender| !gone.contains(sender));
        if left.is_empty() {
            return false;
        }
        let group = self.flows[at].group().unwrap();
        let (merged, senders) = (self.merged(group), self.senders(group));
        self.flows[at].senders = left;
        self.commit_remaining(group, merged, senders);
        true
    }

    /// Policy is told if something is left of the group, and that has changed.
    fn commit_remaining(
        &mut self,
        group: Group,
        merged: Option<ServiceRequest>,
        senders: Vec<Option<FilterSpec>>,
    ) {
        let now = self.merged(group);
        if let Some(now) = now.filter(|_| now != merged || self.senders(group) != senders) {
            let first = self.keys(group)[0];
            let flow = self.flows.iter().find(|flow| flow.key == first).unwrap();
            self.told.push(Told::Committed {
                flow: first,
                interface: flow.interface.index,
                merged: now,
                decision: CommitDecision::ResourcesModified,
            });
        }
    }

    /// The flows that share a group's resources, in order.
    fn keys(&self, group: Group) -> Vec<FlowKey> {
        let members = self.flows.iter().filter(|flow| flow.group() == Some(group));
        let mut keys: Vec<_> = members.map(|flow| flow.key).collect();
        keys.sort();
        keys
    }

    fn groups(&self, interface: &Interface) -> Vec<Group> {
        let groups = self.flows.iter().filter_map(Flow::group);
        let mut groups: Vec<_> = groups
            .filter(|(index, _)| *index == interface.index)
            .collect();
        groups.sort();
        groups.dedup();
        groups
    }

    fn merged(&self, group: Group) -> Option<ServiceRequest> {
        let members = self.flows.iter().filter(|flow| flow.group() == Some(group));
        let mut services = members.map(|flow| flow.request.unwrap().0);
        let first = services.next()?;
        services.try_fold(first, |merged, service| merged.merge(&service))
    }

    fn rate(&self, group: Group) -> u64 {
        self.merged(group).map_or(0, |merged| rate(&merged))
    }

    fn senders(&self, group: Group) -> Vec<Option<FilterSpec>> {
        let members = self.flows.iter().filter(|flow| flow.group() == Some(group));
        let mut senders = Vec::new();
        for flow in members {
            match flow.senders.is_empty() {
                true => senders.push(None),
                false => senders.extend(flow.senders.iter().copied().map(Some)),
            }
        }
        senders.sort();
        senders.dedup();
        senders
    }

    fn priority(&self, group: Group) -> Priority {
        let members = self.flows.iter().filter(|flow| flow.group() == Some(group));
        members.map(|flow| flow.request.unwrap().1).max().unwrap()
    }
}
