//! Traffic in numbers that add up exactly.

use lpm_api::lpm_rsvp::Tspec;

use crate::whole::whole;

/// What a flow asks for, as its message has it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    /// The rate to be reserved, in bytes per second: finite, not negative.
    pub rate: f32,
    /// The peak rate in bytes per second: not negative, infinite where the sender names none.
    pub peak_rate: f32,
}

impl Traffic {
    /// The traffic of a token bucket: its rates r and p.
    #[must_use]
    pub fn of(tspec: &Tspec) -> Self {
        Self {
            rate: tspec.rate,
            peak_rate: tspec.peak_rate,
        }
    }
}

/// Traffic in whole bytes per second, rounded up, so that what is added can be taken away again to
/// the last byte. What is above [`Rate::MAX`](lpm_api::Rate::MAX) is above every limit, and all the
/// same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    pub(crate) rate: u64,
    pub(crate) peak_rate: u64,
}

impl Amounts {
    pub(crate) fn of(traffic: Traffic) -> Self {
        Self {
            rate: whole(traffic.rate),
            peak_rate: whole(traffic.peak_rate),
        }
    }

    /// Of each rate the larger one.
    pub(crate) fn larger(self, other: Self) -> Self {
        Self {
            rate: self.rate.max(other.rate),
            peak_rate: self.peak_rate.max(other.peak_rate),
        }
    }
}
