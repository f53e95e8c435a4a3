//! The layer that the PCM calls.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lpm_api::lpm_rsvp::{
    FilterSpec, FlowDescriptor, Message, MessageType, ResvStyle, ServiceRequest,
};
use lpm_api::{
    AdmitRequest, Answer, Decision, DeleteReason, DeleteState, FlowKey, InitError, InitInfo, Lpm,
    LpmPolicyError, Metric, PeType, Priority,
};

use crate::identity::{Identities, Malformed};
use crate::limits::Ledger;
use crate::policy::{Outcome, Policy};
use crate::units::Rate;

/// The identity LPM.
#[derive(Debug)]
pub struct IdentityLpm {
    policy: Policy,
    ledger: Mutex<Ledger>,
}

impl Lpm for IdentityLpm {
    fn initialize(init: InitInfo<'_>) -> Result<IdentityLpm, InitError> {
        Policy::load(init.config(), init.config_source(), init.config_dir())
            .map(IdentityLpm::new)
            .map_err(|error| InitError::config(error.to_string()))
    }

    /// All types: two of them, AUTH_USER and AUTH_APP, say who asks, and a message with neither
    /// is decided too.
    fn pe_type(&self) -> PeType {
        PeType::ALL
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        let message = request.message();
        let identities = Identities::of(&message, &self.policy);
        request.decide(|flow| self.decide(&message, &identities, &flow))
    }

    fn delete_state(&self, request: DeleteState<'_>) {
        for flow in request.flows() {
            self.release(request.reason(), &request.message(), &flow);
        }
    }

    // `deinitialize` is the trait's own: policy and ledger are dropped with the LPM, and it holds
    // no connection, thread or file.
}

impl IdentityLpm {
    /// An LPM with this policy, in which nobody has a flow yet.
    pub fn new(policy: Policy) -> IdentityLpm {
        let ledger = Mutex::new(Ledger::new(&policy));
        IdentityLpm { policy, ledger }
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Decides on one flow of a message whose [`Identities`] were looked up in
    /// [`policy`](Self::policy), and counts the flow if it is admitted.
    ///
    /// Errors on their way back ask for nothing, and pass with the lowest priority: with no opinion
    /// of any LPM, the PCM would refuse them.
    pub fn decide(
        &self,
        message: &Message<'_>,
        identities: &Identities<'_>,
        flow: &FlowDescriptor<'_>,
    ) -> Decision {
        if !matches!(
            message.message_type(),
            MessageType::Path | MessageType::Resv
        ) {
            return Decision::accept(Priority::MIN);
        }
        match self.admitted(message, identities, flow) {
            Ok(priority) => Decision::accept(priority),
            Err(reason) => Decision::reject(reason),
        }
    }

    /// Releases what the end of a flow releases; a flow that is not counted is passed over.
    pub fn release(&self, reason: DeleteReason, message: &Message<'_>, flow: &FlowDescriptor<'_>) {
        let Some(key) = FlowKey::of(message, flow) else {
            return;
        };
        let mut ledger = self.ledger();
        let rejected = reason == DeleteReason::AdmissionControlFailed;
        match (message.message_type(), message.style()) {
            // A Path that is rejected takes nothing with it; one that ends takes its reservations.
            (MessageType::Path | MessageType::PathTear, _) if !rejected => {
                ledger.release_path(&key);
            }
            // A tear may name some of the senders; a rejected reservation is gone as a whole.
            (_, Some(ResvStyle::SharedExplicit)) if !rejected => {
                ledger.release_senders(&key, flow.filters());
            }
            _ => ledger.release(&key),
        }
    }

    /// The priority a flow is admitted with, or the reason why it is not.
    fn admitted(
        &self,
        message: &Message<'_>,
        identities: &Identities<'_>,
        flow: &FlowDescriptor<'_>,
    ) -> Result<Priority, LpmPolicyError> {
        let subject = identities
            .subject(flow.filters())
            .map_err(|Malformed| LpmPolicyError::UnknownUser)?;
        let rule = self.policy.rule(&subject);
        let priority = match rule.outcome {
            Outcome::Admit(priority) => priority,
            Outcome::Reject(reason) => return Err(reason),
        };

        let rate = requested_rate(flow).ok_or(LpmPolicyError::CrazyFlowSpec)?;
        let key = FlowKey::of(message, flow).ok_or(LpmPolicyError::CrazyFlowSpec)?;
        if let Some(scope) = rule
            .max_flow_rate
            .map(Rate::bytes_per_second)
            .exceeded_by(rate)
        {
            return Err(LpmPolicyError::Limit(Metric::FlowRate, scope));
        }
        let senders = shared_by(message, flow);
        self.ledger()
            .count(key, senders, &subject, rule.max_flows)
            .map_err(|scope| LpmPolicyError::Limit(Metric::FlowCount, scope))?;
        Ok(priority)
    }

    /// The ledger, also after a panic elsewhere: each of its changes is complete or was not begun,
    /// and one failed request must not fail all others.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rate a flow asks for, in bytes per second: the rate R to be reserved where the service is
/// guaranteed (RFC 2212), else the token rate r. The null service (RFC 2997) asks for none.
///
/// `None` if there is no TSpec or FLOWSPEC, or one with values that make no sense.
fn requested_rate(flow: &FlowDescriptor<'_>) -> Option<f32> {
    let Some(flow_spec) = flow.flow_spec() else {
        return Some(flow.tspec()?.rate);
    };
    match flow_spec.service() {
        Ok(ServiceRequest::Guaranteed(_, rspec)) => Some(rspec.rate),
        Ok(ServiceRequest::Null { .. }) => Some(0.0),
        // A service we do not know may still have a token bucket.
        _ => flow_spec.tspec().ok().map(|tspec| tspec.rate),
    }
}

/// The senders that share the reservation of a flow: those of the shared explicit style.
fn shared_by(message: &Message<'_>, flow: &FlowDescriptor<'_>) -> impl Iterator<Item = FilterSpec> {
    let shared = message.style() == Some(ResvStyle::SharedExplicit);
    flow.filters().filter(move |_| shared)
}
