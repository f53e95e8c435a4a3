//! Traffic in numbers that add up exactly.

use lpm_api::lpm_rsvp::Tspec;

use crate::units::Rate;

/// More than [`Rate::MAX`], in whole bytes per second.
const UNBOUNDED: u64 = 1 << 46;

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
    pub fn of(tspec: &Tspec) -> Traffic {
        Traffic {
            rate: tspec.rate,
            peak_rate: tspec.peak_rate,
        }
    }
}

/// Traffic in whole bytes per second, rounded up, so that what is added can be taken away again to
/// the last byte. What is above [`Rate::MAX`] is above every limit, and all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    pub(crate) rate: u64,
    pub(crate) peak_rate: u64,
}

impl Amounts {
    pub(crate) fn of(traffic: Traffic) -> Amounts {
        Amounts {
            rate: whole(traffic.rate),
            peak_rate: whole(traffic.peak_rate),
        }
    }

    /// Of each rate the larger one.
    pub(crate) fn larger(self, other: Amounts) -> Amounts {
        Amounts {
            rate: self.rate.max(other.rate),
            peak_rate: self.peak_rate.max(other.peak_rate),
        }
    }
}

/// A limit in the same measure.
pub(crate) fn whole_limit(rate: Rate) -> u64 {
    whole(rate.bytes_per_second())
}

fn whole(rate: f32) -> u64 {
    if rate > Rate::MAX.bytes_per_second() {
        return UNBOUNDED;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number from 0 to Rate::MAX; a NaN, which no message gets here with, is 0"
    )]
    let whole = rate.ceil() as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_round_up_and_the_unbounded_is_above_every_limit() {
        assert_eq!(whole(0.0), 0);
        assert_eq!(whole(0.1), 1);
        assert_eq!(whole(62_500.0), 62_500);
        assert!(whole(f32::INFINITY) > whole_limit(Rate::MAX));
        assert!(whole(1e30) > whole_limit(Rate::MAX));
        assert_eq!(whole(f32::NAN), 0);
    }
}
