//! The layer that the PCM calls.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lpm_api::lpm_rsvp::{FilterSpec, FlowDescriptor, Message, MessageType, ResvStyle};
use lpm_api::{
    AdmitRequest, Answer, CommitResv, Decision, DeleteReason, DeleteState, Direction, FlowKey,
    InitError, InitInfo, Lpm, LpmPolicyError, Metric, PeType, Priority, Statistics,
};
use smallvec::SmallVec;

use crate::identity::{self, Identified, Identities, Malformed};
use crate::ledger::Ledger;
use crate::policy::Policy;
use crate::reason::Asked;
use crate::rule::{Limit, Outcome, asked};

/// The sample LPM.
#[derive(Debug)]
pub struct SampleLpm {
    policy: Policy,
    /// `admit` is called from several threads at a time.
    ledger: Mutex<Ledger>,
    admitted: AtomicU64,
    rejected: AtomicU64,
}

impl Lpm for SampleLpm {
    fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
        Policy::configured(init.config(), init.config_source(), init.config_dir())
            .map(Self::new)
            .map_err(|error| InitError::config(error.to_string()))
    }

    /// All types: two of them, AUTH_USER and AUTH_APP, say who asks, and a message with neither
    /// is decided too.
    fn pe_type(&self) -> PeType {
        PeType::ALL
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        let mut decisions = self.decide(&request.message()).into_iter();
        request.decide(|_| decisions.next().unwrap_or(Decision::DontCare))
    }

    fn explain(
        &self,
        request: &AdmitRequest<'_>,
        flow: &FlowDescriptor<'_>,
        decision: Decision,
    ) -> Option<String> {
        self.reason(&request.message(), flow, decision)
    }

    fn commit_resv(&self, commit: CommitResv<'_>) {
        if let Some(flow) = commit.flow_key() {
            self.ledger().commit(&flow);
        }
    }

    fn delete_state(&self, gone: DeleteState<'_>) {
        for flow in gone.flows() {
            self.release(gone.reason(), &gone.message(), &flow);
        }
    }
}

impl Statistics for SampleLpm {
    fn statistics(&self, report: &mut dyn FnMut(&str, u64)) {
        report("admitted", self.admitted.load(Ordering::Relaxed));
        report("rejected", self.rejected.load(Ordering::Relaxed));
    }
}

