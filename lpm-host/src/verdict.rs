//! What the PCM decides about a message.

use std::{fmt, iter, slice};

use lpm_api::{Decision, LpmHandle, LpmPolicyError, LpmStatus};
use smallvec::SmallVec;

/// Something for each flow descriptor of a message, kept without an allocation for a few: a Path
/// has one, and so has a Resv but for FF-style ones.
pub(crate) type PerFlow<T> = SmallVec<[T; 2]>;

/// The PCM's decision on a message, flow by flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict(Kind);

/// For nearly every message there is one flow and nothing besides: that is a few words to write.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    OneFlow(FlowVerdict),
    Any {
        flows: PerFlow<FlowVerdict>,
        immediate_refresh: bool,
        /// `OK` where all LPMs answered.
        failure: LpmStatus,
    },
}

impl Verdict {
    /// The verdict on a message that policy does not decide on.
    #[inline]
    pub(crate) fn undecided() -> Self {
        Self::new(iter::empty(), false, LpmStatus::OK)
    }

    /// The verdict on a message about one flow that all LPMs answered, and nothing besides.
    #[inline]
    pub(crate) const fn of_one(flow: FlowVerdict) -> Self {
        Self(Kind::OneFlow(flow))
    }

    /// The verdict on any message.
    pub(crate) fn new(
        flows: impl Iterator<Item = FlowVerdict>,
        immediate_refresh: bool,
        failure: LpmStatus,
    ) -> Self {
        let flows: PerFlow<_> = flows.collect();
        match *flows {
            // So that equal verdicts are alike.
            [flow] if !immediate_refresh && failure.is_ok() => Self::of_one(flow),
            _ => Self(Kind::Any {
                flows,
                immediate_refresh,
                failure,
            }),
        }
    }

    /// One verdict per flow descriptor of the message, in its order; none for messages that policy
    /// does not decide on (teardowns, confirmations).
    #[inline]
    #[must_use]
    pub fn flows(&self) -> &[FlowVerdict] {
        match &self.0 {
            Kind::OneFlow(flow) => slice::from_ref(flow),
            Kind::Any { flows, .. } => flows,
        }
    }

    /// Whether an LPM asks for an RSVP refresh at once (lpmapi `FORCE_IMMEDIATE_REFRESH`).
    #[must_use]
    pub fn immediate_refresh(&self) -> bool {
        matches!(
            self.0,
            Kind::Any {
                immediate_refresh: true,
                ..
            }
        )
    }

    /// Why an LPM gave no answer, so that the flows are rejected: the first that was noticed, where
    /// there are several. It panicked ([`LpmStatus::PANICKED`]), dropped the request
    /// ([`LpmStatus::FORGOTTEN`]), let the time pass ([`LpmStatus::TIME_OUT`]), gave an answer that
    /// is none ([`LpmStatus::INVALID_RESULTS`]), is in quarantine ([`LpmStatus::QUARANTINED`]), or
    /// was stopped first ([`LpmStatus::INVALID_LPM_HANDLE`]). `None` where every LPM answered.
    #[must_use]
    pub fn failure(&self) -> Option<LpmStatus> {
        match self.0 {
            Kind::Any { failure, .. } if !failure.is_ok() => Some(failure),
            _ => None,
        }
    }

    /// What becomes of the message as a whole.
    ///
    /// It is dropped when a flow says so; otherwise it goes on when at least one of its flows is
    /// accepted (each rejected one gets a ResvErr of its own), and is rejected when none is.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let outcomes = || self.flows().iter().map(FlowVerdict::outcome);
        [Outcome::Drop, Outcome::Accept, Outcome::Reject]
            .into_iter()
            .find(|wanted| outcomes().any(|outcome| outcome == *wanted))
            .unwrap_or(Outcome::DontCare)
    }
}

/// The PCM's decision on one flow descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowVerdict {
    /// What holds for the flow; never [`Decision::DontCare`].
    pub decision: Decision,
    /// The LPM whose word it is: the first that rejects or drops, else the one that accepts with
    /// the highest priority. `None` where no LPM had an opinion.
    /// [`Pcm::lpm_name`](crate::Pcm::lpm_name) tells its name.
    pub by: Option<LpmHandle>,
}

impl FlowVerdict {
    /// No LPM accepts the flow.
    pub(crate) const REJECTED: Self = Self {
        decision: Decision::reject(LpmPolicyError::NoAccepts),
        by: None,
    };

    #[inline]
    pub(crate) fn is_accepted(&self) -> bool {
        matches!(self.decision, Decision::Accept(_))
    }

    /// The decision without its details.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.decision {
            Decision::Accept(_) => Outcome::Accept,
            Decision::Reject(_) => Outcome::Reject,
            Decision::DropMessage => Outcome::Drop,
            Decision::DontCare => Outcome::DontCare,
        }
    }
}

/// What becomes of a message or a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It goes on.
    Accept,
    /// It is refused, and the sender told.
    Reject,
    /// It is dropped without a word.
    Drop,
    /// Policy does not decide on it.
    DontCare,
}

impl Outcome {
    /// The outcome in snake_case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Drop => "drop",
            Self::DontCare => "dont_care",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
