//! RSVP_HOP (RFC 2205 §A.2): the node that sent the message, and its interface.

use core::fmt;
use core::net::IpAddr;

use crate::class;
use crate::error::ParseError;
use crate::object::{Object, RawObject, address_and_word};

/// Address of a node's interface, with that node's handle for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct RsvpHop {
    /// Next or previous hop address.
    pub address: IpAddr,
    /// Logical interface handle: echoed from Path into Resv, means something to its node
    /// only; 0 = unused.
    pub logical_interface: u32,
}

impl RsvpHop {
    /// Reads the body of an object of this C-Type.
    #[inline]
    pub(crate) fn read(c_type: u8, body: &[u8]) -> Option<Self> {
        let ipv6 = match c_type {
            1 => false,
            2 => true,
            _ => return None,
        };
        let (address, handle) = address_and_word(body, ipv6)?;
        Some(Self {
            address,
            logical_interface: u32::from_be_bytes(handle),
        })
    }
}

impl<'a> Object<'a> for RsvpHop {
    const CLASSES: &'static [u8] = &[class::RSVP_HOP];

    #[inline]
    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        Self::read(object.c_type, object.body).ok_or_else(|| match object.c_type {
            1 => object.body_length("8"),
            2 => object.body_length("20"),
            _ => object.unknown_c_type(),
        })
    }
}

impl fmt::Display for RsvpHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        match self.logical_interface {
            0 => Ok(()),
            handle => write!(f, " (interface {handle:#x})"),
        }
    }
}
