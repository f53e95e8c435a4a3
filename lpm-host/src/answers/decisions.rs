//! What the LPMs say about the flows of one message.

use lpm_abi::AbiDecision;
use lpm_api::{Decision, LpmHandle, LpmStatus};

use super::aggregate::{Aggregate, LPM_FAILED};
use crate::verdict::{PerFlow, Verdict};

/// The decisions of LPMs that answer in whatever order, combined flow by flow.
pub(crate) struct Decisions {
    flows: PerFlow<Aggregate>,
    immediate_refresh: bool,
    /// Why the first that gave no answer did not.
    failure: LpmStatus,
}

impl Default for Decisions {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Decisions {
    /// No LPM answered yet.
    pub(crate) fn new(flow_count: usize) -> Self {
        Self {
            flows: PerFlow::from_elem(Aggregate::EMPTY, flow_count),
            immediate_refresh: false,
            failure: LpmStatus::OK,
        }
    }

    pub(crate) fn flow_count(&self) -> usize {
        self.flows.len()
    }

    /// Adds an LPM's answer.
    pub(crate) fn add(&mut self, lpm: LpmHandle, order: u32, decisions: &[AbiDecision]) {
        for (flow, answered) in self.flows.iter_mut().zip(decisions) {
            flow.merge(Aggregate::of(counts_as(*answered), lpm, order));
        }
    }

    /// Adds that an LPM gave no answer: its flows are rejected.
    pub(crate) fn add_failure(&mut self, lpm: LpmHandle, order: u32, why: LpmStatus) {
        for flow in &mut self.flows {
            flow.merge(Aggregate::of(FAILED, lpm, order));
        }
        self.note_failure(why);
    }

    fn note_failure(&mut self, why: LpmStatus) {
        if self.failure.is_ok() {
            self.failure = why;
        }
    }

    /// An LPM asks for a refresh at once.
    pub(crate) fn refresh_at_once(&mut self) {
        self.immediate_refresh = true;
    }

    /// Adds what LPMs said at once.
    pub(crate) fn merge(&mut self, flows: &[Aggregate], immediate_refresh: bool, why: LpmStatus) {
        for (flow, other) in self.flows.iter_mut().zip(flows) {
            flow.merge(*other);
        }
        self.immediate_refresh |= immediate_refresh;
        self.note_failure(why);
    }

    /// The verdict, once every LPM answered.
    pub(crate) fn verdict(&self) -> Verdict {
        verdict(&self.flows, self.immediate_refresh, self.failure)
    }
}

/// The verdict on these flows.
pub(crate) fn verdict(flows: &[Aggregate], immediate_refresh: bool, failure: LpmStatus) -> Verdict {
    match flows {
        // As nearly always.
        [flow] if !immediate_refresh && failure.is_ok() => Verdict::of_one(flow.verdict()),
        _ => {
            let flows = flows.iter().map(|flow| flow.verdict());
            Verdict::new(flows, immediate_refresh, failure)
        }
    }
}

/// What an LPM counts as to have said that gave no answer.
pub(crate) const FAILED: AbiDecision = AbiDecision {
    lpv: Decision::LPV_REJECT,
    error_code: LPM_FAILED.code(),
    error_value: LPM_FAILED.value(),
};

/// The decision, or what it counts as if it is none.
#[inline]
pub(crate) fn counts_as(answered: AbiDecision) -> AbiDecision {
    match answered.lpv {
        _ if Decision::from_abi(answered).is_some() => answered,
        Decision::LPV_REJECT => FAILED,
        _ => Decision::DontCare.into(),
    }
}
