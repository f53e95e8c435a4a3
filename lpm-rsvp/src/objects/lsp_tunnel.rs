//! The SESSION of traffic engineering (RFC 3209 §4.6.1, RFC 4875 §19.1): a label-switched path,
//! which is no flow that policy decides on.

use core::fmt;
use core::net::IpAddr;

use crate::class;
use crate::error::ParseError;
use crate::object::{Object, RawObject};
use crate::wire;

/// What a SESSION of C-Type 7, 8, 13 or 14 names: LSP_TUNNEL and P2MP_LSP_TUNNEL, of IPv4 and IPv6.
///
/// Displays as `tunnel 1 to 10.9.0.9 from 10.9.0.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct LspTunnel {
    /// Where it goes.
    pub end: TunnelEnd,
    /// Tunnel ID: the same for the whole life of the tunnel.
    pub tunnel_id: u16,
    /// Extended Tunnel ID: zero, or an address of the node where it begins, which makes it that
    /// node's own.
    pub extended_tunnel_id: IpAddr,
}

/// Where a tunnel goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum TunnelEnd {
    /// To the node with this address.
    Address(IpAddr),
    /// To several, by this number (P2MP ID).
    Several(u32),
}

impl<'a> Object<'a> for LspTunnel {
    const CLASSES: &'static [u8] = &[class::SESSION];

    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        let body = object.body;
        let (end, at, expected): (_, usize, _) = match object.c_type {
            7 => (wire::ipv4(body, 0).map(TunnelEnd::Address), 4, "12"),
            8 => (wire::ipv6(body, 0).map(TunnelEnd::Address), 16, "36"),
            13 => (wire::u32(body, 0).map(TunnelEnd::Several), 4, "12"),
            14 => (wire::u32(body, 0).map(TunnelEnd::Several), 4, "24"),
            _ => return Err(object.unknown_c_type()),
        };
        let extended = at.saturating_add(4);
        let (extended, length) = match object.c_type {
            7 | 13 => (wire::ipv4(body, extended), extended.saturating_add(4)),
            _ => (wire::ipv6(body, extended), extended.saturating_add(16)),
        };
        match (end, wire::u16(body, at.saturating_add(2)), extended) {
            (Some(end), Some(tunnel_id), Some(extended_tunnel_id)) if body.len() == length => {
                Ok(Self {
                    end,
                    tunnel_id,
                    extended_tunnel_id,
                })
            }
            _ => Err(object.body_length(expected)),
        }
    }
}

impl fmt::Display for LspTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tunnel {} to ", self.tunnel_id)?;
        match self.end {
            TunnelEnd::Address(address) => write!(f, "{address}")?,
            TunnelEnd::Several(number) => write!(f, "P2MP group {number}")?,
        }
        if self.extended_tunnel_id.is_unspecified() {
            return Ok(());
        }
        write!(f, " from {}", self.extended_tunnel_id)
    }
}
