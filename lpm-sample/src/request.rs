//! What a message asks for: flow by flow, who asks, and for what.
//!
//! That depends on the message and on the policy alone, so that for a refresh, which says the same again, it is
//! [remembered](recent).

mod recent;

use std::ops::Deref;
use std::sync::Arc;

use lpm_api::lpm_rsvp::{
    FilterSpec, FlowDescriptor, Message, MessageType, ResvStyle, ServiceRequest,
};
use smallvec::SmallVec;

use crate::identity::{Identified, Identities, Malformed, Subject};
use crate::ledger::Traffic;
use crate::policy::{Policy, Rule};
use lpm_api::FlowKey;

pub(crate) use recent::RecentRequests;

/// A request for one flow.
#[derive(Debug)]
pub(crate) struct Request {
    /// Who asks.
    pub(crate) who: Result<Identified, Malformed>,
    /// What for; `None` for what makes no sense.
    pub(crate) ask: Option<Ask>,
    /// The senders of a shared explicit reservation.
    pub(crate) senders: Senders,
    /// The rule for who asks, where it is the same everywhere and always.
    pub(crate) rule: Option<Rule>,
}

/// Senders of a shared explicit reservation.
pub(crate) type Senders = SmallVec<[FilterSpec; 1]>;

/// What a flow asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(crate) flow: FlowKey,
    pub(crate) traffic: Traffic,
    pub(crate) preemption_priority: Option<u16>,
}

/// The requests of a message, one for each flow descriptor.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "what is not remembered would take an allocation each time"
)]
pub(crate) enum Requests {
    New(SmallVec<[Request; 1]>),
    Remembered(Arc<[Request]>),
}

impl Requests {
    /// Those of a message whose INTEGRITY was verified or not.
    pub(crate) fn of(message: &Message<'_>, integrity_verified: bool, policy: &Policy) -> Requests {
        let accepted = policy.authentication().accepted(integrity_verified);
        let read = || Requests::read(message, integrity_verified, policy);
        policy.recent_requests().of(message, accepted, read)
    }

    fn read(
        message: &Message<'_>,
        integrity_verified: bool,
        policy: &Policy,
    ) -> SmallVec<[Request; 1]> {
        let identities = Identities::of(message, integrity_verified, policy);
        let mut requests = SmallVec::new();
        for flow in message.flow_descriptors() {
            let who = identities.subject(flow.filters());
            let ask = |who: &Identified| {
                Some(Ask {
                    flow: FlowKey::of(message, &flow)?,
                    traffic: requested(&flow)?,
                    preemption_priority: who.preemption_priority,
                })
            };
            requests.push(Request {
                ask: who.as_ref().ok().and_then(ask),
                senders: shared_by(message, &flow).collect(),
                rule: who
                    .as_ref()
                    .ok()
                    .and_then(|who| policy.standing_rule(&who.subject)),
                who,
            });
        }
        requests
    }
}

impl Deref for Requests {
    type Target = [Request];

    fn deref(&self) -> &[Request] {
        match self {
            Requests::New(requests) => requests,
            Requests::Remembered(requests) => requests,
        }
    }
}

impl Request {
    /// Whether it comes from somebody whom the policy lists.
    fn is_of_listed(&self) -> bool {
        let who = self.who.as_ref();
        who.is_ok_and(|who| matches!(who.subject, Subject::User(_) | Subject::Application(_)))
    }
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
    let is_resv = message.message_type() == MessageType::Resv;
    let shared = is_resv && message.style() == Some(ResvStyle::SharedExplicit);
    shared.then(|| flow.filters()).into_iter().flatten()
}
