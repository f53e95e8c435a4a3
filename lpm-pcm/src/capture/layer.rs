//! What lies between the link-layer header and IP: tags, labels, PPP, LLC, 802.11.

use super::bytes::{array, be_u16, u16_of};
use super::content::Content;

/// What bytes are said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Ethernet,
    /// What an EtherType stands for; the length of an LLC frame where it is below 0x600.
    EtherType(u16),
    Llc,
    Snap,
    Ppp,
    Pppoe,
    Mpls,
    /// Network Service Header (RFC 8300).
    Nsh,
    Wifi,
    /// 802.11 whose header is filled up to a multiple of 4 bytes.
    PaddedWifi,
    /// A frame of a link type.
    Link(u16),
    /// IPv4 or IPv6, by its version.
    Ip,
    /// Something that carries no IP.
    NotIp,
}

/// What is left of a packet once some headers are taken off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest<'a> {
    pub(super) layer: Layer,
    pub(super) bytes: &'a [u8],
}

impl<'a> Rest<'a> {
    pub(super) fn new(layer: Layer, bytes: &'a [u8]) -> Self {
        Self { layer, bytes }
    }

    /// Takes one header off; `tags` grows with each VLAN tag.
    pub(super) fn peel(self, tags: &mut u64) -> Result<Self, Content> {
        let bytes = self.bytes;
        let rest = match self.layer {
            Layer::Ethernet => ethernet(bytes),
            Layer::EtherType(number) => return ether_type(number, bytes, tags),
            Layer::Llc => llc(bytes),
            Layer::Snap => snap(bytes),
            Layer::Ppp => return ppp(bytes),
            Layer::Pppoe => return pppoe(bytes),
            Layer::Mpls => return mpls(bytes),
            Layer::Nsh => nsh(bytes),
            Layer::Wifi => return wifi(bytes, false),
            Layer::PaddedWifi => return wifi(bytes, true),
            Layer::NotIp => return Err(Content::NOT_IP),
            Layer::Link(_) | Layer::Ip => Some(self),
        };
        rest.ok_or(Content::CUT_OFF)
    }
}

/// What follows `length` bytes.
fn after(layer: Layer, bytes: &[u8], length: usize) -> Option<Rest<'_>> {
    Some(Rest::new(layer, bytes.get(length..)?))
}

fn ethernet(frame: &[u8]) -> Option<Rest<'_>> {
    after(Layer::EtherType(be_u16(frame, 12)?), frame, 14)
}

/// EtherTypes that say something about an Ethernet frame, or that IP may be behind.
mod number {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const VLAN: u16 = 0x8100;
    pub(super) const VLAN_PROVIDER: u16 = 0x88a8;
    pub(super) const MPLS: u16 = 0x8847;
    pub(super) const MPLS_UPSTREAM: u16 = 0x8848;
    pub(super) const PPPOE: u16 = 0x8864;
}

fn ether_type<'a>(number: u16, bytes: &'a [u8], tags: &mut u64) -> Result<Rest<'a>, Content> {
    let rest = match number {
        // IEEE 802.3: what is beyond the length is padding.
        0..0x600 => {
            let length = bytes.len().min(number.into());
            match bytes {
                // Novell's frames have no LLC.
                [0xff, 0xff, ..] => after(Layer::NotIp, bytes, 0),
                _ => Some(Rest::new(Layer::Llc, &bytes[..length])),
            }
        }
        number::IPV4 | number::IPV6 => after(Layer::Ip, bytes, 0),
        number::VLAN | number::VLAN_PROVIDER | 0x9100 | 0x9200 | 0x9300 => {
            let tag = be_u16(bytes, 0).unwrap_or_default() & 0x0fff;
            *tags = tags.wrapping_mul(4099).wrapping_add(u64::from(tag) + 1);
            tagged(bytes, 2)
        }
        number::MPLS | number::MPLS_UPSTREAM => after(Layer::Mpls, bytes, 0),
        number::PPPOE => after(Layer::Pppoe, bytes, 0),
        // Transparent Ethernet bridging.
        0x6558 => after(Layer::Ethernet, bytes, 0),
        0x880b => after(Layer::Ppp, bytes, 0),
        // LLC in jumbo frames.
        0x8870 => after(Layer::Llc, bytes, 0),
        0x894f => after(Layer::Nsh, bytes, 0),
        // Provider backbone bridges (802.1ah): the customer's frame follows the tag.
        0x88e7 => after(Layer::Ethernet, bytes, 4),
        // Cisco's VN-Tag and metadata; 802.1BR.
        0x8926 => tagged(bytes, 4),
        0x8909 | 0x893f => tagged(bytes, 6),
        0x88e5 => return macsec(bytes),
        // ARP, RARP, EAPOL, LLDP, PPPoE discovery, slow protocols, CFM, PTP, loopback, IPX, MRP
        // and the like.
        0x0806 | 0x8035 | 0x888e | 0x88cc | 0x8863 | 0x8809 | 0x8902 | 0x88f7 | 0x9000 | 0x8137
        | 0x88f5 | 0x88f6 | 0x22f0 | 0x22f3 | 0x0842 | 0x8808 | 0x2000 => {
            after(Layer::NotIp, bytes, 0)
        }
        _ => return Err(Content::EtherType(number)),
    };
    rest.ok_or(Content::CUT_OFF)
}

