//! What a message asks for: flow by flow, who asks, and for what.

use std::sync::Arc;

use lpm_api::FlowKey;
use lpm_api::lpm_rsvp::{FilterSpec, FlowDescriptor, Message, MessageType, ResvStyle, class};
use lpm_sample::identity::{Identified, Identities, Malformed, UserName};
use smallvec::SmallVec;

use crate::ledger::Traffic;
use crate::policy::{Policy, Rule};
use crate::subject::Subject;

/// Who asks with a message.
#[derive(Debug)]
pub(crate) enum Asking<'a> {
    /// Whoever its identities say, flow by flow.
    Read(Identities<'a>),
    /// The same for all flows, by this POLICY_DATA object, which is there in the message.
    Known {
        known: Known,
        object: Arc<[u8]>,
        at: usize,
    },
}

/// A user or an application that the policy lists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    is_user: bool,
    place: usize,
    preemption_priority: Option<u16>,
    /// The rule for this one, where it is the same everywhere and always.
    rule: Option<Rule>,
}

/// A request for one flow.
#[derive(Debug)]
pub(crate) struct Request {
    /// Who asks.
    pub(crate) who: Result<Who, Malformed>,
    /// What for; `None` for what makes no sense.
    pub(crate) ask: Option<Ask>,
    /// The senders of a shared explicit reservation.
    pub(crate) senders: Senders,
}

/// Who asks.
#[derive(Debug)]
pub(crate) struct Who {
    pub(crate) subject: Subject,
    /// The name to look up in a directory, where there is one.
    pub(crate) unlisted_user: Option<Box<UserName>>,
    preemption_priority: Option<u16>,
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

impl Known {
    /// Whoever was identified, if it is somebody whom this policy lists.
    pub(crate) fn of(identified: Identified, policy: &Policy) -> Option<Self> {
        let preemption_priority = identified.preemption_priority;
        let subject = Subject::from(identified.subject);
        let (is_user, place) = match subject {
            Subject::User(place) => (true, place),
            Subject::Application(place) => (false, place),
            _ => return None,
        };
        Some(Self {
            is_user,
            place,
            preemption_priority,
            rule: policy.standing_rule(&subject),
        })
    }

    fn subject(&self) -> Subject {
        if self.is_user {
            Subject::User(self.place)
        } else {
            Subject::Application(self.place)
        }
    }
}

impl From<&Known> for Who {
    fn from(known: &Known) -> Self {
        Self {
            subject: known.subject(),
            unlisted_user: None,
            preemption_priority: known.preemption_priority,
        }
    }
}

impl From<Identified> for Who {
    fn from(identified: Identified) -> Self {
        Self {
            subject: identified.subject.into(),
            unlisted_user: identified.unlisted_user,
            preemption_priority: identified.preemption_priority,
        }
    }
}

impl Asking<'_> {
    /// The rule for who asks, where it is known, and the same everywhere and always.
    pub(crate) fn rule(&self) -> Option<&Rule> {
        match self {
            Self::Read(_) => None,
            Self::Known { known, .. } => known.rule.as_ref(),
        }
    }

    /// What other messages of who asks say, too, and where in the message that is.
    pub(crate) fn common(&self) -> Option<(usize, &Arc<[u8]>)> {
        match self {
            Self::Read(_) => None,
            Self::Known { object, at, .. } => Some((*at, object)),
        }
    }

    /// What is asked for with a flow of the message.
    pub(crate) fn request(&self, message: &Message<'_>, flow: &FlowDescriptor<'_>) -> Request {
        let who = match self {
            Self::Read(identities) => identities.subject(flow.filters()).map(Who::from),
            Self::Known { known, .. } => Ok(Who::from(known)),
        };
        let ask = |preemption_priority| {
            Some(Ask {
                flow: FlowKey::of(message, flow)?,
                traffic: requested(flow)?,
                preemption_priority,
            })
        };
        let asked = who.as_ref().ok();
        Request {
            ask: asked.and_then(|who| ask(who.preemption_priority)),
            senders: shared_by(message, flow),
            who,
        }
    }
}

/// What a flow asks for: its rate, and the peak rate p of its token bucket, in the Resv as in the
/// Path. A flow without a token bucket, such as one of the null service, has no peak rate.
///
/// `None` if there is no TSpec or FLOWSPEC, or one with values that make no sense.
fn requested(flow: &FlowDescriptor<'_>) -> Option<Traffic> {
    if flow.traffic_entry()?.class == class::SENDER_TSPEC {
        return Some(Traffic::of(&flow.tspec()?));
    }
    Some(Traffic {
        rate: flow.rate()?,
        peak_rate: flow.tspec().map_or(0.0, |tspec| tspec.peak_rate),
    })
}

/// The senders that share the reservation of a flow: those of the shared explicit style.
fn shared_by(message: &Message<'_>, flow: &FlowDescriptor<'_>) -> Senders {
    let is_resv = message.message_type() == MessageType::Resv;
    if is_resv && message.style() == Some(ResvStyle::SharedExplicit) {
        flow.filters().collect()
    } else {
        Senders::new()
    }
}
