//! Rates in whole bytes per second, rounded up: what is added can be taken away again to the last
//! byte.

use lpm_api::Rate;

/// More than [`Rate::MAX`], in whole bytes per second.
pub(crate) const UNBOUNDED: u64 = 1 << 46;

/// A limit in the same measure.
pub(crate) fn whole_limit(rate: Rate) -> u64 {
    whole(rate.bytes_per_second())
}

/// A rate in whole bytes per second.
pub(crate) fn whole(rate: f32) -> u64 {
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
