//! What the SBM says about a message.

use std::time::SystemTime;

use lpm_api::{DeleteReason, FlowKey, Interface};
use lpm_rsvp::FilterSpec;
use serde::Serialize;
use smallvec::SmallVec;

use crate::path_state::PathState;
use crate::receipt::Receipt;
use crate::refusal::Refusal;

/// What became of a message.
#[derive(Debug)]
pub struct Answer<V> {
    /// State that ran out before the message came.
    pub before: Vec<Removed>,
    /// The policy's verdict.
    pub verdict: V,
    /// What the SBM did, one for each flow descriptor of a Path or Resv; empty for other messages.
    pub flows: SmallVec<[FlowAnswer; 1]>,
    /// State that is gone because of the message, besides what the message itself is about.
    pub after: Vec<Removed>,
    /// Of a message about one flow, whose state is what the message says: with it, the same message
    /// is taken in again in less time ([`Sbm::receive_again`](crate::Sbm::receive_again)).
    pub receipt: Option<Receipt>,
}

/// What became of a message that came before.
#[derive(Debug)]
pub enum Again<V> {
    /// What was kept for it is kept on, and nothing else happened: an [`Answer`] would say only
    /// this, and take longer to make and to look through.
    Refreshed {
        /// The policy's verdict, which accepts its one flow.
        verdict: V,
        /// As [`Answer::receipt`].
        receipt: Receipt,
    },
    /// Anything else.
    Answered(Answer<V>),
}

impl<V> Again<V> {
    /// As [`Sbm::receive`](crate::Sbm::receive) answers.
    pub fn into_answer(self) -> Answer<V> {
        match self {
            Self::Refreshed { verdict, receipt } => Answer {
                before: Vec::new(),
                verdict,
                flows: SmallVec::from_buf([FlowAnswer::refreshed(receipt.path)]),
                after: Vec::new(),
                receipt: Some(receipt),
            },
            Self::Answered(answer) => answer,
        }
    }
}

/// What the SBM did about a flow that policy has decided on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowAnswer {
    /// For a Resv: whether the SBM knows Path state for it.
    pub path: Option<PathState>,
    /// What became of the resources that an accepted Resv asks for.
    pub resources: Option<Resources>,
    /// Why the SBM refuses what policy has accepted.
    pub refusal: Option<Refusal>,
}

impl FlowAnswer {
    /// What was kept before, was kept on.
    pub(crate) fn refreshed(path: Option<PathState>) -> Self {
        Self {
            path,
            resources: path.map(|_| Resources::Unchanged),
            refusal: None,
        }
    }
}

/// What became of the resources that a Resv asks for. Serialized in snake_case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resources {
    /// Newly reserved.
    Allocated,
    /// Reserved before, and now more, less, or for other senders.
    Modified,
    /// Reserved before: a refresh, or what another next hop asked for already.
    Unchanged,
    /// Refused; what was reserved before stays (RFC 2205 §3.1.8, InPlace).
    RefusedInPlace,
    /// Refused, and nothing was reserved before.
    Refused,
}

/// State that the SBM has removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Removed {
    /// When, by the clock of the messages.
    pub time: SystemTime,
    /// Which flow's.
    pub flow: FlowKey,
    /// Its senders; empty for a reservation for any.
    pub senders: Vec<FilterSpec>,
    /// The interface on which its messages came in.
    pub interface: Interface,
    /// Why.
    pub reason: RemovalReason,
}

/// Why the SBM has removed state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalReason {
    /// For this reason; a reservation may be gone since the Path state that it answers is.
    Deleted(DeleteReason),
    /// Its resources went to a reservation with a higher priority.
    Preempted,
}

impl RemovalReason {
    /// The reason in snake_case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deleted(DeleteReason::ReceivedPathTear) => "received_path_tear",
            Self::Deleted(DeleteReason::ReceivedResvTear) => "received_resv_tear",
            Self::Deleted(DeleteReason::StateTimeout) => "state_timeout",
            Self::Deleted(DeleteReason::FlowDuration) => "flow_duration",
            Self::Deleted(_) => "admission_control_failed",
            Self::Preempted => "preempted",
        }
    }

    /// The reason that LPMs are told.
    #[must_use]
    pub fn told(self) -> DeleteReason {
        match self {
            Self::Deleted(reason) => reason,
            Self::Preempted => DeleteReason::AdmissionControlFailed,
        }
    }
}
