//! ERROR_SPEC (RFC 2205 §A.5): what went wrong, and where.

use core::fmt;
use core::net::IpAddr;

use crate::class;
use crate::error::ParseError;
use crate::object::{Object, RawObject};

/// An error as nodes report it in PathErr and ResvErr, or the confirmation in ResvConf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ErrorSpec {
    /// The node that found the error.
    pub node: IpAddr,
    /// [`ErrorSpec::IN_PLACE`], [`ErrorSpec::NOT_GUILTY`].
    pub flags: u8,
    /// Error Code (RFC 2205 §B).
    pub code: u8,
    /// Error Value; its meaning depends on the code.
    pub value: u16,
}

impl ErrorSpec {
    /// Flag InPlace: the old reservation is still in place at the failure point (ResvErr).
    pub const IN_PLACE: u8 = 0x01;
    /// Flag NotGuilty: the failing flowspec was greater than this receiver's (ResvErr).
    pub const NOT_GUILTY: u8 = 0x02;
}

impl<'a> Object<'a> for ErrorSpec {
    const CLASSES: &'static [u8] = &[class::ERROR_SPEC];

    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        let ipv6 = match object.c_type {
            1 => false,
            2 => true,
            _ => return Err(object.unknown_c_type()),
        };
        let (node, [flags, code, value1, value2]) = object.address_and_word(ipv6)?;
        Ok(Self {
            node,
            flags,
            code,
            value: u16::from_be_bytes([value1, value2]),
        })
    }
}

impl fmt::Display for ErrorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            node, code, value, ..
        } = self;
        write!(f, "{} ({code}/{value}) at {node}", self.reason())
    }
}
