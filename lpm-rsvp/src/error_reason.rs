//! What the code and value of an ERROR_SPEC mean (RFC 2205 §B, RFC 2750 §A).

use core::fmt;

use crate::error::ObjectId;
use crate::objects::{ErrorSpec, ResvStyle};

/// The meaning of an error code with its value. Displays as a text for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum ErrorReason {
    /// Code 0: no error, a confirmation (ResvConf).
    Confirmation,
    /// Code 1: admission control failed.
    AdmissionControl(ErrorValue<AdmissionError>),
    /// Code 2: policy control failed.
    Policy(PolicyError),
    /// Code 3: no path information for this Resv.
    NoPath,
    /// Code 4: path information, but no sender that matches this Resv.
    NoSender,
    /// Code 5: conflict with the style of existing reservations, which it names.
    ConflictingStyle(ResvStyle),
    /// Code 6: unknown reservation style.
    UnknownStyle,
    /// Code 7: sessions with and without a destination port.
    ConflictingDestPorts,
    /// Code 8: senders with and without a source port.
    ConflictingSenderPorts,
    /// Code 12: service preempted.
    Preempted(ErrorValue<u16>),
    /// Code 13: unknown object class.
    UnknownClass(ObjectId),
    /// Code 14: unknown C-Type.
    UnknownCType(ObjectId),
    /// Code 20: an application called the API wrongly; the value is the API's.
    Api(u16),
    /// Code 21: traffic control refused the request.
    TrafficControl(ErrorValue<TrafficControlError>),
    /// Code 22: error in the traffic control system; the value is the system's.
    TrafficControlSystem(u16),
    /// Code 23: error in the RSVP implementation; the value is the implementation's.
    RsvpSystem(u16),
    /// Any other code.
    Other {
        /// Error Code.
        code: u8,
        /// Error Value.
        value: u16,
    },
}

/// An error value of the form `ssur cccc cccc cccc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum ErrorValue<T> {
    /// ss = 00: a sub-code that RFC 2205 defines.
    Global {
        /// The sub-code.
        sub_code: T,
        /// The bit u: the message was informational, state may be updated and it may be
        /// forwarded.
        informational: bool,
    },
    /// ss = 10: the sub-code is an organization's own; the whole value.
    Organization(u16),
    /// ss = 11: the sub-code belongs to the service in question; the whole value.
    Service(u16),
    /// ss = 01: not defined; the whole value.
    Reserved(u16),
}

/// Global sub-codes of code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum AdmissionError {
    /// 1: the delay bound cannot be met.
    DelayBound,
    /// 2: the bandwidth is not available.
    Bandwidth,
    /// 3: the MTU of the flowspec is larger than the interface's.
    Mtu,
    /// Any other sub-code, 12 bits.
    Other(u16),
}

/// Global sub-codes of code 21.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum TrafficControlError {
    /// 1: two services that cannot be merged.
    ServiceConflict,
    /// 2: the service is not supported.
    ServiceUnsupported,
    /// 3: malformed or unreasonable flowspec.
    BadFlowSpec,
    /// 4: malformed or unreasonable Tspec.
    BadTspec,
    /// 5: malformed or unreasonable ADSPEC.
    BadAdSpec,
    /// Any other sub-code, 12 bits.
    Other(u16),
}

/// Values of code 2 as RFC 2750 §A assigns them.
///
/// Two other meanings of the same small numbers are kept apart by their types: those in a
/// POLICY_ERROR_OBJECT ([`PolicyErrorValue`](crate::policy::PolicyErrorValue), RFC 3182), and
/// the `POLICY_ERRV_*` that the LPM API puts into an ERROR_SPEC, which only a context that
/// knows the sender to be such a node can tell from these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum PolicyError {
    /// 0 ERR_INFO.
    Info,
    /// 1 ERR_WARN.
    Warn,
    /// 2 ERR_UNKNOWN.
    Unknown,
    /// 3 ERR_REJECT.
    Reject,
    /// 4 ERR_EXCEED.
    Exceed,
    /// 5 ERR_PREEMPT.
    Preempt,
    /// 6 ERR_EXPIRED.
    Expired,
    /// 7 ERR_REPLACED.
    Replaced,
    /// 8 ERR_MERGE.
    Merge,
    /// 9 ERR_PDP.
    Pdp,
    /// 10 ERR_SERVER.
    Server,
    /// 11 ERR_PD_SYNTX.
    PolicyDataSyntax,
    /// 12 ERR_PD_INTGR.
    PolicyDataIntegrity,
    /// 13 ERR_PE_BAD.
    PolicyElementBad,
    /// 14 ERR_PD_MISS.
    PolicyElementMissing,
    /// 15 ERR_NO_RSC.
    NoResources,
    /// 16 ERR_RSVP.
    Rsvp,
    /// 17 ERR_SERVICE.
    Service,
    /// 18 ERR_STYLE.
    Style,
    /// 19 ERR_FL_SPEC.
    FlowSpec,
    /// Any other value; 32768 and up belong to sites and vendors.
    Other(u16),
}

