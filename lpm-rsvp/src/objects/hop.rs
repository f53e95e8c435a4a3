//! RSVP_HOP (RFC 2205 §A.2): the node that sent the message, and its interface.

use core::fmt;
use core::net::IpAddr;

use crate::class;
use crate::error::ParseError;
use crate::object::{Object, RawObject};
use crate::wire;

/// Address of a node's interface, with that node's handle for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RsvpHop {
    /// Next or previous hop address.
    pub address: IpAddr,
    /// Logical interface handle: echoed from Path into Resv, means something to its node
    /// only; 0 = unused.
    pub logical_interface: u32,
}

impl<'a> Object<'a> for RsvpHop {
    const CLASSES: &'static [u8] = &[class::RSVP_HOP];

    fn parse(object: RawObject<'a>) -> Result<RsvpHop, ParseError> {
        let body = object.body;
        let (address, handle, length) = match object.c_type {
            1 => (wire::ipv4(body, 0), wire::u32(body, 4), 8),
            2 => (wire::ipv6(body, 0), wire::u32(body, 16), 20),
            _ => return Err(object.unknown_c_type()),
        };
        match (address, handle) {
            (Some(address), Some(logical_interface)) if body.len() == length => Ok(RsvpHop {
                address,
                logical_interface,
            }),
            _ if length == 8 => Err(object.body_length("8")),
            _ => Err(object.body_length("20")),
        }
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
