//! What an LPM says about a flow.

use std::num::NonZeroU16;

use lpm_abi::AbiDecision;

use crate::policy_error::LpmPolicyError;

/// The error code of an ERROR_SPEC that says policy refused (RFC 2205 appendix B).
const POLICY_CONTROL_FAILURE: NonZeroU16 = NonZeroU16::new(2).unwrap();

/// What an LPM says about one flow descriptor of a message (lpmapi `POLICY_DECISION`).
///
/// A rejection without a reason cannot be written, nor can a reserved LPM priority value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The flow may have what it asks for, with this priority.
    Accept(Priority),
    /// The flow is vetoed; the reason goes into the ERROR_SPEC sent back (`LPV_REJECT`).
    Reject(RejectReason),
    /// The whole message is dropped without a word (`LPV_DROP_MSG`).
    DropMessage,
    /// No opinion; the LPM keeps no state for this flow (`LPV_DONT_CARE`).
    DontCare,
}

impl Decision {
    /// LPM priority value of [`DropMessage`](Self::DropMessage) (lpmapi `LPV_DROP_MSG`).
    pub const LPV_DROP_MSG: u32 = 0xFFFD;
    /// LPM priority value of [`DontCare`](Self::DontCare) (lpmapi `LPV_DONT_CARE`).
    pub const LPV_DONT_CARE: u32 = 0xFFFE;
    /// LPM priority value of [`Reject`](Self::Reject) (lpmapi `LPV_REJECT`).
    pub const LPV_REJECT: u32 = 0xFFFF;

    /// Accepts with this priority.
    #[must_use]
    pub const fn accept(priority: Priority) -> Self {
        Self::Accept(priority)
    }

    /// Rejects for this reason of policy (error code 2).
    #[must_use]
    pub const fn reject(error: LpmPolicyError) -> Self {
        Self::Reject(RejectReason::policy(error))
    }

    /// Whether the flow is accepted.
    #[must_use]
    pub const fn is_accept(self) -> bool {
        matches!(self, Self::Accept(_))
    }

    /// Whether the flow is rejected.
    #[must_use]
    pub const fn is_reject(self) -> bool {
        matches!(self, Self::Reject(_))
    }

    /// The LPM priority value: 1 to `0xFF00`, or one of the `LPV_*` values.
    #[must_use]
    pub const fn lpv(self) -> u32 {
        match self {
            Self::Accept(priority) => priority.value() as u32,
            Self::Reject(_) => Self::LPV_REJECT,
            Self::DropMessage => Self::LPV_DROP_MSG,
            Self::DontCare => Self::LPV_DONT_CARE,
        }
    }

    /// The error code of a rejection, else 0.
    #[must_use]
    pub const fn error_code(self) -> u16 {
        match self {
            Self::Reject(reason) => reason.code(),
            _ => 0,
        }
    }

    /// The error value of a rejection, else 0.
    #[must_use]
    pub const fn error_value(self) -> u16 {
        match self {
            Self::Reject(reason) => reason.value(),
            _ => 0,
        }
    }

    /// The decision that crossed the boundary; `None` where its numbers are none.
    #[inline]
    #[must_use]
    pub fn from_abi(abi: AbiDecision) -> Option<Self> {
        Self::from_parts(abi.lpv, abi.error_code, abi.error_value)
    }

    /// The decision with these numbers; `None` for a reserved LPM priority value or a rejection
    /// without a code or value. Code and value of anything but a rejection are ignored.
    #[inline]
    #[must_use]
    pub fn from_parts(lpv: u32, error_code: u16, error_value: u16) -> Option<Self> {
        if let Some(priority) = u16::try_from(lpv).ok().and_then(Priority::new) {
            return Some(Self::Accept(priority));
        }
        match lpv {
            Self::LPV_REJECT => RejectReason::new(error_code, error_value).map(Self::Reject),
            Self::LPV_DONT_CARE => Some(Self::DontCare),
            Self::LPV_DROP_MSG => Some(Self::DropMessage),
            _ => None,
        }
    }
}

impl From<Decision> for AbiDecision {
    #[inline]
    fn from(decision: Decision) -> Self {
        Self {
            lpv: decision.lpv(),
            error_code: decision.error_code(),
            error_value: decision.error_value(),
        }
    }
}

/// The priority an accepting LPM gives a flow: 1 to `0xFF00`, higher is more important.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priority(NonZeroU16);

impl Priority {
    /// The lowest priority, 1.
    pub const MIN: Self = Self(NonZeroU16::MIN);
    /// The highest priority, `0xFF00`.
    pub const MAX: Self = Self(NonZeroU16::new(0xFF00).unwrap());

    /// The priority with this value; `None` outside 1 to `0xFF00`.
    #[must_use]
    pub const fn new(value: u16) -> Option<Self> {
        match NonZeroU16::new(value) {
            Some(value) if value.get() <= Self::MAX.0.get() => Some(Self(value)),
            _ => None,
        }
    }

    /// The value, 1 to `0xFF00`.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0.get()
    }
}

/// Why a flow is rejected: the code and value for the ERROR_SPEC (RFC 2205 appendix B), neither
/// of them zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RejectReason {
    code: NonZeroU16,
    value: NonZeroU16,
}

impl RejectReason {
    /// A policy control failure (code 2) with this value.
    #[must_use]
    pub const fn policy(error: LpmPolicyError) -> Self {
        Self {
            code: POLICY_CONTROL_FAILURE,
            value: error.value(),
        }
    }

    /// A reason from bare numbers, such as the values of RFC 2750 or a site's own from 32 768 up;
    /// `None` if one of them is zero.
    #[must_use]
    pub const fn new(code: u16, value: u16) -> Option<Self> {
        match (NonZeroU16::new(code), NonZeroU16::new(value)) {
            (Some(code), Some(value)) => Some(Self { code, value }),
            _ => None,
        }
    }

    /// The error code, never zero.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.code.get()
    }

    /// The error value, never zero.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.value.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_round_trip_through_their_numbers() {
        let reject = Decision::reject(LpmPolicyError::NoPrivileges);
        let accept = Decision::accept(Priority::MAX);
        for decision in [reject, accept, Decision::DropMessage, Decision::DontCare] {
            let parts = (
                decision.lpv(),
                decision.error_code(),
                decision.error_value(),
            );
            assert_eq!(
                Decision::from_parts(parts.0, parts.1, parts.2),
                Some(decision)
            );
        }
    }

    #[test]
    fn reserved_values_are_no_decision() {
        for lpv in [0, 0xFF01, 0xFFFC, 0x1_0000, u32::MAX] {
            assert_eq!(Decision::from_parts(lpv, 2, 50), None, "{lpv:#x}");
        }
        assert_eq!(Decision::from_parts(Decision::LPV_REJECT, 0, 50), None);
        assert_eq!(Decision::from_parts(Decision::LPV_REJECT, 2, 0), None);
    }
}
