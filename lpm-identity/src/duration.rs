//! How long a flow may last, as people write it.
//!
//! ```
//! use lpm_identity::duration::FlowDuration;
//!
//! let duration: FlowDuration = "1.5 h".parse()?;
//! assert_eq!(duration.seconds(), 5_400);
//! # Ok::<(), lpm_identity::duration::DurationError>(())
//! ```

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration in whole seconds, at most [`FlowDuration::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowDuration(u32);

impl FlowDuration {
    /// 136 years.
    pub const MAX: Self = Self(u32::MAX);

    /// So many seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// The seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl From<FlowDuration> for Duration {
    fn from(duration: FlowDuration) -> Self {
        Self::from_secs(duration.0.into())
    }
}

/// In the largest unit that gives a whole number.
impl fmt::Display for FlowDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |size: u32| self.0 != 0 && self.0 % size == 0;
        let (size, unit) = UNITS
            .into_iter()
            .rev()
            .find(|(size, _)| fits(*size))
            .unwrap_or(UNITS[0]);
        write!(f, "{} {unit}", self.0 / size)
    }
}

/// Seconds in a unit, by the name it is displayed with.
const UNITS: [(u32, &str); 4] = [(1, "s"), (60, "min"), (3_600, "h"), (86_400, "d")];

/// A decimal number, and one of the units `s`, `min`, `h` and `d` unless seconds are meant.
impl FromStr for FlowDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let text = text.trim();
        let fault = |kind: fn(String) -> DurationError| kind(text.to_owned());
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let number: f64 = number
            .parse()
            .map_err(|_| fault(DurationError::NotANumber))?;
        let unit = unit.trim();
        let (size, _) = UNITS
            .into_iter()
            .find(|(_, name)| *name == if unit.is_empty() { "s" } else { unit })
            .ok_or_else(|| DurationError::UnknownUnit(unit.to_owned()))?;
        let seconds = (number * f64::from(size)).round();
        if seconds > f64::from(u32::MAX) {
            return Err(fault(DurationError::TooLong));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number within the bounds of u32"
        )]
        Ok(Self(seconds as u32))
    }
}

/// Why a text is no duration. The message says what is accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// The text does not begin with a decimal number.
    #[error(
        "{0:?} is not a duration: expected a number of seconds, or a number and a unit such as \"90 s\" or \"8 h\""
    )]
    NotANumber(String),
    /// The unit is none of those listed.
    #[error("{0:?} is not a unit of time: expected s, min, h or d")]
    UnknownUnit(String),
    /// More seconds than fit.
    #[error(
        "the duration {0} is too long: expected at most 4294967295 s, or \"unlimited\" for no limit"
    )]
    TooLong(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn seconds(text: &str) -> u32 {
        text.parse::<FlowDuration>().unwrap().seconds()
    }

    #[test]
    fn units_scale_and_no_unit_is_seconds() {
        assert_eq!(seconds("90"), 90);
        assert_eq!(seconds("90 s"), 90);
        assert_eq!(seconds("2min"), 120);
        assert_eq!(seconds(" 1.5 h "), 5_400);
        assert_eq!(seconds("2 d"), 172_800);
        assert_eq!(seconds("4294967295"), u32::MAX);
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in ["", "soon", "-1", "1.2.3", ".", "1e3"] {
            let error = text.parse::<FlowDuration>().unwrap_err();
            assert!(
                matches!(
                    error,
                    DurationError::NotANumber(_) | DurationError::UnknownUnit(_)
                ),
                "{text:?}: {error}"
            );
        }
        assert_eq!(
            "5 hours".parse::<FlowDuration>(),
            Err(DurationError::UnknownUnit("hours".into()))
        );
        assert_eq!(
            "4294967296".parse::<FlowDuration>(),
            Err(DurationError::TooLong("4294967296".into()))
        );
    }

    proptest! {
        #[test]
        fn any_text_gives_a_duration_or_an_error(text in ".{0,24}") {
            let _ = text.parse::<FlowDuration>();
        }

        #[test]
        fn display_is_read_back(seconds in any::<u32>()) {
            let duration = FlowDuration::from_seconds(seconds);
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }
    }
}
