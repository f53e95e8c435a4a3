//! What the LPMs say about the flows of one message.

use lpm_abi::AbiDecision;
use lpm_api::{Decision, LpmHandle};

use super::aggregate::{Aggregate, LPM_FAILED};
use crate::verdict::{PerFlow, Verdict};

/// The decisions of LPMs that answer in whatever order, combined flow by flow.
#[derive(Default)]
pub(crate) struct Decisions {
    flows: PerFlow<Aggregate>,
    immediate_refresh: bool,
}

impl Decisions {
    /// No LPM answered yet.
    pub(crate) fn new(flow_count: usize) -> Self {
        Self {
            flows: PerFlow::from_elem(Aggregate::EMPTY, flow_count),
            immediate_refresh: false,
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
    pub(crate) fn add_failure(&mut self, lpm: LpmHandle, order: u32) {
        for flow in &mut self.flows {
            flow.merge(Aggregate::of(FAILED, lpm, order));
        }
    }

    /// An LPM asks for a refresh at once.
    pub(crate) fn refresh_at_once(&mut self) {
        self.immediate_refresh = true;
    }

    /// Adds what LPMs said at once.
    pub(crate) fn merge(&mut self, flows: &[Aggregate], immediate_refresh: bool) {
        for (flow, other) in self.flows.iter_mut().zip(flows) {
            flow.merge(*other);
        }
        self.immediate_refresh |= immediate_refresh;
    }

    /// The verdict, once every LPM answered.
    pub(crate) fn verdict(&self) -> Verdict {
        verdict(&self.flows, self.immediate_refresh)
    }
}

/// The verdict on these flows.
pub(crate) fn verdict(flows: &[Aggregate], immediate_refresh: bool) -> Verdict {
    Verdict {
        flows: flows.iter().map(|flow| flow.verdict()).collect(),
        immediate_refresh,
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
