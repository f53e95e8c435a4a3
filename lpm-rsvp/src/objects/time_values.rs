//! TIME_VALUES (RFC 2205 §A.4): how often the sender refreshes.

use core::fmt;
use core::time::Duration;

use crate::class;
use crate::error::ParseError;
use crate::object::{Object, RawObject};
use crate::wire;

/// The refresh period of the state in this message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct TimeValues {
    /// Refresh period R in milliseconds.
    pub refresh_ms: u32,
}

impl TimeValues {
    /// The default of RFC 2205 §3.7: 30 s.
    pub const DEFAULT: Self = Self { refresh_ms: 30_000 };

    /// The refresh period R.
    #[must_use]
    pub const fn refresh_period(&self) -> Duration {
        Duration::from_millis(self.refresh_ms as u64)
    }

    /// How long state lives without a refresh: (K + 0.5) · 1.5 · R with K = 3, that is
    /// 5.25 · R (RFC 2205 §3.7).
    #[must_use]
    pub const fn lifetime(&self) -> Duration {
        Duration::from_millis((self.refresh_ms as u64).saturating_mul(21) / 4)
    }
}

impl<'a> Object<'a> for TimeValues {
    const CLASSES: &'static [u8] = &[class::TIME_VALUES];

    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        match (object.c_type, object.body.len(), wire::u32(object.body, 0)) {
            (1, 4, Some(refresh_ms)) => Ok(Self { refresh_ms }),
            (1, ..) => Err(object.body_length("4")),
            _ => Err(object.unknown_c_type()),
        }
    }
}

impl fmt::Display for TimeValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.refresh_period())
    }
}
