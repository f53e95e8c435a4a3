//! What the PCM decides about a message.

use std::fmt;

use lpm_api::{Decision, LpmHandle, LpmPolicyError};
use smallvec::SmallVec;

/// Flow descriptors of a message that are kept without an allocation: a Path has one, and so has a Resv
/// but for FF-style ones.
const FEW: usize = 2;

/// Something for each flow descriptor of a message.
pub(crate) type PerFlow<T> = SmallVec<[T; FEW]>;

/// Room for something for each flow descriptor of a message, for as long as a function runs.
pub(crate) struct Room<T> {
    few: [T; FEW],
    many: Vec<T>,
}

impl<T: Copy> Room<T> {
    /// Room that is full of `value`.
    #[inline]
    pub(crate) const fn new(value: T) -> Self {
        Self {
            few: [value; FEW],
            many: Vec::new(),
        }
    }

    /// The places of so many flows.
    #[inline]
    pub(crate) fn places(&mut self, count: usize) -> &mut [T] {
        if count <= FEW {
            &mut self.few[..count]
        } else {
            self.many.resize(count, self.few[0]);
            &mut self.many
        }
    }
}

/// The PCM's decision on a message, flow by flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub(crate) flows: PerFlow<FlowVerdict>,
    pub(crate) immediate_refresh: bool,
}

impl Verdict {
    /// The verdict on a message that policy does not decide on.
    #[inline]
    pub(crate) fn undecided() -> Self {
        Self {
            flows: SmallVec::new(),
            immediate_refresh: false,
        }
    }

    /// One verdict per flow descriptor of the message, in its order; none for messages that policy
    /// does not decide on (teardowns, confirmations).
    #[inline]
    #[must_use]
    pub fn flows(&self) -> &[FlowVerdict] {
        &self.flows
    }

    /// Whether an LPM asks for an RSVP refresh at once (lpmapi `FORCE_IMMEDIATE_REFRESH`).
    #[must_use]
    pub const fn immediate_refresh(&self) -> bool {
        self.immediate_refresh
    }

    /// What becomes of the message as a whole.
    ///
    /// It is dropped when a flow says so; otherwise it goes on when at least one of its flows is
    /// accepted (each rejected one gets a ResvErr of its own), and is rejected when none is.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let outcomes = || self.flows.iter().map(FlowVerdict::outcome);
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
