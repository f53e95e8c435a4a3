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

use lpm_abi::AbiDecision;
use lpm_api::{Decision, LpmHandle, LpmPolicyError, Priority, RejectReason};

use crate::verdict::FlowVerdict;

/// The reason given when an LPM failed: policy control failure, `POLICY_ERRV_NO_RESOURCES`.
pub(crate) const LPM_FAILED: RejectReason = RejectReason::policy(LpmPolicyError::NoResources);

/// What the LPMs that answered say about one flow. The order in which they answer does not matter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aggregate {
    /// A decision, as it crossed the boundary: its LPM priority value is what it weighs.
    said: AbiDecision,
    /// The place of `by` in configured order.
    order: u32,
    by: LpmHandle,
}

impl Aggregate {
    /// No LPM has answered yet.
    pub(crate) const EMPTY: Self = Self {
        said: AbiDecision {
            lpv: Decision::LPV_DONT_CARE,
            error_code: 0,
            error_value: 0,
        },
        order: u32::MAX,
        by: LpmHandle::new(0),
    };

    /// What an LPM says that is number `order` of those configured.
    #[inline]
    pub(crate) const fn of(said: AbiDecision, by: LpmHandle, order: u32) -> Self {
        Self { said, order, by }
    }

    /// Adds what other LPMs say.
    pub(crate) fn merge(&mut self, other: Self) {
        let weight = |aggregate: &Self| (aggregate.rank(), Reverse(aggregate.order));
        if weight(&other) > weight(self) {
            *self = other;
        }
    }

    /// Adds what an LPM says that comes after all those that were added, in configured order.
    #[inline]
    pub(crate) fn add_next(&mut self, other: Self) {
        if other.rank() > self.rank() {
            *self = other;
        }
    }

    /// The verdict, once every LPM was asked.
    #[inline]
    pub(crate) fn verdict(self) -> FlowVerdict {
        match Decision::from_abi(self.said) {
            None | Some(Decision::DontCare) => FlowVerdict::REJECTED,
            Some(decision) => FlowVerdict {
                decision,
                by: Some(self.by),
            },
        }
    }

    /// How much it weighs: accepting by priority, below dropping, below rejecting.
    #[inline]
    fn rank(&self) -> u32 {
        const {
            assert!((Priority::MAX.value() as u32) < Decision::LPV_DROP_MSG);
            assert!(Decision::LPV_DROP_MSG < Decision::LPV_REJECT);
        }
        match self.said.lpv {
            Decision::LPV_DONT_CARE => 0,
            lpv => lpv,
        }
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
            let split = split.min(answers.len());
            let said = |index: usize, decision: Decision| {
                let order = u32::try_from(index).unwrap();
                Aggregate::of(decision.into(), LpmHandle::new(index as u64), order)
            };
            let mut in_order = Aggregate::EMPTY;
            for (index, decision) in decisions.iter().enumerate() {
                in_order.add_next(said(index, *decision));
            }
            prop_assert_eq!(in_order.verdict(), model(&decisions));

            let (early, late) = answers.split_at(split);
            let [early, late] = [early, late].map(|answers| {
                let mut aggregate = Aggregate::EMPTY;
                for (index, decision) in answers {
                    aggregate.merge(said(*index, *decision));
                }
                aggregate
            });
            let mut aggregate = early;
            aggregate.merge(late);
            prop_assert_eq!(aggregate.verdict(), model(&decisions));
        }
    }
}