impl ErrorSpec {
    /// The meaning of code and value.
    #[must_use]
    pub fn reason(&self) -> ErrorReason {
        ErrorReason::new(self.code, self.value)
    }
}

impl ErrorReason {
    /// The meaning of a code and a value.
    pub fn new(code: u8, value: u16) -> Self {
        let [class, c_type] = value.to_be_bytes();
        match code {
            0 => Self::Confirmation,
            1 => Self::AdmissionControl(ErrorValue::new(value, AdmissionError::new)),
            2 => Self::Policy(PolicyError::from(value)),
            3 => Self::NoPath,
            4 => Self::NoSender,
            5 => Self::ConflictingStyle(ResvStyle::from_option_vector(value.into())),
            6 => Self::UnknownStyle,
            7 => Self::ConflictingDestPorts,
            8 => Self::ConflictingSenderPorts,
            12 => Self::Preempted(ErrorValue::new(value, |sub_code| sub_code)),
            13 => Self::UnknownClass(ObjectId { class, c_type }),
            14 => Self::UnknownCType(ObjectId { class, c_type }),
            20 => Self::Api(value),
            21 => Self::TrafficControl(ErrorValue::new(value, TrafficControlError::new)),
            22 => Self::TrafficControlSystem(value),
            23 => Self::RsvpSystem(value),
            code => Self::Other { code, value },
        }
    }
}

impl<T> ErrorValue<T> {
    fn new(value: u16, sub_code: impl FnOnce(u16) -> T) -> Self {
        match value >> 14 {
            0 => Self::Global {
                sub_code: sub_code(value & 0x0fff),
                informational: value & 0x2000 != 0,
            },
            1 => Self::Reserved(value),
            2 => Self::Organization(value),
            _ => Self::Service(value),
        }
    }
}

impl AdmissionError {
    const fn new(sub_code: u16) -> Self {
        match sub_code {
            1 => Self::DelayBound,
            2 => Self::Bandwidth,
            3 => Self::Mtu,
            sub_code => Self::Other(sub_code),
        }
    }
}

impl TrafficControlError {
    const fn new(sub_code: u16) -> Self {
        match sub_code {
            1 => Self::ServiceConflict,
            2 => Self::ServiceUnsupported,
            3 => Self::BadFlowSpec,
            4 => Self::BadTspec,
            5 => Self::BadAdSpec,
            sub_code => Self::Other(sub_code),
        }
    }
}

/// In the order of their values, from 0.
const POLICY_ERRORS: [(PolicyError, &str); 20] = [
    (PolicyError::Info, "information"),
    (PolicyError::Warn, "warning"),
    (PolicyError::Unknown, "reason unknown"),
    (PolicyError::Reject, "rejected by policy"),
    (PolicyError::Exceed, "quota exceeded"),
    (PolicyError::Preempt, "flow preempted"),
    (PolicyError::Expired, "policy expired"),
    (PolicyError::Replaced, "policy replaced"),
    (PolicyError::Merge, "policies cannot be merged"),
    (PolicyError::Pdp, "policy decision point down"),
    (PolicyError::Server, "third party server unavailable"),
    (PolicyError::PolicyDataSyntax, "bad syntax of POLICY_DATA"),
    (
        PolicyError::PolicyDataIntegrity,
        "POLICY_DATA failed its integrity check",
    ),
    (
        PolicyError::PolicyElementBad,
        "bad syntax of a policy element",
    ),
    (
        PolicyError::PolicyElementMissing,
        "mandatory policy element missing",
    ),
    (PolicyError::NoResources, "out of resources for policies"),
    (PolicyError::Rsvp, "bad RSVP objects"),
    (PolicyError::Service, "service type rejected"),
    (PolicyError::Style, "reservation style rejected"),
    (PolicyError::FlowSpec, "flowspec rejected, too large"),
];