/// A tag of so many bytes, and an EtherType.
fn tagged(bytes: &[u8], length: usize) -> Option<Rest<'_>> {
    after(Layer::EtherType(be_u16(bytes, length)?), bytes, length + 2)
}

/// A security tag (802.1AE), behind which is an EtherType if nothing is encrypted.
fn macsec(bytes: &[u8]) -> Result<Rest<'_>, Content> {
    const CHANNEL: u8 = 0x20;
    const ENCRYPTED_OR_CHANGED: u8 = 0x0c;
    let flags = *bytes.first().ok_or(Content::CUT_OFF)?;
    if flags & ENCRYPTED_OR_CHANGED != 0 {
        return Err(Content::Unread("MACsec (encrypted)"));
    }
    let length = if flags & CHANNEL == 0 { 6 } else { 14 };
    tagged(bytes, length).ok_or(Content::CUT_OFF)
}

/// Two service access points, and a control field of one byte or two.
fn llc(bytes: &[u8]) -> Option<Rest<'_>> {
    match bytes {
        [0xaa, 0xaa, 0x03, rest @ ..] => Some(Rest::new(Layer::Snap, rest)),
        [0x06, 0x06, 0x03, rest @ ..] => Some(Rest::new(Layer::Ip, rest)),
        // RFC 2684, routed: ISO protocols with an NLPID.
        [0xfe, 0xfe, 0x03, 0xcc | 0x8e, rest @ ..] => Some(Rest::new(Layer::Ip, rest)),
        [0xfe, 0xfe, 0x03, 0xcf, rest @ ..] => Some(Rest::new(Layer::Ppp, rest)),
        [_, _, _, ..] => after(Layer::NotIp, bytes, 0),
        _ => None,
    }
}

/// An organization, and a protocol of its own.
fn snap(bytes: &[u8]) -> Option<Rest<'_>> {
    let protocol = be_u16(bytes, 3)?;
    match array::<3>(bytes, 0)? {
        [0, 0, 0 | 0xf8] => after(Layer::EtherType(protocol), bytes, 5),
        // RFC 2427 and 2684, bridged Ethernet. ATM has two bytes of padding.
        [0, 0x80, 0xc2] if matches!(protocol, 1 | 7) => {
            let padding = if bytes.get(5..7) == Some(&[0, 0]) {
                2
            } else {
                0
            };
            after(Layer::Ethernet, bytes, 5 + padding)
        }
        _ => after(Layer::NotIp, bytes, 0),
    }
}

/// A protocol of two bytes, or of one that is odd.
fn ppp(bytes: &[u8]) -> Result<Rest<'_>, Content> {
    let (protocol, length) = match bytes {
        [short, ..] if short & 1 == 1 => (u16::from(*short), 1),
        _ => (be_u16(bytes, 0).ok_or(Content::CUT_OFF)?, 2),
    };
    let layer = match protocol {
        0x0021 | 0x0057 => Layer::Ip,
        0x0281 | 0x0283 => Layer::Mpls,
        // Bridging (RFC 3518), whose flags say that there is padding.
        0x0031 => {
            let rest = after(Layer::Ethernet, bytes, length + 2);
            return rest.ok_or(Content::CUT_OFF);
        }
        0x003d => return Err(Content::Unread("PPP multilink")),
        0x00fb | 0x00fd => return Err(Content::Unread("PPP (compressed)")),
        0x0053 | 0x0055 => return Err(Content::Unread("PPP (encrypted)")),
        _ => Layer::NotIp,
    };
    after(layer, bytes, length).ok_or(Content::CUT_OFF)
}

