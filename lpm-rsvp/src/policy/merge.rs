//! Merging preemption priorities (RFC 3181 §5.1, §A).

use super::preemption::{MergeStrategy, PreemptionError, PreemptionPriority};

/// One flow of a merged reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergingFlow {
    /// Its priority element.
    pub priority: PreemptionPriority,
    /// Whether it contributes to the merged quality of service, that is whether the merged
    /// quality would be less without it.
    pub contributes: bool,
}

/// The priorities of a merged reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MergedPriority {
    /// Preemption priority.
    pub preemption_priority: u16,
    /// Defending priority; merged separately.
    pub defending_priority: u16,
}

impl PreemptionPriority {
    /// The priorities of a merged reservation: the greatest of those elements that take part
    /// by their own strategy. `homogeneous`: all flows ask for the same quality of service.
    /// `None` when no element takes part. A strategy that is not known takes no part.
    #[must_use]
    pub fn merge(flows: &[MergingFlow], homogeneous: bool) -> Option<MergedPriority> {
        let parts = flows.iter().filter(|flow| flow.participates(homogeneous));
        let merged = |merged: Option<MergedPriority>, flow: &MergingFlow| {
            let Self {
                preemption_priority,
                defending_priority,
                ..
            } = flow.priority;
            Some(match merged {
                None => MergedPriority {
                    preemption_priority,
                    defending_priority,
                },
                Some(merged) => MergedPriority {
                    preemption_priority: merged.preemption_priority.max(preemption_priority),
                    defending_priority: merged.defending_priority.max(defending_priority),
                },
            })
        };
        parts.fold(None, merged)
    }

    /// The element to send back to a flow that forces an error when flows of different quality
    /// of service are merged; `None` for the other strategies.
    #[must_use]
    pub fn heterogeneous(&self) -> Option<Self> {
        (self.merge_strategy == MergeStrategy::ForceError).then_some(Self {
            error: PreemptionError::Heterogeneous,
            ..*self
        })
    }

    /// The element to send back to a flow that was preempted: that of the flow which took its
    /// place (RFC 3181 §6).
    #[must_use]
    pub fn preempted_by(preempting: &Self) -> Self {
        Self {
            error: PreemptionError::Preemption,
            ..*preempting
        }
    }

    /// Whether this new flow may take the place of an admitted one.
    #[must_use]
    pub const fn preempts(&self, admitted: &Self) -> bool {
        self.preemption_priority > admitted.defending_priority
    }

    /// Fewer elements that merge alike: for each strategy the greatest priorities
    /// (RFC 3181 §A.2), in the order 1, 2, 3. Elements with an error or an unknown strategy
    /// are left out.
    pub fn compress<'a>(elements: impl IntoIterator<Item = &'a Self> + Clone) -> [Option<Self>; 3] {
        let strategies = [
            MergeStrategy::HighestQos,
            MergeStrategy::HighestPriority,
            MergeStrategy::ForceError,
        ];
        strategies.map(|strategy| {
            elements
                .clone()
                .into_iter()
                .filter(|e| e.merge_strategy == strategy && e.error == PreemptionError::None)
                .copied()
                .reduce(|a, b| Self {
                    preemption_priority: a.preemption_priority.max(b.preemption_priority),
                    defending_priority: a.defending_priority.max(b.defending_priority),
                    ..a
                })
        })
    }
}

impl MergingFlow {
    fn participates(&self, homogeneous: bool) -> bool {
        match self.priority.merge_strategy {
            MergeStrategy::HighestQos => self.contributes,
            MergeStrategy::HighestPriority => true,
            MergeStrategy::ForceError => homogeneous,
            MergeStrategy::Unknown(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(priority: u16, merge_strategy: MergeStrategy) -> PreemptionPriority {
        PreemptionPriority {
            merge_strategy,
            ..PreemptionPriority::new(priority, priority).unwrap()
        }
    }

    /// RFC 3181 §A.1.
    #[test]
    fn example_of_the_rfc() {
        let flow = |contributes, priority, strategy| MergingFlow {
            priority: element(priority, strategy),
            contributes,
        };
        let mut flows = std::vec![
            flow(true, 3, MergeStrategy::HighestQos),
            flow(false, 4, MergeStrategy::HighestPriority),
            flow(false, 7, MergeStrategy::HighestQos),
        ];
        let four = Some(MergedPriority {
            preemption_priority: 4,
            defending_priority: 4,
        });
        assert_eq!(PreemptionPriority::merge(&flows, false), four);
        flows.push(flow(false, 9, MergeStrategy::ForceError));
        assert_eq!(PreemptionPriority::merge(&flows, false), four);
        let returned: std::vec::Vec<_> = flows
            .iter()
            .filter_map(|flow| flow.priority.heterogeneous())
            .collect();
        assert_eq!(returned.len(), 1);
        assert_eq!(returned[0].preemption_priority, 9);
        assert_eq!(returned[0].error, PreemptionError::Heterogeneous);
    }

    /// RFC 3181 §A.2.
    #[test]
    fn compression_of_the_rfc() {
        let elements = [
            element(3, MergeStrategy::HighestQos),
            element(7, MergeStrategy::HighestQos),
            element(4, MergeStrategy::HighestPriority),
            element(9, MergeStrategy::HighestPriority),
            element(6, MergeStrategy::HighestPriority),
        ];
        assert_eq!(
            PreemptionPriority::compress(&elements),
            [Some(elements[1]), Some(elements[3]), None]
        );
    }

    #[test]
    fn preemption_compares_with_the_defending_priority() {
        let admitted = PreemptionPriority::new(10, 20).unwrap();
        assert!(!PreemptionPriority::new(20, 20).unwrap().preempts(&admitted));
        assert!(PreemptionPriority::new(21, 21).unwrap().preempts(&admitted));
        assert_eq!(PreemptionPriority::new(2, 1), None);
    }
}