impl PolicyError {
    /// The error value on the wire.
    #[must_use]
    pub fn value(self) -> u16 {
        match self {
            Self::Other(value) => value,
            known => POLICY_ERRORS
                .iter()
                .zip(0..)
                .find_map(|((error, _), value)| (*error == known).then_some(value))
                .unwrap_or_default(),
        }
    }
}

impl From<u16> for PolicyError {
    fn from(value: u16) -> Self {
        POLICY_ERRORS
            .get(usize::from(value))
            .map_or(Self::Other(value), |(error, _)| *error)
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match POLICY_ERRORS.iter().find(|(error, _)| error == self) {
            Some((_, text)) => f.write_str(text),
            None => write!(f, "value {}", self.value()),
        }
    }
}

impl fmt::Display for AdmissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DelayBound => "delay bound cannot be met",
            Self::Bandwidth => "bandwidth not available",
            Self::Mtu => "MTU larger than the interface's",
            Self::Other(sub_code) => return write!(f, "sub-code {sub_code}"),
        })
    }
}

impl fmt::Display for TrafficControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServiceConflict => "services conflict",
            Self::ServiceUnsupported => "service unsupported",
            Self::BadFlowSpec => "bad flowspec",
            Self::BadTspec => "bad Tspec",
            Self::BadAdSpec => "bad ADSPEC",
            Self::Other(sub_code) => return write!(f, "sub-code {sub_code}"),
        })
    }
}

impl<T: fmt::Display> fmt::Display for ErrorValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global {
                sub_code,
                informational: false,
            } => write!(f, "{sub_code}"),
            Self::Global {
                sub_code,
                informational: true,
            } => {
                write!(f, "{sub_code} (informational)")
            }
            Self::Organization(value) => write!(f, "organization's value {value:#06x}"),
            Self::Service(value) => write!(f, "service's value {value:#06x}"),
            Self::Reserved(value) => write!(f, "reserved value {value:#06x}"),
        }
    }
}

impl fmt::Display for ErrorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Confirmation => f.write_str("confirmation"),
            Self::AdmissionControl(value) => write!(f, "admission control failure: {value}"),
            Self::Policy(error) => write!(f, "policy control failure: {error}"),
            Self::NoPath => f.write_str("no path information for this Resv"),
            Self::NoSender => f.write_str("no sender information for this Resv"),
            Self::ConflictingStyle(style) => {
                write!(f, "conflicting reservation style, {style} is in place")
            }
            Self::UnknownStyle => f.write_str("unknown reservation style"),
            Self::ConflictingDestPorts => f.write_str("conflicting destination ports"),
            Self::ConflictingSenderPorts => f.write_str("conflicting sender ports"),
            Self::Preempted(value) => write!(f, "service preempted: {value}"),
            Self::UnknownClass(object) => write!(f, "unknown object class: {object}"),
            Self::UnknownCType(object) => write!(f, "unknown object C-Type: {object}"),
            Self::Api(value) => write!(f, "API error {value}"),
            Self::TrafficControl(value) => write!(f, "traffic control error: {value}"),
            Self::TrafficControlSystem(value) => {
                write!(f, "traffic control system error {value}")
            }
            Self::RsvpSystem(value) => write!(f, "RSVP system error {value}"),
            Self::Other { code, value } => write!(f, "error {code} with value {value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn texts() {
        for (code, value, text) in [
            (0, 0, "confirmation"),
            (
                1,
                0x0002,
                "admission control failure: bandwidth not available",
            ),
            (
                1,
                0x2001,
                "admission control failure: delay bound cannot be met (informational)",
            ),
            (
                1,
                0x8001,
                "admission control failure: organization's value 0x8001",
            ),
            (2, 3, "policy control failure: rejected by policy"),
            (2, 40_000, "policy control failure: value 40000"),
            (5, 0x12, "conflicting reservation style, SE is in place"),
            (13, 0x1101, "unknown object class: object (17/1)"),
            (13, 0x1001, "unknown object class: LABEL (16/1)"),
            (14, 0x0309, "unknown object C-Type: RSVP_HOP (3/9)"),
            (21, 4, "traffic control error: bad Tspec"),
            (99, 1, "error 99 with value 1"),
        ] {
            assert_eq!(ErrorReason::new(code, value).to_string(), text);
        }
    }

    #[test]
    fn policy_errors_round_trip() {
        for value in 0..=u16::MAX {
            assert_eq!(PolicyError::from(value).value(), value);
        }
    }
}
