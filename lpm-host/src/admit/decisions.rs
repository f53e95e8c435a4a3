//! What the LPMs say about the flows of one message.

use std::mem;

use lpm_api::abi::AbiDecision;
use lpm_api::{Decision, LpmHandle};

use crate::aggregate::{Aggregate, LPM_FAILED};
use crate::verdict::{PerFlow, Verdict};

/// The decisions of the LPMs that answered at once, combined flow by flow.
pub(super) struct Gathered<'a> {
    pub(super) flows: &'a mut [Aggregate],
    pub(super) immediate_refresh: bool,
}

impl Gathered<'_> {
    /// Adds the answer of the LPM that is next in configured order, and takes it out of its places.
    /// Decisions that are none go to `invalid`.
    #[inline]
    pub(super) fn add(
        &mut self,
        lpm: LpmHandle,
        order: u32,
        decisions: &mut [AbiDecision],
        mut invalid: impl FnMut(AbiDecision),
    ) {
        for (flow, place) in self.flows.iter_mut().zip(decisions) {
            let answered = mem::replace(place, AbiDecision::UNANSWERED);
            flow.add_next(Aggregate::of(said(answered, &mut invalid), lpm, order));
        }
    }

    /// Adds that the LPM gave no answer: its flows are rejected.
    #[cold]
    pub(super) fn add_failure(&mut self, lpm: LpmHandle, order: u32) {
        for flow in &mut *self.flows {
            flow.add_next(Aggregate::of(FAILED, lpm, order));
        }
    }

    /// Writes the verdict, once every LPM answered.
    #[inline]
    pub(super) fn conclude(&self, verdict: &mut Verdict) {
        conclude(self.flows, self.immediate_refresh, verdict);
    }
}

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
            flow.merge(Aggregate::of(said(*answered, |_| {}), lpm, order));
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
    pub(super) fn merge(&mut self, others: &Gathered<'_>) {
        for (flow, other) in self.flows.iter_mut().zip(&*others.flows) {
            flow.merge(*other);
        }
        self.immediate_refresh |= others.immediate_refresh;
    }

    /// The verdict, once every LPM answered.
    pub(crate) fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::undecided();
        conclude(&self.flows, self.immediate_refresh, &mut verdict);
        verdict
    }
}

#[inline]
fn conclude(flows: &[Aggregate], immediate_refresh: bool, verdict: &mut Verdict) {
    verdict.immediate_refresh = immediate_refresh;
    verdict.flows.clear();
    for flow in flows {
        verdict.flows.push(flow.verdict());
    }
}

const FAILED: AbiDecision = AbiDecision {
    lpv: Decision::LPV_REJECT,
    error_code: LPM_FAILED.code(),
    error_value: LPM_FAILED.value(),
};

/// The decision, or what it counts as if it is none.
#[inline]
fn said(answered: AbiDecision, invalid: impl FnOnce(AbiDecision)) -> AbiDecision {
    if answered.decision().is_some() {
        return answered;
    }
    invalid(answered);
    counts_as(answered)
}

/// What a decision counts as that is none.
#[cold]
fn counts_as(answered: AbiDecision) -> AbiDecision {
    match answered.lpv {
        Decision::LPV_REJECT => FAILED,
        _ => Decision::DontCare.into(),
    }
}
