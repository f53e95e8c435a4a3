//! SESSION (RFC 2205 §A.1, RFC 2207 §3.1): where the data flow goes.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;

use crate::class;
use crate::endpoint::Endpoint;
use crate::error::ParseError;
use crate::object::{Object, RawObject, address_and_word, hash_address};

/// The destination that reservations are made for.
///
/// Displays as `10.0.0.1:5004/udp`, `[2001:db8::1]:5004/udp`, or for IPsec
/// `10.0.0.1:vport-7/esp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parts")
)]
pub struct Session {
    address: IpAddr,
    protocol: u8,
    flags: u8,
    port: SessionPort,
}

/// A [`Session`] as it is read back: any parts.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parts {
    address: IpAddr,
    protocol: u8,
    flags: u8,
    port: SessionPort,
}

#[cfg(feature = "serde")]
impl TryFrom<Parts> for Session {
    type Error = &'static str;

    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        let session = Self::checked(parts.address, parts.protocol, parts.port);
        session
            .map(|session| session.with_flags(parts.flags))
            .ok_or("a session has an address, a protocol and a virtual port other than 0")
    }
}

/// The third part of a session: a port, or for IPsec a virtual one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SessionPort {
    /// DstPort: UDP or TCP destination port; 0 = none (all source ports are 0 then too).
    Port(u16),
    /// vDstPort: tells sessions of one IPsec destination apart; never 0 (RFC 2207 §3.1).
    Virtual(u16),
}

impl Session {
    /// The flag E_Police: the sender cannot police, so the first capable node does.
    pub const E_POLICE: u8 = 0x01;

    /// A session with a plain port. `None` when the address is unspecified or the protocol 0.
    pub fn new(address: impl Into<IpAddr>, protocol: u8, port: u16) -> Option<Self> {
        Self::checked(address.into(), protocol, SessionPort::Port(port))
    }

    /// An IPsec session (protocol 50 ESP or 51 AH). `None` when the address is unspecified,
    /// the protocol 0 or the virtual port 0.
    pub fn gpi(address: impl Into<IpAddr>, protocol: u8, virtual_port: u16) -> Option<Self> {
        Self::checked(address.into(), protocol, SessionPort::Virtual(virtual_port))
    }

    /// The same session with these flags.
    #[must_use]
    pub const fn with_flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    /// DestAddress: unicast or multicast, never unspecified.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// ProtocolId: the IP protocol number, never 0.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Flags, see [`Session::E_POLICE`].
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// DstPort or vDstPort.
    #[must_use]
    pub const fn port(&self) -> SessionPort {
        self.port
    }

    /// Writes what is displayed, without the detour over a formatter.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_to(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match (self.address, self.port) {
            (IpAddr::V4(address), SessionPort::Port(port)) => {
                out.write_str(Endpoint::new(address, port).as_str())?;
            }
            (IpAddr::V4(address), SessionPort::Virtual(port)) => {
                write!(out, "{address}:vport-{port}")?;
            }
            (IpAddr::V6(address), SessionPort::Port(port)) => write!(out, "[{address}]:{port}")?,
            (IpAddr::V6(address), SessionPort::Virtual(port)) => {
                write!(out, "[{address}]:vport-{port}")?;
            }
        }
        out.write_str("/")?;
        let protocol = ProtocolName(self.protocol);
        match protocol.known() {
            Some(name) => out.write_str(name),
            None => write!(out, "{protocol}"),
        }
    }

    /// Reads the body of an object of this C-Type.
    #[inline]
    pub(crate) fn read(c_type: u8, body: &[u8]) -> Option<Self> {
        let ipv6 = match c_type {
            1 | 3 => false,
            2 | 4 => true,
            _ => return None,
        };
        let (address, [protocol, flags, port1, port2]) = address_and_word(body, ipv6)?;
        let port = u16::from_be_bytes([port1, port2]);
        let port = match c_type {
            1 | 2 => SessionPort::Port(port),
            _ => SessionPort::Virtual(port),
        };
        let session = Self::checked(address, protocol, port)?;
        Some(session.with_flags(flags))
    }

    #[inline]
    fn checked(address: IpAddr, protocol: u8, port: SessionPort) -> Option<Self> {
        let legal = !address.is_unspecified() && protocol != 0 && port != SessionPort::Virtual(0);
        legal.then_some(Self {
            address,
            protocol,
            flags: 0,
            port,
        })
    }
}

impl SessionPort {
    /// The number, whichever kind it is.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Port(port) | Self::Virtual(port) => port,
        }
    }
}

impl<'a> Object<'a> for Session {
    const CLASSES: &'static [u8] = &[class::SESSION];

    #[inline]
    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        Self::read(object.c_type, object.body).ok_or_else(|| fault(object))
    }
}

/// Why the object is not a session.
#[cold]
fn fault(object: RawObject<'_>) -> ParseError {
    let ipv6 = match object.c_type {
        1 | 3 => false,
        2 | 4 => true,
        _ => return object.unknown_c_type(),
    };
    let (address, [protocol, ..]) = match object.address_and_word(ipv6) {
        Ok(content) => content,
        Err(error) => return error,
    };
    let at = if ipv6 { 16 } else { 4 };
    if address.is_unspecified() {
        object.value(0, "DestAddress", "an address", 0_u32)
    } else if protocol == 0 {
        object.value(at, "ProtocolId", "not 0", 0_u32)
    } else {
        object.value(at.saturating_add(2), "vDstPort", "not 0", 0_u32)
    }
}

/// Takes two words where the derived one takes a dozen: tables of sessions are looked into for
/// every message.
impl Hash for Session {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_address(self.address, state);
        let [port1, port2] = self.port.number().to_be_bytes();
        state.write_u32(u32::from_be_bytes([
            self.protocol,
            self.flags,
            port1,
            port2,
        ]));
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

/// Displays an IP protocol number: `udp`, `tcp`, `esp`, `ah`, or the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolName(pub u8);

impl ProtocolName {
    const fn known(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "icmp",
            6 => "tcp",
            17 => "udp",
            33 => "dccp",
            50 => "esp",
            51 => "ah",
            58 => "icmpv6",
            132 => "sctp",
            _ => return None,
        })
    }
}

impl fmt::Display for ProtocolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}
