//! The token bucket Tspec (RFC 2215 §3.6): the traffic a sender makes.

use core::fmt;

use super::block::{PARTS, Parameter, ServiceBlocks};
use super::number;
use crate::class;
use crate::error::ParseError;
use crate::object::{Object, RawObject};
use crate::wire;

/// A token bucket with a peak rate: traffic in any interval of T seconds is at most
/// `min(bucket + rate · T, max_packet + peak_rate · T)` bytes.
///
/// Displays as `125000 B/s, bucket 1500 B, peak 250000 B/s`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Tspec {
    /// r: token rate in bytes/s; finite, not negative.
    pub rate: f32,
    /// b: bucket size in bytes; finite, not negative.
    pub bucket: f32,
    /// p: peak rate in bytes/s; not negative, infinite when unknown.
    pub peak_rate: f32,
    /// m: minimum policed unit in bytes. RFC 2210 §3.1 wants more than 0, but there are
    /// routers that send 0.
    pub min_policed: u32,
    /// M: maximum packet size in bytes.
    pub max_packet: u32,
}

impl Tspec {
    /// Reads a token bucket parameter (number 127).
    ///
    /// # Errors
    /// Too short; r or b NaN, infinite or negative; p NaN or negative; m > M.
    pub(crate) fn from_parameter(parameter: &Parameter<'_>) -> Result<Self, ParseError> {
        if parameter.value.len() != 20 {
            return Err(parameter.overrun("token bucket Tspec", 20));
        }
        let tspec = Self {
            rate: parameter.finite(0, "token rate r")?,
            bucket: parameter.finite(4, "bucket size b")?,
            peak_rate: parameter.float(8, "peak rate p")?,
            min_policed: parameter.word(12, "minimum policed unit m")?,
            max_packet: parameter.word(16, "maximum packet size M")?,
        };
        if tspec.min_policed > tspec.max_packet {
            return Err(parameter.bad(12, "minimum policed unit m", "at most M"));
        }
        Ok(tspec)
    }

    /// Whether the values are ones that may be sent: see the fields, and m ≤ M.
    #[inline]
    #[must_use]
    pub fn is_legal(&self) -> bool {
        // As bits the numbers without sign are in order, and those that are not numbers last.
        const INFINITE: u32 = f32::INFINITY.to_bits();
        self.rate.to_bits() < INFINITE
            && self.bucket.to_bits() < INFINITE
            && self.peak_rate.to_bits() <= INFINITE
            && self.min_policed <= self.max_packet
    }
}

impl Tspec {
    /// The token bucket where most senders put it, alone in the only block; `None` for any other
    /// layout and for illegal values.
    #[inline]
    pub(crate) fn usual(body: &[u8]) -> Option<Self> {
        // Message header, service header, parameter header; r, b, p, m, M.
        let body: &[u8; 32] = body.try_into().ok()?;
        let word = |at| wire::u32(body, at).unwrap_or_default();
        if word(0) != 7
            || word(4) & 0x0000_ffff != 6
            || word(8) & 0xff00_ffff != u32::from(number::TOKEN_BUCKET_TSPEC) << 24 | 5
        {
            return None;
        }
        let tspec = Self {
            rate: f32::from_bits(word(12)),
            bucket: f32::from_bits(word(16)),
            peak_rate: f32::from_bits(word(20)),
            min_policed: word(24),
            max_packet: word(28),
        };
        tspec.is_legal().then_some(tspec)
    }
}

impl<'a> Object<'a> for Tspec {
    const CLASSES: &'static [u8] = &[class::SENDER_TSPEC];

    #[inline]
    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        if object.c_type != 2 {
            return Err(object.unknown_c_type());
        }
        token_bucket(object)
    }
}

/// The first token bucket in the first service blocks of the object.
#[inline]
pub(crate) fn token_bucket(object: RawObject<'_>) -> Result<Tspec, ParseError> {
    match Tspec::usual(object.body) {
        Some(tspec) => Ok(tspec),
        None => search(object),
    }
}

#[cold]
fn search(object: RawObject<'_>) -> Result<Tspec, ParseError> {
    for block in ServiceBlocks::new(object).take(PARTS) {
        for parameter in block?.parameters().take(PARTS) {
            let parameter = parameter?;
            if parameter.number == number::TOKEN_BUCKET_TSPEC {
                return Tspec::from_parameter(&parameter);
            }
        }
    }
    let parameter = number::TOKEN_BUCKET_TSPEC;
    Err(object.value(0, "token bucket Tspec", "the parameter", parameter))
}

impl fmt::Display for Tspec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} B/s, bucket {} B", self.rate, self.bucket)?;
        if self.peak_rate.is_finite() {
            write!(f, ", peak {} B/s", self.peak_rate)?;
        }
        Ok(())
    }
}
