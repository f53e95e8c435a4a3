//! Rates as people write them, in a policy or a reason.

use std::fmt;
use std::str::FromStr;

/// A rate in bytes per second, as people write it: finite, not negative, at most [`Rate::MAX`].
///
/// ```
/// use lpm_api::Rate;
///
/// let rate: Rate = "2 Mbit/s".parse()?;
/// assert_eq!(rate.bytes_per_second(), 250_000.0);
/// assert_eq!(Rate::in_words(62_500.0), "500 kbit/s");
/// # Ok::<(), lpm_api::RateError>(())
/// ```
///
/// Held as the `f32` that RSVP carries in a TSpec (RFC 2215 section 3.6), so that a sender asking
/// for exactly the rate a rule allows is never refused over a rounding error.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Rate(f32);

impl Rate {
    /// 40 TB/s, the highest token rate RFC 2215 section 3.6 asks anybody to support.
    pub const MAX: Self = Self(40e12);

    /// The rate of so many bytes per second.
    ///
    /// # Errors
    /// [`RateError::Negative`], [`RateError::TooHigh`], or [`RateError::NotANumber`] for a NaN.
    pub fn from_bytes_per_second(rate: f64) -> Result<Self, RateError> {
        if rate.is_nan() {
            return Err(RateError::NotANumber(rate.to_string()));
        }
        if rate < 0.0 {
            return Err(RateError::Negative(rate.to_string()));
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the nearest f32 is what is wanted"
        )]
        let nearest = rate as f32;
        if nearest > Self::MAX.0 {
            return Err(RateError::TooHigh(rate.to_string()));
        }
        // -0.0 is a zero here, while RFC 2215 forbids it on the wire.
        Ok(Self(nearest.abs()))
    }

    /// Bytes per second.
    #[must_use]
    pub fn bytes_per_second(self) -> f32 {
        self.0
    }

    /// So many bytes per second in words; what no [`Rate`] can be, such as a negative number, as it
    /// is.
    #[must_use]
    pub fn in_words(bytes_per_second: f32) -> String {
        match Self::from_bytes_per_second(bytes_per_second.into()) {
            Ok(rate) => rate.to_string(),
            Err(_) => format!("{bytes_per_second} B/s"),
        }
    }
}

/// Bytes per second, in the largest bit unit that keeps the number at one or more.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = f64::from(self.0) * 8.0;
        let (scale, unit) = match bits {
            b if b >= 1e12 => (1e12, "Tbit/s"),
            b if b >= 1e9 => (1e9, "Gbit/s"),
            b if b >= 1e6 => (1e6, "Mbit/s"),
            b if b >= 1e3 => (1e3, "kbit/s"),
            _ => (1.0, "bit/s"),
        };
        write!(f, "{} {unit}", bits / scale)
    }
}

/// A decimal number, and a unit unless bytes per second are meant.
///
/// Units: `bit/s` and `B/s`, with the prefixes `k`, `M`, `G`, `T` (powers of 1000; `K` is taken
/// for `k`) or `Ki`, `Mi`, `Gi`, `Ti` (powers of 1024). `b` and `B` are not confused: a bit is
/// spelled out.
impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let text = text.trim();
        if text.starts_with('-') {
            return Err(RateError::Negative(text.to_owned()));
        }
        let text = text.strip_prefix('+').unwrap_or(text);
        let end_of_number = text
            .char_indices()
            .find(|&(at, c)| !is_part_of_number(text, at, c))
            .map_or(text.len(), |(at, _)| at);
        let (number, unit) = text.split_at(end_of_number);

        // `f64::from_str` also takes signs, "inf" and "nan", which is why the first character
        // counts.
        if !number.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(RateError::NotANumber(text.to_owned()));
        }
        let number: f64 = number
            .parse()
            .map_err(|_| RateError::NotANumber(text.to_owned()))?;
        let scale = bytes_per_second(unit.trim())
            .ok_or_else(|| RateError::UnknownUnit(unit.trim().to_owned()))?;
        Self::from_bytes_per_second(number * scale).map_err(|error| match error {
            RateError::TooHigh(_) => RateError::TooHigh(text.to_owned()),
            other => other,
        })
    }
}

/// Why a text is no rate. The message says what is accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RateError {
    /// The text does not begin with a decimal number.
    #[error(
        "{0:?} is not a rate: expected a number of bytes per second, or a number and a unit such as \"500 kbit/s\" or \"64 kB/s\""
    )]
    NotANumber(String),
    /// The unit is none of those listed.
    #[error(
        "{0:?} is not a unit of rate: expected bit/s or B/s, or one of them with a prefix k, M, G, T, Ki, Mi, Gi or Ti"
    )]
    UnknownUnit(String),
    /// The rate is below zero.
    #[error("the rate {0} is negative: expected 0 or more")]
    Negative(String),
    /// The rate is above [`Rate::MAX`], infinite included.
    #[error("the rate {0} is too high: expected at most 40 TB/s, or \"unlimited\" for no limit")]
    TooHigh(String),
}

