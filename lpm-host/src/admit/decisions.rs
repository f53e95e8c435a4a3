//! What the LPMs say about the flows of one message.

use lpm_api::abi::AbiDecision;
use lpm_api::{Decision, LpmHandle};

use crate::Verdict;
use crate::aggregate::{Aggregate, LPM_FAILED};
use crate::verdict::{FlowVerdict, PerFlow, per_flow};

/// The decisions of the LPMs that answered, combined flow by flow.
#[derive(Default)]
pub(crate) struct Decisions {
    flows: PerFlow<Aggregate>,
    immediate_refresh: bool,
}

impl Decisions {
    /// No LPM answered yet.
    #[inline]
    pub(crate) fn new(flow_count: usize) -> Self {
        Self {
            flows: per_flow(Aggregate::EMPTY, flow_count),
            immediate_refresh: false,
        }
    }

    pub(crate) fn flow_count(&self) -> usize {
        self.flows.len()
    }

    /// Adds an LPM's answer; decisions that are none go to `invalid`.
    #[inline]
    pub(crate) fn add(
        &mut self,
        lpm: LpmHandle,
        order: u32,
        decisions: &[AbiDecision],
        mut invalid: impl FnMut(AbiDecision),
    ) {
        for (flow, answered) in self.flows.iter_mut().zip(decisions) {
            let decision = answered.decision().unwrap_or_else(|| {
                invalid(*answered);
                counts_as(*answered)
            });
            flow.add(decision, lpm, order);
        }
    }

    /// Adds that an LPM gave no answer: its flows are rejected.
    #[cold]
    pub(crate) fn add_failure(&mut self, lpm: LpmHandle, order: u32) {
        for flow in &mut self.flows {
            flow.add(Decision::Reject(LPM_FAILED), lpm, order);
        }
    }

    /// An LPM asks for a refresh at once.
    pub(crate) fn refresh_at_once(&mut self) {
        self.immediate_refresh = true;
    }

    /// Adds what other LPMs say.
    pub(crate) fn merge(&mut self, others: &Self) {
        for (flow, other) in self.flows.iter_mut().zip(&others.flows) {
            flow.merge(*other);
        }
        self.immediate_refresh |= others.immediate_refresh;
    }

    /// The verdict, once every LPM answered.
    #[inline]
    pub(crate) fn verdict(&self) -> Verdict {
        let mut flows = per_flow(FlowVerdict::REJECTED, self.flows.len());
        for (verdict, flow) in flows.iter_mut().zip(&self.flows) {
            *verdict = flow.verdict();
        }
        Verdict {
            flows,
            immediate_refresh: self.immediate_refresh,
        }
    }
}

/// What a decision counts as that is none.
#[cold]
fn counts_as(answered: AbiDecision) -> Decision {
    match answered.lpv {
        Decision::LPV_REJECT => Decision::Reject(LPM_FAILED),
        _ => Decision::DontCare,
    }
}
