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

use lpm_api::{Decision, LpmHandle, LpmPolicyError, RejectReason};

use crate::FlowVerdict;

/// The reason given when an LPM failed: policy control failure, `POLICY_ERRV_NO_RESOURCES`.
pub(crate) const LPM_FAILED: RejectReason = RejectReason::policy(LpmPolicyError::NoResources);

/// What the LPMs asked so far say about one flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aggregate {
    decision: Decision,
    by: Option<LpmHandle>,
}

impl Aggregate {
    /// No LPM was asked yet.
    pub(crate) const EMPTY: Self = Self {
        decision: Decision::DontCare,
        by: None,
    };

    /// Adds what the next LPM, in configured order, says.
    pub(crate) fn add(&mut self, decision: Decision, by: LpmHandle) {
        let outweighs = match (decision, self.decision) {
            (Decision::Accept(new), Decision::Accept(old)) => new > old,
            (new, old) => rank(new) > rank(old),
        };
        if outweighs {
            *self = Self {
                decision,
                by: Some(by),
            };
        }
    }

    /// The verdict, once every LPM was asked.
    pub(crate) fn verdict(self) -> FlowVerdict {
        match self.decision {
            Decision::DontCare => FlowVerdict {
                decision: Decision::reject(LpmPolicyError::NoAccepts),
                by: None,
            },
            decision => FlowVerdict {
                decision,
                by: self.by,
            },
        }
    }
}

fn rank(decision: Decision) -> u8 {
    match decision {
        Decision::DontCare => 0,
        Decision::Accept(_) => 1,
        Decision::DropMessage => 2,
        Decision::Reject(_) => 3,
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
        fn the_aggregate_is_the_truth_table(
            decisions in proptest::collection::vec(any_decision(), 0..8)
        ) {
            let mut aggregate = Aggregate::EMPTY;
            for (index, decision) in decisions.iter().enumerate() {
                aggregate.add(*decision, LpmHandle::new(index as u64));
            }
            prop_assert_eq!(aggregate.verdict(), model(&decisions));
        }
    }
}
