//! RSVP_HOP (RFC 2205 §A.2): the node that sent the message, and its interface.

use core::fmt;
use core::net::IpAddr;

use crate::class;
use crate::error::ParseError;
use crate::object::{Object, RawObject};

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

impl<'a> Object<'a> for RsvpHop {
    const CLASSES: &'static [u8] = &[class::RSVP_HOP];

    #[inline]
    fn parse(object: RawObject<'a>) -> Result<RsvpHop, ParseError> {
        let ipv6 = match object.c_type {
            1 => false,
            2 => true,
            _ => return Err(object.unknown_c_type()),
        };
        let (address, handle) = object.address_and_word(ipv6)?;
        Ok(RsvpHop {
            address,
            logical_interface: u32::from_be_bytes(handle),
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