/// Version and type, code, session and length (RFC 2516).
fn pppoe(bytes: &[u8]) -> Result<Rest<'_>, Content> {
    let length = usize::from(be_u16(bytes, 4).ok_or(Content::CUT_OFF)?);
    match bytes {
        [0x11, 0, ..] => {}
        _ => return Err(Content::NOT_IP),
    }
    let rest = bytes.get(6..).ok_or(Content::CUT_OFF)?;
    Ok(Rest::new(Layer::Ppp, &rest[..rest.len().min(length)]))
}

/// A stack of labels, and what is behind it, which only its first bits tell.
fn mpls(bytes: &[u8]) -> Result<Rest<'_>, Content> {
    const BOTTOM: u8 = 1;
    let mut labels = bytes.chunks_exact(4);
    let depth = 1 + labels
        .position(|label| label[2] & BOTTOM != 0)
        .ok_or(Content::CUT_OFF)?;
    let rest = bytes.get(4 * depth..).unwrap_or_default();
    let layer = match rest.first().ok_or(Content::CUT_OFF)? >> 4 {
        4 | 6 => return Ok(Rest::new(Layer::Ip, rest)),
        // A control word, or an address of an Ethernet frame without one (RFC 4385).
        0 if rest.get(4..).is_some_and(is_ethernet) => {
            return Ok(Rest::new(Layer::Ethernet, &rest[4..]));
        }
        1 => Layer::NotIp,
        _ if is_ethernet(rest) => Layer::Ethernet,
        _ => return Err(Content::Unread("MPLS with neither IP nor Ethernet in it")),
    };
    Ok(Rest::new(layer, rest))
}

/// Whether bytes look like an Ethernet frame: by an EtherType that IP may be behind, or by a length
/// that fits.
fn is_ethernet(bytes: &[u8]) -> bool {
    let number = be_u16(bytes, 12);
    number.is_some_and(|number| match number {
        0..0x600 => usize::from(number) + 14 <= bytes.len() && number >= 3,
        number::IPV4
        | number::IPV6
        | number::VLAN
        | number::VLAN_PROVIDER
        | number::MPLS
        | number::MPLS_UPSTREAM
        | number::PPPOE
        | 0x0806
        | 0x88cc
        | 0x88e5
        | 0x8863 => true,
        _ => false,
    })
}

/// The length counts words of 4 bytes.
fn nsh(bytes: &[u8]) -> Option<Rest<'_>> {
    let length = usize::from(bytes.get(1)? & 0x3f) * 4;
    let layer = next_protocol(*bytes.get(3)?);
    after(layer, bytes, length.max(8))
}

/// The numbers that NSH and VXLAN-GPE share.
pub(super) fn next_protocol(number: u8) -> Layer {
    match number {
        1 | 2 => Layer::Ip,
        3 => Layer::Ethernet,
        4 => Layer::Nsh,
        5 => Layer::Mpls,
        _ => Layer::NotIp,
    }
}

/// A data frame of 802.11.
fn wifi(frame: &[u8], is_padded: bool) -> Result<Rest<'_>, Content> {
    const MORE_FRAGMENTS: u16 = 0x0400;
    const PROTECTED: u16 = 0x4000;
    const ORDER: u16 = 0x8000;
    const NO_DATA: u16 = 0x0040;
    const QOS: u16 = 0x0080;
    const AGGREGATE: u16 = 0x0080;
    let control = u16_of(frame, 0, false).ok_or(Content::CUT_OFF)?;
    // Version 0, type 2 is data.
    if control & 0x000f != 0x0008 || control & NO_DATA != 0 {
        return Err(Content::NOT_IP);
    }
    let mut length = 24;
    if control & 0x0300 == 0x0300 {
        length += 6;
    }
    let mut is_aggregate = false;
    if control & QOS != 0 {
        let qos = u16_of(frame, length, false).ok_or(Content::CUT_OFF)?;
        is_aggregate = qos & AGGREGATE != 0;
        length += 2;
        if control & ORDER != 0 {
            length += 4;
        }
    }
    let fragment = u16_of(frame, 22, false).ok_or(Content::CUT_OFF)? & 0x000f;
    if control & PROTECTED != 0 {
        return Err(Content::Unread("802.11 (encrypted)"));
    }
    if control & MORE_FRAGMENTS != 0 || fragment != 0 {
        return Err(Content::Unread("802.11 fragments"));
    }
    if is_aggregate {
        return Err(Content::Unread("802.11 aggregates (A-MSDU)"));
    }
    if is_padded {
        length = length.next_multiple_of(4);
    }
    after(Layer::Llc, frame, length).ok_or(Content::CUT_OFF)
}
