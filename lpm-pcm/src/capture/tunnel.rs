//! Tunnels: what carries another packet in the payload of IP or UDP.

use super::bytes::{be_u16, be_u32};
use super::content::Content;
use super::layer::{Layer, Rest, next_protocol};

/// What is in the payload of an IP protocol that is a tunnel; `None` for other protocols.
pub(super) fn in_ip(protocol: u8, bytes: &[u8]) -> Option<Result<Rest<'_>, Content>> {
    let rest = |layer| Some(Ok(Rest::new(layer, bytes)));
    let unread = |what| Some(Err(Content::Unread(what)));
    match protocol {
        // IP in IP: IPv4, IPv6, and the older ones of KA9Q and RFC 1241.
        4 | 41 | 94 | 98 => rest(Layer::Ip),
        47 => Some(gre(bytes)),
        // EtherIP, with its version in front.
        97 => Some(cut(bytes, 2, Layer::Ethernet)),
        137 => rest(Layer::Mpls),
        // Ethernet (RFC 8986), NSH.
        143 => rest(Layer::Ethernet),
        145 => rest(Layer::Nsh),
        50 => unread("IPsec ESP (encrypted)"),
        53 => unread("SWIPE (encrypted)"),
        55 => unread("minimal IP encapsulation"),
        108 => unread("IP payload compression"),
        115 => unread("L2TP version 3"),
        _ => None,
    }
}

/// What is in a UDP datagram to the port of a tunnel; `None` for other datagrams.
pub(super) fn in_udp(port: u16, bytes: &[u8]) -> Option<Result<Rest<'_>, Content>> {
    match (port, bytes) {
        // VXLAN: a flag that there is an identifier; what is reserved is ignored (RFC 7348 §5).
        (4789 | 8472, [flags, ..]) if flags & 0x08 != 0 => Some(cut(bytes, 8, Layer::Ethernet)),
        // VXLAN-GPE: a flag that there is a protocol, too.
        (4790, [flags, _, _, protocol, ..]) if flags & 0x0c == 0x0c => {
            Some(cut(bytes, 8, next_protocol(*protocol)))
        }
        // Geneve: version 0.
        (6081, [first @ 0..=0x3f, ..]) => {
            let length = 8 + 4 * usize::from(*first);
            let protocol = be_u16(bytes, 2)?;
            Some(cut(bytes, length, Layer::EtherType(protocol)))
        }
        (4754, _) => Some(gre(bytes)),
        (6635, _) => Some(Ok(Rest::new(Layer::Mpls, bytes))),
        // GTP-U: version 1, user data.
        (2152, [0x30..=0x37, 0xff, ..]) => Some(gtp(bytes).ok_or(Content::CUT_OFF)),
        // L2TP: data of version 2.
        (1701, [flags, version, ..]) if flags & 0x80 == 0 && version & 0x0f == 2 => {
            Some(l2tp(bytes).ok_or(Content::CUT_OFF))
        }
        // IPsec through NAT: what does not begin with zeros is ESP. One byte keeps the way open.
        (4500, [a, b, c, d, ..]) if [*a, *b, *c, *d] != [0; 4] => {
            Some(Err(Content::Unread("IPsec ESP (encrypted)")))
        }
        (51820, [1..=4, 0, 0, 0, ..]) => Some(Err(Content::Unread("WireGuard (encrypted)"))),
        _ => None,
    }
}

fn cut(bytes: &[u8], length: usize, layer: Layer) -> Result<Rest<'_>, Content> {
    let bytes = bytes.get(length..).ok_or(Content::CUT_OFF)?;
    Ok(Rest::new(layer, bytes))
}

/// GRE (RFC 1701, 2784, 2890), and version 1 of PPTP (RFC 2637).
fn gre(bytes: &[u8]) -> Result<Rest<'_>, Content> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const ACKNOWLEDGMENT: u16 = 0x0080;
    let flags = be_u16(bytes, 0).ok_or(Content::CUT_OFF)?;
    let protocol = be_u16(bytes, 2).ok_or(Content::CUT_OFF)?;
    let version = flags & 7;
    if version > 1 {
        return Err(Content::Unread("GRE of an unknown version"));
    }
    if flags & ROUTING != 0 {
        return Err(Content::Unread("GRE with source routes"));
    }
    let mut optional = flags & (CHECKSUM | KEY | SEQUENCE);
    if version == 1 {
        optional |= flags & ACKNOWLEDGMENT;
    }
    let optional = usize::try_from(optional.count_ones()).unwrap_or_default();
    let rest = bytes.get(4 + 4 * optional..).ok_or(Content::CUT_OFF)?;
    match protocol {
        0x88be if flags & SEQUENCE == 0 => Ok(Rest::new(Layer::Ethernet, rest)),
        0x88be | 0x22eb => erspan(rest),
        // WCCP, whose version 2 has a header of its own.
        0x883e => match rest.first().map(|first| first >> 4) {
            Some(4) => Ok(Rest::new(Layer::Ip, rest)),
            _ => cut(rest, 4, Layer::Ip),
        },
        // Keepalives, and NHRP.
        0x0000 | 0x2001 => Err(Content::NOT_IP),
        0x0001..0x0600 => Err(Content::GreProtocol(protocol)),
        _ => Ok(Rest::new(Layer::EtherType(protocol), rest)),
    }
}

/// Types II and III of ERSPAN, told by the version.
fn erspan(bytes: &[u8]) -> Result<Rest<'_>, Content> {
    let first = *bytes.first().ok_or(Content::CUT_OFF)?;
    match first >> 4 {
        1 => cut(bytes, 8, Layer::Ethernet),
        2 => {
            let word = be_u32(bytes, 8).ok_or(Content::CUT_OFF)?;
            let length = if word & 1 == 0 { 12 } else { 20 };
            let layer = match word >> 10 & 0x1f {
                2 => Layer::Ip,
                _ => Layer::Ethernet,
            };
            cut(bytes, length, layer)
        }
        _ => Err(Content::Unread("ERSPAN of an unknown version")),
    }
}

/// A header of 8 bytes, of 12 where one of three flags is set, and then extension headers.
fn gtp(bytes: &[u8]) -> Option<Rest<'_>> {
    const OPTIONAL: u8 = 0x07;
    const EXTENSION: u8 = 0x04;
    let flags = *bytes.first()?;
    let mut length = 8;
    if flags & OPTIONAL != 0 {
        length = 12;
        let mut next = *bytes.get(11)?;
        while flags & EXTENSION != 0 && next != 0 {
            // Its length is in words of 4 bytes, and its last byte says what follows.
            let words = usize::from(*bytes.get(length)?);
            length += 4 * words.max(1);
            next = *bytes.get(length - 1)?;
        }
    }
    Some(Rest::new(Layer::Ip, bytes.get(length..)?))
}

/// Flags say which of length, sequence numbers and padding there are (RFC 2661 §3.1).
fn l2tp(bytes: &[u8]) -> Option<Rest<'_>> {
    const LENGTH: u16 = 0x4000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    let flags = be_u16(bytes, 0)?;
    let mut at = 6;
    if flags & LENGTH != 0 {
        at += 2;
    }
    if flags & SEQUENCE != 0 {
        at += 4;
    }
    if flags & OFFSET != 0 {
        at += 2 + usize::from(be_u16(bytes, at)?);
    }
    let bytes = bytes.get(at..)?;
    let bytes = bytes.strip_prefix(&[0xff, 0x03]).unwrap_or(bytes);
    Some(Rest::new(Layer::Ppp, bytes))
}
