//! FILTER_SPEC and SENDER_TEMPLATE (RFC 2205 §A.9, §A.10, RFC 2207 §3.2): one sender.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;

use crate::class;
use crate::endpoint::Endpoint;
use crate::error::ParseError;
use crate::object::{Object, RawObject, address_and_word, hash_address};

/// One sender of a session. The classes FILTER_SPEC and SENDER_TEMPLATE share this type, as
/// they share their layout.
///
/// Displays as `10.0.0.7:4000`, `[2001:db8::7]:4000`, `10.0.0.7 spi 0x100`,
/// `2001:db8::7 flow label 0x12345`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parts")
)]
pub struct FilterSpec {
    address: IpAddr,
    selector: SourceSelector,
}

/// A [`FilterSpec`] as it is read back: any two parts.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parts {
    address: IpAddr,
    selector: SourceSelector,
}

#[cfg(feature = "serde")]
impl TryFrom<Parts> for FilterSpec {
    type Error = &'static str;

    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        let Parts { address, selector } = parts;
        match (selector, address) {
            (SourceSelector::FlowLabel(label), IpAddr::V6(address)) => {
                Self::flow_label(address, label).ok_or("a flow label has 24 bits at most")
            }
            (SourceSelector::FlowLabel(_), IpAddr::V4(_)) => Err("IPv4 has no flow label"),
            _ => Ok(Self { address, selector }),
        }
    }
}

/// What tells the flows of one sender address apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SourceSelector {
    /// SrcPort: UDP or TCP source port; 0 = none.
    Port(u16),
    /// IPv6 flow label, the 24 bits of the object (RFC 2205; IPv6 itself uses the low 20).
    FlowLabel(u32),
    /// Generalized port identifier: the IPsec SPI (RFC 2207).
    Gpi(u32),
}

impl FilterSpec {
    /// A sender with a source port (0 = none).
    pub fn new(address: impl Into<IpAddr>, port: u16) -> Self {
        Self {
            address: address.into(),
            selector: SourceSelector::Port(port),
        }
    }

    /// An IPsec sender with its SPI.
    pub fn gpi(address: impl Into<IpAddr>, spi: u32) -> Self {
        Self {
            address: address.into(),
            selector: SourceSelector::Gpi(spi),
        }
    }

    /// An IPv6 sender with a flow label. `None` when the label has more than 24 bits.
    #[must_use]
    pub fn flow_label(address: core::net::Ipv6Addr, label: u32) -> Option<Self> {
        let selector = SourceSelector::FlowLabel(label);
        (label <= 0x00ff_ffff).then_some(Self {
            address: address.into(),
            selector,
        })
    }

    /// Writes what is displayed, without the detour over a formatter.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_to(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match (self.address, self.selector) {
            (IpAddr::V4(address), SourceSelector::Port(port)) => {
                out.write_str(Endpoint::new(address, port).as_str())
            }
            (IpAddr::V6(address), SourceSelector::Port(port)) => write!(out, "[{address}]:{port}"),
            (address, SourceSelector::FlowLabel(label)) => {
                write!(out, "{address} flow label {label:#x}")
            }
            (address, SourceSelector::Gpi(spi)) => write!(out, "{address} spi {spi:#x}"),
        }
    }

    /// Reads the body of an object of this C-Type.
    #[inline]
    pub(crate) fn read(c_type: u8, body: &[u8]) -> Option<Self> {
        let ipv6 = match c_type {
            1 | 4 => false,
            2 | 3 | 5 => true,
            _ => return None,
        };
        let (address, last) = address_and_word(body, ipv6)?;
        let word = u32::from_be_bytes(last);
        let [_, _, port1, port2] = last;
        let selector = match c_type {
            3 => SourceSelector::FlowLabel(word & 0x00ff_ffff),
            4 | 5 => SourceSelector::Gpi(word),
            _ => SourceSelector::Port(u16::from_be_bytes([port1, port2])),
        };
        Some(Self { address, selector })
    }

    /// SrcAddress.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Source port, flow label or GPI.
    #[must_use]
    pub const fn selector(&self) -> SourceSelector {
        self.selector
    }

    /// The source port, when the sender is named by one.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match self.selector {
            SourceSelector::Port(port) => Some(port),
            SourceSelector::FlowLabel(_) | SourceSelector::Gpi(_) => None,
        }
    }
}

impl<'a> Object<'a> for FilterSpec {
    const CLASSES: &'static [u8] = &[class::FILTER_SPEC, class::SENDER_TEMPLATE];

    #[inline]
    fn parse(object: RawObject<'a>) -> Result<Self, ParseError> {
        Self::read(object.c_type, object.body).ok_or_else(|| match object.c_type {
            1 | 4 => object.body_length("8"),
            2 | 3 | 5 => object.body_length("20"),
            _ => object.unknown_c_type(),
        })
    }
}

/// In two words, like that of a [`Session`](super::Session).
impl Hash for FilterSpec {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_address(self.address, state);
        state.write_u32(match self.selector {
            SourceSelector::Port(port) => port.into(),
            SourceSelector::FlowLabel(number) | SourceSelector::Gpi(number) => number,
        });
    }
}

impl fmt::Display for FilterSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}
