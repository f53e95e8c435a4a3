//! PREEMPTION_PRI (RFC 3181): which flows may take the place of which others.

use core::fmt;

use super::raw_element::RawElement;
use crate::error::{ErrorKind, ParseError};
use crate::wire;

/// The preemption priority of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PreemptionPriority {
    /// How this priority is merged with others.
    pub merge_strategy: MergeStrategy,
    /// Why the element is sent back; [`PreemptionError::None`] otherwise.
    pub error: PreemptionError,
    /// The priority of the flow while it is new: it may preempt flows whose defending
    /// priority is lower. Higher wins.
    pub preemption_priority: u16,
    /// The priority of the flow once admitted. At least `preemption_priority`, so that two
    /// flows do not preempt each other in turn.
    pub defending_priority: u16,
}

/// How priorities of one merged reservation are merged (RFC 3181 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum MergeStrategy {
    /// 1: take part only if this flow contributes to the merged quality of service.
    HighestQos,
    /// 2: take part always.
    HighestPriority,
    /// 3: error if the flows differ in quality of service.
    ForceError,
    /// Any other number; not defined by RFC 3181.
    Unknown(u8),
}

/// Why an element is sent back (RFC 3181 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum PreemptionError {
    /// 0: no error.
    None,
    /// 1: the flow was preempted.
    Preemption,
    /// 2: forced error because flows of different quality of service were merged.
    Heterogeneous,
    /// Any other number; not defined by RFC 3181.
    Unknown(u8),
}

impl PreemptionPriority {
    /// A priority with the recommended merge strategy and no error. `None` when the defending
    /// priority is lower than the preemption priority.
    #[must_use]
    pub fn new(preemption_priority: u16, defending_priority: u16) -> Option<Self> {
        (preemption_priority <= defending_priority).then_some(Self {
            merge_strategy: MergeStrategy::HighestQos,
            error: PreemptionError::None,
            preemption_priority,
            defending_priority,
        })
    }

    #[inline]
    pub(super) fn parse(element: RawElement<'_>) -> Result<Self, ParseError> {
        let Ok(&[_, strategy, error, _, priority @ ..]) = <&[u8; 8]>::try_from(element.data) else {
            let (expected, found) = ("8 in PREEMPTION_PRI", wire::clamp(element.data.len()));
            return Err(element.fault(0, ErrorKind::BodyLength { expected, found }));
        };
        let [preemption1, preemption2, defending1, defending2] = priority;
        let preemption_priority = u16::from_be_bytes([preemption1, preemption2]);
        let defending_priority = u16::from_be_bytes([defending1, defending2]);
        if defending_priority < preemption_priority {
            let (field, expected) = ("defending priority", "at least the preemption priority");
            let found = defending_priority.into();
            return Err(element.fault(
                10,
                ErrorKind::Value {
                    field,
                    expected,
                    found,
                },
            ));
        }
        Ok(Self {
            merge_strategy: MergeStrategy::from(strategy),
            error: PreemptionError::from(error),
            preemption_priority,
            defending_priority,
        })
    }
}

impl MergeStrategy {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::HighestQos => 1,
            Self::HighestPriority => 2,
            Self::ForceError => 3,
            Self::Unknown(number) => number,
        }
    }
}

impl From<u8> for MergeStrategy {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::HighestQos,
            2 => Self::HighestPriority,
            3 => Self::ForceError,
            number => Self::Unknown(number),
        }
    }
}

impl PreemptionError {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Preemption => 1,
            Self::Heterogeneous => 2,
            Self::Unknown(number) => number,
        }
    }
}

impl From<u8> for PreemptionError {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Preemption,
            2 => Self::Heterogeneous,
            number => Self::Unknown(number),
        }
    }
}

impl fmt::Display for PreemptionPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "priority {}/{}",
            self.preemption_priority, self.defending_priority
        )
    }
}
