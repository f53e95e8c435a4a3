//! From a message to its decisions.

use std::sync::RwLockReadGuard;
use std::time::SystemTime;

use lpm_api::lpm_rsvp::{
    FilterSpec, FlowDescriptor, Message, MessageType, ResvStyle, ServiceRequest,
};
use lpm_api::{Decision, Interface, LpmPolicyError, Metric, Priority};

use crate::desk::{Desk, InForce};
use crate::flow::FlowKey;
use crate::identity::{Identified, Identities, Malformed};
use crate::ledger::{Claim, Traffic};
use crate::policy::{Here, Limits, Outcome, Policy};
use crate::units::Rate;

/// What the PCM says of a message beside what is in it.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The interface it came in on.
    pub interface: Interface,
    /// When it was received.
    pub received: SystemTime,
    /// Whether it bore an INTEGRITY object that the PCM verified.
    pub integrity_verified: bool,
}

/// A message that is to be decided on: who asks, where and when, and the policy in force.
///
/// A policy that is put in force meanwhile waits until the consideration is dropped.
#[derive(Debug)]
pub struct Consideration<'a> {
    desk: &'a Desk,
    in_force: RwLockReadGuard<'a, InForce>,
    message: Message<'a>,
    identities: Identities<'a>,
    here: Here,
}

impl<'a> Consideration<'a> {
    pub(crate) fn new(desk: &'a Desk, message: Message<'a>, facts: Facts) -> Consideration<'a> {
        let in_force = desk.in_force();
        let policy = &in_force.policy;
        Consideration {
            desk,
            message,
            identities: Identities::of(&message, facts.integrity_verified, policy),
            here: policy.here(facts.interface, facts.received),
            in_force,
        }
    }

    /// Decides on one flow of the message, and counts it if it is admitted.
    ///
    /// Errors on their way back ask for nothing, and pass with the lowest priority: with no opinion
    /// of any LPM, the PCM would refuse them.
    pub fn decide(&self, flow: &FlowDescriptor<'_>) -> Decision {
        if !matches!(
            self.message.message_type(),
            MessageType::Path | MessageType::Resv
        ) {
            return Decision::accept(Priority::MIN);
        }
        match self.admitted(flow) {
            Ok(priority) => Decision::accept(priority),
            Err(reason) => Decision::reject(reason),
        }
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.in_force.policy
    }

    /// The priority a flow is admitted with, or the reason why it is not.
    fn admitted(&self, flow: &FlowDescriptor<'_>) -> Result<Priority, LpmPolicyError> {
        let Identified {
            subject,
            preemption_priority,
        } = self
            .identities
            .subject(flow.filters())
            .map_err(|Malformed| LpmPolicyError::UnknownUser)?;
        let policy = self.policy();
        let rule = policy.rule(&subject, &self.here);
        let highest = match rule.outcome {
            Outcome::Admit(priority) => priority,
            Outcome::Reject(reason) => return Err(reason),
        };

        let traffic = requested(flow).ok_or(LpmPolicyError::CrazyFlowSpec)?;
        let key = FlowKey::of(&self.message, flow).ok_or(LpmPolicyError::CrazyFlowSpec)?;
        check_rates(traffic, &rule.limits)?;
        let subnet = self.here.subnet();
        let claim = Claim {
            flow: key,
            subject: &subject,
            policy,
            subnet: subnet.map(|place| self.in_force.subnets[place]),
            traffic,
            received: self.here.received(),
        };
        let senders = shared_by(&self.message, flow);
        self.desk.ledger().admit(&claim, senders, &rule.limits)?;
        Ok(asked(preemption_priority, highest))
    }
}

/// The priority a flow asks for, but at most the highest it may have.
pub(crate) fn asked(preemption_priority: Option<u16>, highest: Priority) -> Priority {
    let asked = preemption_priority.and_then(|asked| Priority::new(asked.max(1)));
    asked.map_or(highest, |asked| asked.min(highest))
}

/// The limits on each flow alone.
pub(crate) fn check_rates(traffic: Traffic, limits: &Limits) -> Result<(), LpmPolicyError> {
    for (metric, limit, rate) in [
        (Metric::FlowRate, limits.flow_rate, traffic.rate),
        (Metric::PeakRate, limits.peak_rate, traffic.peak_rate),
    ] {
        if let Some(scope) = limit.map(Rate::bytes_per_second).exceeded_by(rate) {
            return Err(LpmPolicyError::Limit(metric, scope));
        }
    }
    Ok(())
}

/// What a flow asks for. Where the service is guaranteed, its rate is the rate R to be reserved
/// (RFC 2212), else the token rate r; its peak rate is p, in the Resv as in the Path. The null
/// service (RFC 2997) asks for no rate.
///
/// `None` if there is no TSpec or FLOWSPEC, or one with values that make no sense.
fn requested(flow: &FlowDescriptor<'_>) -> Option<Traffic> {
    let Some(flow_spec) = flow.flow_spec() else {
        return Some(Traffic::of(&flow.tspec()?));
    };
    match flow_spec.service() {
        Ok(ServiceRequest::Guaranteed(tspec, rspec)) => Some(Traffic {
            rate: rspec.rate,
            ..Traffic::of(&tspec)
        }),
        Ok(ServiceRequest::Null { .. }) => Some(Traffic::default()),
        // A service we do not know may still have a token bucket.
        _ => flow_spec.tspec().ok().map(|tspec| Traffic::of(&tspec)),
    }
}

/// The senders that share the reservation of a flow: those of the shared explicit style.
fn shared_by(message: &Message<'_>, flow: &FlowDescriptor<'_>) -> impl Iterator<Item = FilterSpec> {
    let shared = message.style() == Some(ResvStyle::SharedExplicit);
    flow.filters().filter(move |_| shared)
}
