//! SCOPE (RFC 2205 §A.6): the senders a wildcard reservation is forwarded to.

use core::net::IpAddr;

use crate::class;
use crate::error::ParseError;
use crate::object::{Object, RawObject};
use crate::wire;

/// A list of sender addresses, all of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    ipv6: bool,
    body: &'a [u8],
}

impl<'a> Scope<'a> {
    /// The addresses. RFC 2205 wants them in ascending order; `strict` parsing checks that.
    #[must_use]
    pub const fn addresses(&self) -> ScopeAddresses<'a> {
        ScopeAddresses(*self)
    }

    /// Whether the addresses ascend, each greater than the one before.
    #[must_use]
    pub fn is_ascending(&self) -> bool {
        self.addresses()
            .zip(self.addresses().skip(1))
            .all(|(a, b)| a < b)
    }
}

impl<'a> Object<'a> for Scope<'a> {
    const CLASSES: &'static [u8] = &[class::SCOPE];

    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        let body = object.body;
        match object.c_type {
            1 if body.len() % 4 == 0 => Ok(Scope { ipv6: false, body }),
            2 if body.len() % 16 == 0 => Ok(Scope { ipv6: true, body }),
            1 => Err(object.body_length("a multiple of 4")),
            2 => Err(object.body_length("a multiple of 16")),
            _ => Err(object.unknown_c_type()),
        }
    }
}

/// Iterator over the addresses of a [`Scope`].
#[derive(Clone, Debug)]
pub struct ScopeAddresses<'a>(Scope<'a>);

impl Iterator for ScopeAddresses<'_> {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        let Scope { ipv6, body } = self.0;
        let (address, length) = if ipv6 {
            (wire::ipv6(body, 0), 16)
        } else {
            (wire::ipv4(body, 0), 4)
        };
        self.0.body = body.get(length..).unwrap_or_default();
        address
    }
}

impl core::iter::FusedIterator for ScopeAddresses<'_> {}