/// Whether the character `c` at byte `at` still belongs to the number at the start of `text`.
fn is_part_of_number(text: &str, at: usize, c: char) -> bool {
    let before = text[..at].chars().next_back();
    let after = text[at + c.len_utf8()..].chars().next();
    match c {
        '0'..='9' | '.' => true,
        // An exponent needs a digit or a sign behind it.
        'e' | 'E' => after.is_some_and(|c| c.is_ascii_digit() || c == '+' || c == '-'),
        '+' | '-' => matches!(before, Some('e' | 'E')),
        _ => false,
    }
}

/// How many bytes per second one `unit` is; no unit is bytes per second.
fn bytes_per_second(unit: &str) -> Option<f64> {
    if unit.is_empty() {
        return Some(1.0);
    }
    let (prefix, size) = if let Some(prefix) = unit.strip_suffix("bit/s") {
        (prefix, 1.0 / 8.0)
    } else {
        (unit.strip_suffix("B/s")?, 1.0)
    };
    let scale: f64 = match prefix {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(scale * size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn bytes(text: &str) -> f32 {
        text.parse::<Rate>().unwrap().bytes_per_second()
    }

    #[test]
    fn plain_numbers_are_bytes_per_second() {
        assert_eq!(bytes("0"), 0.0);
        assert_eq!(bytes("62500"), 62_500.0);
        assert_eq!(bytes("+62500"), 62_500.0);
        assert_eq!(bytes("1e6"), 1_000_000.0);
        assert_eq!(bytes(" 1.5e+3 "), 1_500.0);
        assert_eq!(bytes("2500e-1"), 250.0);
    }

    #[test]
    fn units_scale() {
        assert_eq!(bytes("2 Mbit/s"), 250_000.0);
        assert_eq!(bytes("500 kbit/s"), 62_500.0);
        assert_eq!(bytes("500Kbit/s"), 62_500.0);
        assert_eq!(bytes("64 kB/s"), 64_000.0);
        assert_eq!(bytes("64 KiB/s"), 65_536.0);
        assert_eq!(bytes("12 bit/s"), 1.5);
        assert_eq!(bytes("1.5 Gbit/s"), 187_500_000.0);
        assert_eq!(bytes("40 TB/s"), Rate::MAX.bytes_per_second());
    }

    #[test]
    fn a_rate_is_the_f32_a_sender_would_put_on_the_wire() {
        assert_eq!(bytes("12345.678"), 12_345.678_f32);
        assert_eq!(bytes("0.1 kB/s"), 100.0);
    }

    #[test]
    fn what_is_not_a_rate_is_refused() {
        for text in [
            "", "fast", "nan", "inf", "+-5", "++5", "+ 5", ".5", "0x10", "e5", "1e", "1.2.3",
            "1_000", "5 MB",
        ] {
            let error = text.parse::<Rate>().unwrap_err();
            assert!(
                matches!(error, RateError::NotANumber(_) | RateError::UnknownUnit(_)),
                "{text:?}: {error}"
            );
        }
        for text in [
            "5 mbit/s", "5 Mb/s", "5 Mbps", "5 bit", "5 kkB/s", "5 B/s/s",
        ] {
            assert!(
                matches!(text.parse::<Rate>(), Err(RateError::UnknownUnit(_))),
                "{text:?}"
            );
        }
        assert_eq!(
            "-1 kB/s".parse::<Rate>(),
            Err(RateError::Negative("-1 kB/s".into()))
        );
    }

    #[test]
    fn overflow_is_refused() {
        for text in ["1e309", "41 TB/s", "1e300 TB/s", "321 Tbit/s"] {
            assert_eq!(text.parse::<Rate>(), Err(RateError::TooHigh(text.into())));
        }
        for rate in [f64::INFINITY, f64::MAX, 40.1e12] {
            assert!(matches!(
                Rate::from_bytes_per_second(rate),
                Err(RateError::TooHigh(_))
            ));
        }
        assert!(matches!(
            Rate::from_bytes_per_second(f64::NAN),
            Err(RateError::NotANumber(_))
        ));
        assert!(matches!(
            Rate::from_bytes_per_second(-0.1),
            Err(RateError::Negative(_))
        ));
    }

    #[test]
    fn display_is_read_back() {
        assert_eq!(Rate(250_000.0).to_string(), "2 Mbit/s");
        assert_eq!(Rate(0.0).to_string(), "0 bit/s");
        assert_eq!(Rate::MAX.to_string().parse(), Ok(Rate::MAX));
    }

    proptest! {
        #[test]
        fn any_text_gives_a_legal_rate_or_an_error(text in ".{0,24}") {
            if let Ok(rate) = text.parse::<Rate>() {
                prop_assert!((0.0..=Rate::MAX.0).contains(&rate.0));
            }
        }

        #[test]
        fn near_rates_give_a_legal_rate_or_an_error(text in "[-+]?[0-9.eE]{0,6} ?[kMGTKi]{0,2}(bit/s|B/s|b|)") {
            if let Ok(rate) = text.parse::<Rate>() {
                prop_assert!((0.0..=Rate::MAX.0).contains(&rate.0));
            }
        }

        #[test]
        fn every_rate_is_read_back_from_its_display(bits in 0u32..=40_000_000_000_000f32.to_bits()) {
            let rate = Rate(f32::from_bits(bits));
            let back: Rate = rate.to_string().parse().unwrap();
            // The division by the unit and back may cost the last bit.
            prop_assert!((rate.0 - back.0).abs() <= rate.0 * f32::EPSILON);
        }
    }
}
