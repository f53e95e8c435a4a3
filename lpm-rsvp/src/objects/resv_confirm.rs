//! RESV_CONFIRM (RFC 2205 §A.14): the receiver that wants to be told.

use core::net::IpAddr;

use crate::class;
use crate::error::ParseError;
use crate::object::{Object, RawObject};
use crate::wire;

/// Asks for a ResvConf to this address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ResvConfirm {
    /// The receiver that asked for the confirmation.
    pub receiver: IpAddr,
}

impl<'a> Object<'a> for ResvConfirm {
    const CLASSES: &'static [u8] = &[class::RESV_CONFIRM];

    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        let body = object.body;
        let (receiver, expected) = match object.c_type {
            1 if body.len() == 4 => (wire::ipv4(body, 0), "4"),
            2 if body.len() == 16 => (wire::ipv6(body, 0), "16"),
            1 => (None, "4"),
            2 => (None, "16"),
            _ => return Err(object.unknown_c_type()),
        };
        match receiver {
            Some(receiver) => Ok(Self { receiver }),
            None => Err(object.body_length(expected)),
        }
    }
}
