//! What a message asks for: flow by flow, who asks, and for what.
//!
//! That depends on the message and on the policy alone, so that for a refresh, which says the same again, it is
//! [remembered](crate::recent).

use std::ops::Deref;
use std::sync::Arc;

use lpm_api::FlowKey;
use lpm_api::lpm_rsvp::{Credential, FilterSpec, FlowDescriptor, Message, MessageType, ResvStyle};
use lpm_sample::identity::{Identities, Malformed, UserName};
use smallvec::SmallVec;

use crate::ledger::Traffic;
use crate::policy::{CredentialTypes, Policy, Rule};
use crate::subject::Subject;

/// A request for one flow.
#[derive(Debug)]
pub(crate) struct Request {
    /// Who asks.
    pub(crate) who: Result<Who, Malformed>,
    /// What for; `None` for what makes no sense.
    pub(crate) ask: Option<Ask>,
    /// The senders of a shared explicit reservation.
    pub(crate) senders: Senders,
    /// The rule for who asks, where it is the same everywhere and always.
    pub(crate) rule: Option<Rule>,
}

/// Who asks.
#[derive(Debug)]
pub(crate) struct Who {
    pub(crate) subject: Subject,
    /// The name to look up in a directory, where there is one.
    pub(crate) unlisted_user: Option<Box<UserName>>,
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
pub(crate) enum Requests {
    New(SmallVec<[Request; 1]>),
    Remembered(Arc<[Request]>),
}

impl Requests {
    /// Those of a message of which such credentials are accepted.
    pub(crate) fn read(
        message: &Message<'_>,
        accepted: CredentialTypes,
        policy: &Policy,
    ) -> SmallVec<[Request; 1]> {
        let (users, applications) = (policy.users().names(), policy.applications().names());
        let believes = |credential: Option<&Credential<'_>>| accepted.include_that_of(credential);
        let identities = Identities::of(message, believes, users, applications);
        let mut requests = SmallVec::new();
        for flow in message.flow_descriptors() {
            let identified = identities.subject(flow.filters());
            let ask = |preemption_priority| {
                Some(Ask {
                    flow: FlowKey::of(message, &flow)?,
                    traffic: requested(&flow)?,
                    preemption_priority,
                })
            };
            let asked = identified.as_ref().ok();
            let ask = asked.and_then(|who| ask(who.preemption_priority));
            let who = identified.map(|who| Who {
                subject: who.subject.into(),
                unlisted_user: who.unlisted_user,
            });
            let subject = who.as_ref().ok().map(|who| &who.subject);
            requests.push(Request {
                ask,
                senders: shared_by(message, &flow).collect(),
                rule: subject.and_then(|subject| policy.standing_rule(subject)),
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
            Self::New(requests) => requests,
            Self::Remembered(requests) => requests,
        }
    }
}

impl Request {
    /// Whether it comes from somebody whom the policy lists.
    pub(crate) fn is_of_listed(&self) -> bool {
        let who = self.who.as_ref();
        who.is_ok_and(|who| matches!(who.subject, Subject::User(_) | Subject::Application(_)))
    }
}

/// What a flow asks for: its rate, and the peak rate p of its token bucket, in the Resv as in the
/// Path. A flow without a token bucket, such as one of the null service, has no peak rate.
///
/// `None` if there is no TSpec or FLOWSPEC, or one with values that make no sense.
fn requested(flow: &FlowDescriptor<'_>) -> Option<Traffic> {
    Some(Traffic {
        rate: flow.rate()?,
        peak_rate: flow.tspec().map_or(0.0, |tspec| tspec.peak_rate),
    })
}

/// The senders that share the reservation of a flow: those of the shared explicit style.
fn shared_by(message: &Message<'_>, flow: &FlowDescriptor<'_>) -> impl Iterator<Item = FilterSpec> {
    let is_resv = message.message_type() == MessageType::Resv;
    let shared = is_resv && message.style() == Some(ResvStyle::SharedExplicit);
    shared.then(|| flow.filters()).into_iter().flatten()
}
