//! How the answers of several LPMs become one.
//!
//! | any LPM says, for a flow | the PCM says |
//! |---|---|
//! | reject, or it failed | reject, with the first such LPM's reason in configured order |
//! | drop the message | drop |
//! | accept | accept, with the highest priority among those accepting |
//! | only "don't care" | reject, code 2, value 55 (`POLICY_ERRV_NO_ACCEPTS`) |
//!
//! The topmost row that applies holds.

use std::cmp::Reverse;

use lpm_api::{Decision, LpmHandle, LpmPolicyError, RejectReason};

use crate::FlowVerdict;

/// The reason given when an LPM failed: policy control failure, `POLICY_ERRV_NO_RESOURCES`.
pub(crate) const LPM_FAILED: RejectReason = RejectReason::policy(LpmPolicyError::NoResources);

/// What the LPMs that answered say about one flow. The order in which they answer does not matter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aggregate {
    decision: Decision,
    by: Option<LpmHandle>,
    /// The place of `by` in configured order.
    order: u32,
}

impl Aggregate {
    /// No LPM has answered yet.
    pub(crate) const EMPTY: Self = Self {
        decision: Decision::DontCare,
        by: None,
        order: u32::MAX,
    };

    /// Adds what an LPM says that is number `order` of those configured.
    #[inline]
    pub(crate) fn add(&mut self, decision: Decision, by: LpmHandle, order: u32) {
        self.merge(Self {
            decision,
            by: Some(by),
            order,
        });
    }

    /// Adds what other LPMs say.
    #[inline]
    pub(crate) fn merge(&mut self, other: Self) {
        let weight = |aggregate: &Self| (rank(aggregate.decision), Reverse(aggregate.order));
        if weight(&other) > weight(self) {
            *self = other;
        }
    }

    /// The verdict, once every LPM was asked.
    #[inline]
    pub(crate) fn verdict(self) -> FlowVerdict {
        match self.decision {
            Decision::DontCare => FlowVerdict::REJECTED,
            decision => FlowVerdict {
                decision,
                by: self.by,
            },
        }
    }
}

/// How much a decision weighs; accepting ones by their priority.
fn rank(decision: Decision) -> u32 {
    match decision {
        Decision::DontCare => 0,
        Decision::Accept(priority) => priority.value().into(),
        Decision::DropMessage => 0x1_0000,
        Decision::Reject(_) => 0x1_0001,
    }
}

#[cfg(test)]
mod tests {
    use lpm_api::Priority;
    use proptest::prelude::*;

    use super::*;

    fn any_decision() -> impl Strategy<Value = Decision> {
        prop_oneof![
            (1..=0xFF00u16).prop_map(|value| Decision::Accept(Priority::new(value).unwrap())),
            (1..=u16::MAX, 1..=u16::MAX).prop_map(|(code, value)| Decision::Reject(
                RejectReason::new(code, value).unwrap()
            )),
            Just(Decision::DropMessage),
            Just(Decision::DontCare),
        ]
    }

    /// The truth table, read row by row.
    fn model(decisions: &[Decision]) -> FlowVerdict {
        let handle = |index: usize| Some(LpmHandle::new(index as u64));
        let first = |wanted: fn(&Decision) -> bool| decisions.iter().position(wanted);
        if let Some(index) = first(|decision| matches!(decision, Decision::Reject(_))) {
            return FlowVerdict {
                decision: decisions[index],
                by: handle(index),
            };
        }
        if let Some(index) = first(|decision| matches!(decision, Decision::DropMessage)) {
            return FlowVerdict {
                decision: Decision::DropMessage,
                by: handle(index),
            };
        }
        let highest = decisions.iter().filter_map(|decision| match decision {
            Decision::Accept(priority) => Some(*priority),
            _ => None,
        });
        match highest.max() {
            Some(priority) => {
                let accept = Decision::Accept(priority);
                let index = decisions
                    .iter()
                    .position(|decision| *decision == accept)
                    .unwrap();
                FlowVerdict {
                    decision: accept,
                    by: handle(index),
                }
            }
            None => FlowVerdict {
                decision: Decision::reject(LpmPolicyError::NoAccepts),
                by: None,
            },
        }
    }

    proptest! {
        #[test]
        fn the_aggregate_is_the_truth_table_in_any_order(
            decisions in proptest::collection::vec(any_decision(), 0..8),
            split in 0..8usize,
            seed in any::<u64>(),
        ) {
            let mut answers: Vec<_> = decisions.iter().copied().enumerate().collect();
            answers.sort_by_key(|(index, _)| (*index as u64 ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let (early, late) = answers.split_at(split.min(answers.len()));
            let [early, late] = [early, late].map(|answers| {
                let mut aggregate = Aggregate::EMPTY;
                for (index, decision) in answers {
                    let order = u32::try_from(*index).unwrap();
                    aggregate.add(*decision, LpmHandle::new(*index as u64), order);
                }
                aggregate
            });
            let mut aggregate = early;
            aggregate.merge(late);
            prop_assert_eq!(aggregate.verdict(), model(&decisions));
        }
    }
}
