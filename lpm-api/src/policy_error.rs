//! The policy error values of lpmapi.h.

use std::fmt;
use std::num::NonZeroU16;

/// Why policy rejects a flow: the `POLICY_ERRV_*` values of lpmapi.h, which go into an
/// ERROR_SPEC of code 2 (policy control failure).
///
/// They share their numbers, not their meanings, with the values of RFC 2750 appendix A and with
/// the ErrorValues of RFC 3182; those are separate types of [`lpm_rsvp`].
/// `POLICY_ERRV_UNKNOWN` (0) is missing on purpose: a rejection carries a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LpmPolicyError {
    /// A limit was exceeded: values 1 to 48, `8 · metric + scope`.
    Limit(Metric, Scope),
    /// `POLICY_ERRV_UNKNOWN_USER` (49).
    UnknownUser,
    /// `POLICY_ERRV_NO_PRIVILEGES` (50).
    NoPrivileges,
    /// `POLICY_ERRV_EXPIRED_USER_TOKEN` (51).
    ExpiredUserToken,
    /// `POLICY_ERRV_NO_RESOURCES` (52).
    NoResources,
    /// `POLICY_ERRV_PRE_EMPTED` (53).
    Preempted,
    /// `POLICY_ERRV_USER_CHANGED` (54).
    UserChanged,
    /// `POLICY_ERRV_NO_ACCEPTS` (55): no LPM accepted.
    NoAccepts,
    /// `POLICY_ERRV_NO_MEMORY` (56).
    NoMemory,
    /// `POLICY_ERRV_CRAZY_FLOWSPEC` (57): rates that make no sense.
    CrazyFlowSpec,
}

/// What a limit limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Number of flows.
    FlowCount = 0,
    /// Duration of a flow.
    FlowDuration = 1,
    /// Token rate of a flow.
    FlowRate = 2,
    /// Peak rate of a flow.
    PeakRate = 3,
    /// Sum of the token rates of a subject's flows.
    SumFlowRate = 4,
    /// Sum of the peak rates of a subject's flows.
    SumPeakRate = 5,
}

/// Whose limit it is: of the whole domain (global) or of one subnet, for the default
/// (authenticated but unlisted), a group, one user, or unauthenticated senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `GLOBAL_DEF`.
    GlobalDefault = 1,
    /// `GLOBAL_GRP`.
    GlobalGroup = 2,
    /// `GLOBAL_USER`.
    GlobalUser = 3,
    /// `GLOBAL_UNAUTH_USER`.
    GlobalUnauthenticated = 4,
    /// `SUBNET_DEF`.
    SubnetDefault = 5,
    /// `SUBNET_GRP`.
    SubnetGroup = 6,
    /// `SUBNET_USER`.
    SubnetUser = 7,
    /// `SUBNET_UNAUTH_USER`.
    SubnetUnauthenticated = 8,
}

const METRICS: [Metric; 6] = [
    Metric::FlowCount,
    Metric::FlowDuration,
    Metric::FlowRate,
    Metric::PeakRate,
    Metric::SumFlowRate,
    Metric::SumPeakRate,
];

const SCOPES: [Scope; 8] = [
    Scope::GlobalDefault,
    Scope::GlobalGroup,
    Scope::GlobalUser,
    Scope::GlobalUnauthenticated,
    Scope::SubnetDefault,
    Scope::SubnetGroup,
    Scope::SubnetUser,
    Scope::SubnetUnauthenticated,
];

impl LpmPolicyError {
    /// The value for the ERROR_SPEC, 1 to 57.
    #[must_use]
    pub const fn value(self) -> NonZeroU16 {
        let value = match self {
            Self::Limit(metric, scope) => 8 * metric as u16 + scope as u16,
            Self::UnknownUser => 49,
            Self::NoPrivileges => 50,
            Self::ExpiredUserToken => 51,
            Self::NoResources => 52,
            Self::Preempted => 53,
            Self::UserChanged => 54,
            Self::NoAccepts => 55,
            Self::NoMemory => 56,
            Self::CrazyFlowSpec => 57,
        };
        match NonZeroU16::new(value) {
            Some(value) => value,
            None => NonZeroU16::MIN,
        }
    }

    /// The error with this value, or `None` outside 1 to 57.
    #[must_use]
    pub fn from_value(value: u16) -> Option<Self> {
        Some(match value {
            1..=48 => {
                let index = usize::from(value - 1);
                Self::Limit(METRICS[index / SCOPES.len()], SCOPES[index % SCOPES.len()])
            }
            49 => Self::UnknownUser,
            50 => Self::NoPrivileges,
            51 => Self::ExpiredUserToken,
            52 => Self::NoResources,
            53 => Self::Preempted,
            54 => Self::UserChanged,
            55 => Self::NoAccepts,
            56 => Self::NoMemory,
            57 => Self::CrazyFlowSpec,
            _ => return None,
        })
    }
}

impl fmt::Display for LpmPolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(metric, scope) => write!(f, "{metric} limit, {scope}"),
            Self::UnknownUser => f.write_str("unknown user"),
            Self::NoPrivileges => f.write_str("no privileges"),
            Self::ExpiredUserToken => f.write_str("expired user token"),
            Self::NoResources => f.write_str("no resources"),
            Self::Preempted => f.write_str("pre-empted"),
            Self::UserChanged => f.write_str("user changed"),
            Self::NoAccepts => f.write_str("no LPM accepts"),
            Self::NoMemory => f.write_str("no memory"),
            Self::CrazyFlowSpec => f.write_str("nonsensical flow specification"),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FlowCount => "flow count",
            Self::FlowDuration => "flow duration",
            Self::FlowRate => "flow rate",
            Self::PeakRate => "peak rate",
            Self::SumFlowRate => "sum of flow rates",
            Self::SumPeakRate => "sum of peak rates",
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GlobalDefault => "global default",
            Self::GlobalGroup => "global group",
            Self::GlobalUser => "global user",
            Self::GlobalUnauthenticated => "global unauthenticated user",
            Self::SubnetDefault => "subnet default",
            Self::SubnetGroup => "subnet group",
            Self::SubnetUser => "subnet user",
            Self::SubnetUnauthenticated => "subnet unauthenticated user",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_from_1_to_57_is_named_and_round_trips() {
        for value in 1..=57 {
            let error = LpmPolicyError::from_value(value).expect("named");
            assert_eq!(error.value().get(), value);
        }
        assert_eq!(LpmPolicyError::from_value(0), None);
        assert_eq!(LpmPolicyError::from_value(58), None);
    }

    #[test]
    fn limits_follow_the_header() {
        // POLICY_ERRV_GLOBAL_USER_FLOW_COUNT, POLICY_ERRV_SUBNET_UNAUTH_USER_SUM_PEAK_RATE
        let count = LpmPolicyError::Limit(Metric::FlowCount, Scope::GlobalUser);
        assert_eq!(count.value().get(), 3);
        let sum = LpmPolicyError::Limit(Metric::SumPeakRate, Scope::SubnetUnauthenticated);
        assert_eq!(sum.value().get(), 48);
    }
}
