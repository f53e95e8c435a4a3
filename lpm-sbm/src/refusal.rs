//! Why the SBM refuses what policy has accepted.

use std::fmt;

/// A refusal, with its place among the errors of RFC 2205, appendix B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The interface has too little bandwidth left. In bit/s.
    Bandwidth {
        /// What the reservation would take, merged with those it shares resources with.
        asked: u64,
        /// What is free for it, preemption included.
        free: u64,
    },
    /// One flow may not take so much of the interface. In bit/s.
    TooMuchPerFlow {
        /// What the flow asks for.
        asked: u64,
        /// What a flow may take.
        limit: u64,
    },
    /// Another next hop has asked for another service.
    ServiceConflict,
    /// The FLOWSPEC is missing, or does not say what is asked for.
    BadFlowSpec,
    /// There is no Path state for the session.
    NoPath,
    /// There is no Path state by the senders that are named.
    NoSender,
    /// As many flows are kept as may be.
    TableFull,
    /// Nothing is granted now ([`Policy::may_grant`](crate::Policy::may_grant)): what is granted
    /// could not be put on record.
    NotOnRecord,
}

impl Refusal {
    /// The error code of the ERROR_SPEC.
    #[must_use]
    pub const fn error_code(self) -> u16 {
        match self {
            Self::Bandwidth { .. } | Self::TooMuchPerFlow { .. } => 1,
            Self::NoPath => 3,
            Self::NoSender => 4,
            Self::ServiceConflict | Self::BadFlowSpec => 21,
            Self::TableFull | Self::NotOnRecord => 23,
        }
    }

    /// The error value of the ERROR_SPEC.
    #[must_use]
    pub const fn error_value(self) -> u16 {
        match self {
            // Requested bandwidth unavailable.
            Self::Bandwidth { .. } | Self::TooMuchPerFlow { .. } => 2,
            Self::ServiceConflict => 1,
            Self::BadFlowSpec => 3,
            Self::NoPath | Self::NoSender | Self::NotOnRecord => 0,
            // RSVP system error, as lpmapi numbers them: out of memory.
            Self::TableFull => 1,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bandwidth { asked, free } => {
                write!(
                    f,
                    "too little bandwidth: asked {}, free {}",
                    Bits(*asked),
                    Bits(*free)
                )
            }
            Self::TooMuchPerFlow { asked, limit } => {
                write!(
                    f,
                    "too much for one flow: asked {}, allowed {}",
                    Bits(*asked),
                    Bits(*limit)
                )
            }
            Self::ServiceConflict => f.write_str("another next hop asks for another service"),
            Self::BadFlowSpec => f.write_str("unreadable FLOWSPEC"),
            Self::NoPath => f.write_str("no Path state for the session"),
            Self::NoSender => f.write_str("no Path state by the sender"),
            Self::NotOnRecord => f.write_str("required events cannot be written"),
            Self::TableFull => f.write_str("as many flows as `max_flows` allows"),
        }
    }
}

/// A rate in bit/s, in the largest unit in which it is a whole number of thousandths.
struct Bits(u64);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            (1_000_000_000, "Gbit/s"),
            (1_000_000, "Mbit/s"),
            (1_000, "kbit/s"),
        ];
        let unit = units
            .into_iter()
            .find(|(scale, _)| self.0 >= *scale && self.0 % (scale / 1000) == 0);
        match unit {
            Some((scale, unit)) => {
                let (whole, rest) = (self.0 / scale, self.0 % scale / (scale / 1000));
                let digits = format!("{whole}.{rest:03}");
                write!(
                    f,
                    "{} {unit}",
                    digits.trim_end_matches('0').trim_end_matches('.')
                )
            }
            None => write!(f, "{} bit/s", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_exact() {
        for (bits, text) in [
            (0, "0 bit/s"),
            (999, "999 bit/s"),
            (64_000, "64 kbit/s"),
            (1_500_000, "1.5 Mbit/s"),
            (10_000_000, "10 Mbit/s"),
            (1_000_000_001, "1000000.001 kbit/s"),
            (2_000_000_000, "2 Gbit/s"),
        ] {
            assert_eq!(Bits(bits).to_string(), text);
        }
    }

    #[test]
    fn errors_are_those_of_rfc_2205() {
        use lpm_rsvp::{AdmissionError, ErrorReason, ErrorValue, TrafficControlError};

        let global = |sub_code| ErrorValue::Global {
            sub_code,
            informational: false,
        };
        let reason = |refusal: Refusal| {
            let code = u8::try_from(refusal.error_code()).unwrap();
            ErrorReason::new(code, refusal.error_value())
        };
        let bandwidth = Refusal::Bandwidth { asked: 2, free: 1 };
        assert_eq!(
            reason(bandwidth),
            ErrorReason::AdmissionControl(global(AdmissionError::Bandwidth))
        );
        assert_eq!(reason(Refusal::NoPath), ErrorReason::NoPath);
        assert_eq!(reason(Refusal::NoSender), ErrorReason::NoSender);
        for (refusal, error) in [
            (
                Refusal::ServiceConflict,
                TrafficControlError::ServiceConflict,
            ),
            (Refusal::BadFlowSpec, TrafficControlError::BadFlowSpec),
        ] {
            let ErrorReason::TrafficControl(found) = reason(refusal) else {
                panic!("{refusal:?}");
            };
            assert!(matches!(found, ErrorValue::Global { sub_code, .. } if sub_code == error));
        }
        assert_eq!(reason(Refusal::NotOnRecord), ErrorReason::RsvpSystem(0));
        assert_eq!(reason(Refusal::TableFull), ErrorReason::RsvpSystem(1));
    }
}
