//! STYLE (RFC 2205 §A.7): how a reservation chooses and shares its senders.

use core::fmt;

use crate::class;
use crate::error::ParseError;
use crate::object::{Object, RawObject};

/// The reservation style. Displays as `WF`, `FF`, `SE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum ResvStyle {
    /// WF: one reservation, shared by all senders.
    WildcardFilter,
    /// FF: one reservation for each named sender.
    FixedFilter,
    /// SE: one reservation, shared by the named senders.
    SharedExplicit,
    /// A style this crate does not know; a node answers it with error code 6. Holds the low
    /// 5 bits of the option vector.
    Unknown(u8),
}

impl ResvStyle {
    /// The option vector: 24 bits, of which the low 5 are in use.
    #[must_use]
    pub const fn option_vector(self) -> u32 {
        match self {
            Self::WildcardFilter => 0x11,
            Self::FixedFilter => 0x0a,
            Self::SharedExplicit => 0x12,
            Self::Unknown(bits) => bits as u32,
        }
    }

    /// The style of an option vector. Only the low 5 bits decide, as RFC 2205 §A.7 wants.
    #[inline]
    #[must_use]
    pub const fn from_option_vector(vector: u32) -> Self {
        match vector.to_be_bytes()[3] & 0x1f {
            0x11 => Self::WildcardFilter,
            0x0a => Self::FixedFilter,
            0x12 => Self::SharedExplicit,
            bits => Self::Unknown(bits),
        }
    }

    /// Reads the body of an object of this C-Type.
    #[inline]
    pub(crate) fn read(c_type: u8, body: &[u8]) -> Option<Self> {
        let vector = u32::from_be_bytes(body.try_into().ok()?);
        (c_type == 1).then(|| Self::from_option_vector(vector))
    }
}

impl<'a> Object<'a> for ResvStyle {
    const CLASSES: &'static [u8] = &[class::STYLE];

    #[inline]
    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        Self::read(object.c_type, object.body).ok_or_else(|| match object.c_type {
            1 => object.body_length("4"),
            _ => object.unknown_c_type(),
        })
    }
}

impl fmt::Display for ResvStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::WildcardFilter => "WF",
            Self::FixedFilter => "FF",
            Self::SharedExplicit => "SE",
            Self::Unknown(bits) => return write!(f, "unknown style {bits:#04x}"),
        })
    }
}
