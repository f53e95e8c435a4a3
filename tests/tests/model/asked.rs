//! What a message comes to.

use lpm_host::lpm_api::{Decision, LpmPolicyError, Priority};
use lpm_host::{Admission, FlowVerdict, LpmHandle};

/// What an LPM says at once.
pub(super) fn decision(order: u8) -> Option<Decision> {
    Some(match order {
        0 => Decision::DontCare,
        1 => Decision::accept(Priority::MIN),
        2 => Decision::accept(Priority::new(10).expect("a priority")),
        3 => Decision::reject(LpmPolicyError::UnknownUser),
        4 => Decision::DropMessage,
        _ => return None,
    })
}

/// An answer that is known, or is owed until a point in time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said {
    Is(Decision),
    OwedUntil(u64),
}

/// What an LPM counts as to have said that does not answer.
pub(super) const FAILURE: Decision = Decision::reject(LpmPolicyError::NoResources);
pub(super) const FAILED: Said = Said::Is(FAILURE);

/// A message: which LPMs were asked, in configured order, and what they said.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) name: u16,
    pub(super) said: Vec<(LpmHandle, Said)>,
}

impl Asked {
    /// The truth table, once all have answered.
    pub(super) fn verdict(&self) -> Option<FlowVerdict> {
        let said: Option<Vec<_>> = self
            .said
            .iter()
            .map(|(lpm, said)| match said {
                Said::Is(decision) => Some((*lpm, *decision)),
                Said::OwedUntil(_) => None,
            })
            .collect();
        let said = said?;
        let first = |wanted: &dyn Fn(&Decision) -> bool| {
            let mut those = said.iter().filter(|(_, decision)| wanted(decision));
            those.next().map(|(lpm, decision)| FlowVerdict {
                decision: *decision,
                by: Some(*lpm),
            })
        };
        let highest = said.iter().filter_map(|(_, decision)| match decision {
            Decision::Accept(priority) => Some(*priority),
            _ => None,
        });
        let highest = highest.max();
        let verdict = first(&|it| matches!(it, Decision::Reject(_)))
            .or_else(|| first(&|it| *it == Decision::DropMessage))
            .or_else(|| first(&|it| highest.is_some_and(|it2| *it == Decision::Accept(it2))));
        Some(verdict.unwrap_or(FlowVerdict {
            decision: Decision::reject(LpmPolicyError::NoAccepts),
            by: None,
        }))
    }

    pub(super) fn owes(&self, lpm: LpmHandle) -> bool {
        let mut of_lpm = self.said.iter().filter(|(other, _)| *other == lpm);
        of_lpm.any(|(_, said)| matches!(said, Said::OwedUntil(_)))
    }

    /// Now the LPM has answered.
    pub(super) fn says(&mut self, lpm: LpmHandle, answer: Said) {
        for (other, said) in &mut self.said {
            if *other == lpm {
                *said = answer;
            }
        }
    }
}

pub(super) fn is_decided(asked: &Asked, admission: Option<Admission>, expected: FlowVerdict) {
    if let Some(admission) = admission {
        assert_eq!(admission.wait().flows(), [expected], "{asked:?}");
    }
}