impl SampleLpm {
    /// An LPM with this policy, in which nobody has a flow yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            ledger: Mutex::default(),
            admitted: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
        }
    }

    /// Decides on each flow of a message, and counts those that are admitted.
    pub fn decide(&self, message: &Message<'_>) -> SmallVec<[Decision; 8]> {
        let flows = message.flow_descriptors();
        if !matches!(
            message.message_type(),
            MessageType::Path | MessageType::Resv
        ) {
            return flows.map(|_| Decision::accept(Priority::MIN)).collect();
        }
        let (users, applications) = (self.policy.users(), self.policy.applications());
        let identities = Identities::of(message, identity::simple, users, applications);
        let decide = |flow| {
            let decided = self.considered(message, &identities, &flow);
            let counter = if decided.is_ok() {
                &self.admitted
            } else {
                &self.rejected
            };
            counter.fetch_add(1, Ordering::Relaxed);
            decided.unwrap_or_else(Decision::reject)
        };
        flows.map(decide).collect()
    }

    /// Why this was decided on a flow of a message, in words; `None` for messages that ask for
    /// nothing.
    #[must_use]
    pub fn reason(
        &self,
        message: &Message<'_>,
        flow: &FlowDescriptor<'_>,
        decision: Decision,
    ) -> Option<String> {
        let direction = match message.message_type() {
            MessageType::Path => Direction::Sends,
            MessageType::Resv => Direction::Receives,
            _ => return None,
        };
        let (users, applications) = (self.policy.users(), self.policy.applications());
        let identities = Identities::of(message, identity::simple, users, applications);
        let Ok(Identified { subject, .. }) = identities.subject(flow.filters()) else {
            return Some("one of the identities in the message cannot be read".to_owned());
        };
        let Policy { places, .. } = &self.policy;
        let (rule, who) = (self.policy.rule(&subject), places.who(&subject));
        let asked = Asked {
            who: &who,
            rate: flow.rate(),
            peak_rate: None,
            flows: self.ledger().held(&subject, direction),
            sum_rate: None,
            sum_peak_rate: None,
        };
        let of_outcome = places.of_outcome(&subject);
        Some(match (decision, rule.outcome) {
            (Decision::Accept(priority), _) => asked.admitted(priority.value(), of_outcome),
            (_, Outcome::Reject(reason)) => asked.refused(reason, of_outcome),
            _ => match LpmPolicyError::from_value(decision.error_value())? {
                LpmPolicyError::Limit(Metric::FlowRate, scope) => {
                    let Limit::AtMost(most, _) = rule.flow_rate else {
                        return None;
                    };
                    let place = places.of(&subject, scope);
                    asked.exceeds(Metric::FlowRate, &most.to_string(), place)
                }
                LpmPolicyError::Limit(Metric::FlowCount, scope) => {
                    let Limit::AtMost(most, _) = rule.flows else {
                        return None;
                    };
                    let place = places.of(&subject, scope);
                    asked.exceeds(Metric::FlowCount, &most.to_string(), place)
                }
                _ => asked.makes_no_sense(),
            },
        })
    }

    /// Releases what the end of a flow releases; a flow that is not counted is passed over.
    pub fn release(&self, reason: DeleteReason, message: &Message<'_>, flow: &FlowDescriptor<'_>) {
        let Some(key) = FlowKey::of(message, flow) else {
            return;
        };
        let mut ledger = self.ledger();
        match (reason, message.message_type(), message.style()) {
            // Only what was asked for with this message is not to be.
            (DeleteReason::AdmissionControlFailed, ..) => ledger.refuse(&key),
            // A Path that ends takes its reservations with it.
            (_, MessageType::Path | MessageType::PathTear, _) => ledger.release_path(&key),
            // A tear may name some of the senders.
            (_, _, Some(ResvStyle::SharedExplicit)) => {
                ledger.release_senders(&key, &flow.filters().collect::<Vec<_>>());
            }
            _ => ledger.release(&key),
        }
    }

    /// First what the flow is by itself, then what it is together with the subject's others.
    fn considered(
        &self,
        message: &Message<'_>,
        identities: &Identities<'_>,
        flow: &FlowDescriptor<'_>,
    ) -> Result<Decision, LpmPolicyError> {
        let who = identities
            .subject(flow.filters())
            .map_err(|Malformed| LpmPolicyError::UnknownUser)?;
        let rule = self.policy.rule(&who.subject);
        let highest = match rule.outcome {
            Outcome::Admit(priority) => priority,
            Outcome::Reject(reason) => return Err(reason),
        };
        let rate = flow.rate().ok_or(LpmPolicyError::CrazyFlowSpec)?;
        let key = FlowKey::of(message, flow).ok_or(LpmPolicyError::CrazyFlowSpec)?;
        if let Some(scope) = rule
            .flow_rate
            .map(|rate| rate.bytes_per_second())
            .exceeded_by(rate)
        {
            return Err(LpmPolicyError::Limit(Metric::FlowRate, scope));
        }
        self.ledger()
            .admit(key, &who.subject, senders(message, flow), rule.flows)
            .map_err(|scope| LpmPolicyError::Limit(Metric::FlowCount, scope))?;
        Ok(Decision::accept(asked(who.preemption_priority, highest)))
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Also after a panic elsewhere: one failed request must not fail all others.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The senders that share the reservation of a flow: those of the shared explicit style.
fn senders(message: &Message<'_>, flow: &FlowDescriptor<'_>) -> Vec<FilterSpec> {
    let is_resv = message.message_type() == MessageType::Resv;
    let is_shared = is_resv && message.style() == Some(ResvStyle::SharedExplicit);
    let senders = is_shared.then(|| flow.filters());
    senders.into_iter().flatten().collect()
}
