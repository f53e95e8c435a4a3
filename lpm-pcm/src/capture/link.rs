//! Link-layer header types: from a captured frame to what is in it, and what the header says
//! besides.

use std::fmt;

use super::bytes::{array, be_u16, be_u32, u16_of, u32_of};
use super::content::Content;
use super::layer::{Layer, Rest};

/// The link layer of an interface, by its number in the registry of link-layer header types
/// (<https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: the address family in the capturing machine's byte order.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// PPP, in HDLC framing or not.
    pub const PPP: Self = Self(9);
    /// PPP in HDLC framing, or Cisco HDLC.
    pub const PPP_HDLC: Self = Self(50);
    /// PPP over Ethernet, without the Ethernet header.
    pub const PPP_ETHER: Self = Self(51);
    /// ATM with the encapsulations of RFC 2684.
    pub const ATM_RFC1483: Self = Self(100);
    /// Raw IP; 12 and 14 are what BSD systems write for it.
    pub const RAW: Self = Self(101);
    /// Cisco HDLC.
    pub const C_HDLC: Self = Self(104);
    /// 802.11.
    pub const IEEE802_11: Self = Self(105);
    /// Frame relay.
    pub const FRELAY: Self = Self(107);
    /// OpenBSD loopback: the address family in network order.
    pub const LOOP: Self = Self(108);
    /// What OpenBSD's enc(4) has of IPsec traffic.
    pub const ENC: Self = Self(109);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// OpenBSD's packet filter log.
    pub const PFLOG: Self = Self(117);
    /// 802.11 behind a Prism header.
    pub const PRISM: Self = Self(119);
    /// 802.11 behind a radiotap header.
    pub const RADIOTAP: Self = Self(127);
    /// 802.11 behind an AVS header.
    pub const AVS: Self = Self(163);
    /// PPP behind a byte that says in which direction it went.
    pub const PPP_PPPD: Self = Self(166);
    /// Another header type behind a per-packet information header.
    pub const PPI: Self = Self(192);
    /// PPP, Cisco HDLC and frame relay behind a byte that says in which direction they went.
    pub const PPP_WITH_DIR: Self = Self(204);
    /// See [`PPP_WITH_DIR`](Self::PPP_WITH_DIR).
    pub const C_HDLC_WITH_DIR: Self = Self(205);
    /// See [`PPP_WITH_DIR`](Self::PPP_WITH_DIR).
    pub const FRELAY_WITH_DIR: Self = Self(206);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux netfilter's log.
    pub const NFLOG: Self = Self(239);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);

    /// What is supported, for error messages.
    pub(super) const SUPPORTED: &str = "supported: Ethernet, Linux cooked v1 and v2, raw IP, \
        loopback, PPP, Cisco HDLC, frame relay, ATM (RFC 2684), 802.11 (radiotap, Prism, AVS, PPI), \
        NFLOG, PFLOG, ENC";

    const RAW_BSD: Self = Self(12);
    const RAW_OPENBSD: Self = Self(14);

    /// The link type in a file header, whose upper half may carry the length of the frame check
    /// sequence.
    pub(super) fn from_header(field: u32) -> Self {
        let [.., high, low] = field.to_be_bytes();
        Self(u16::from_be_bytes([high, low]))
    }

    /// The link type that a datalink type of snoop stands for (RFC 1761); others are kept apart.
    pub(super) fn of_snoop(datalink: u32) -> Self {
        match datalink {
            0 | 4 => Self::ETHERNET,
            other => Self(u16::try_from(other).unwrap_or(0).saturating_add(0xff00)),
        }
    }

    /// Whether packets of this link layer can be read.
    #[must_use]
    pub fn is_supported(self) -> bool {
        opener(self).is_some()
    }
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a link-layer header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened<'a> {
    /// What is behind it.
    pub(super) rest: Rest<'a>,
    /// The SNMP ifIndex of the interface.
    pub(super) interface: Option<u32>,
    /// Whether the capturing node sent the frame.
    pub(super) outgoing: bool,
}

impl<'a> Opened<'a> {
    fn of(layer: Layer, bytes: &'a [u8]) -> Self {
        Self {
            rest: Rest { layer, bytes },
            interface: None,
            outgoing: false,
        }
    }
}

/// Opens a frame.
pub(super) fn open(link: LinkType, frame: &[u8]) -> Result<Opened<'_>, Content> {
    match opener(link) {
        Some(open) => open(frame).ok_or(Content::CUT_OFF),
        None => Err(Content::LinkType(link.0)),
    }
}

/// What opens frames of a link layer; it finds nothing in one that is too short.
type Opener = for<'a> fn(&'a [u8]) -> Option<Opened<'a>>;

fn opener(link: LinkType) -> Option<Opener> {
    Some(match link {
        LinkType::NULL | LinkType::LOOP => loopback,
        LinkType::ETHERNET => |frame| Some(Opened::of(Layer::Ethernet, frame)),
        LinkType::PPP => ppp,
        LinkType::PPP_HDLC => |frame| match frame {
            [0x0f | 0x8f, 0, ..] => cisco_hdlc(frame),
            _ => ppp(frame),
        },
        LinkType::PPP_ETHER => |frame| Some(Opened::of(Layer::Pppoe, frame)),
        LinkType::ATM_RFC1483 => |frame| match frame {
            [0x45..=0x4f, ..] => Some(Opened::of(Layer::Ip, frame)),
            _ => Some(Opened::of(Layer::Llc, frame)),
        },
        LinkType::C_HDLC => cisco_hdlc,
        LinkType::FRELAY => frame_relay,
        LinkType::IEEE802_11 => |frame| Some(Opened::of(Layer::Wifi, frame)),
        LinkType::ENC => |frame| Some(Opened::of(Layer::Ip, frame.get(12..)?)),
        LinkType::LINUX_SLL => sll,
        LinkType::LINUX_SLL2 => sll2,
        LinkType::PFLOG => pflog,
        LinkType::PRISM => prism,
        LinkType::RADIOTAP => radiotap,
        LinkType::AVS => avs,
        LinkType::PPI => ppi,
        LinkType::PPP_PPPD | LinkType::PPP_WITH_DIR => |frame| directed(frame, ppp),
        LinkType::C_HDLC_WITH_DIR => |frame| directed(frame, cisco_hdlc),
        LinkType::FRELAY_WITH_DIR => |frame| directed(frame, frame_relay),
        LinkType::NFLOG => nflog,
        LinkType::RAW
        | LinkType::RAW_BSD
        | LinkType::RAW_OPENBSD
        | LinkType::IPV4
        | LinkType::IPV6 => |frame| Some(Opened::of(Layer::Ip, frame)),
        _ => return None,
    })
}

/// `AF_INET` is 2 everywhere; `AF_INET6` is 10 on Linux, 24, 28 or 30 on the BSDs and macOS, 23 on
/// Windows. A capture from a machine of the other byte order has it swapped.
fn loopback(frame: &[u8]) -> Option<Opened<'_>> {
    let (family, packet) = frame.split_first_chunk()?;
    let is_ip = [u32::from_be_bytes(*family), u32::from_le_bytes(*family)]
        .iter()
        .any(|family| matches!(family, 2 | 10 | 23 | 24 | 28 | 30));
    let layer = if is_ip { Layer::Ip } else { Layer::NotIp };
    Some(Opened::of(layer, packet))
}

/// With address and control in front, or not.
fn ppp(frame: &[u8]) -> Option<Opened<'_>> {
    let bytes = frame.strip_prefix(&[0xff, 0x03]).unwrap_or(frame);
    Some(Opened::of(Layer::Ppp, bytes))
}

fn cisco_hdlc(frame: &[u8]) -> Option<Opened<'_>> {
    let layer = Layer::EtherType(be_u16(frame, 2)?);
    Some(Opened::of(layer, frame.get(4..)?))
}

/// A frame behind a byte that is 0 where it was received.
fn directed<'a>(frame: &'a [u8], open: fn(&'a [u8]) -> Option<Opened<'a>>) -> Option<Opened<'a>> {
    let (direction, frame) = frame.split_first()?;
    Some(Opened {
        outgoing: *direction != 0,
        ..open(frame)?
    })
}

/// An address of 2 to 4 bytes, then either an EtherType (Cisco), or a control field and an NLPID
/// (RFC 2427).
fn frame_relay(frame: &[u8]) -> Option<Opened<'_>> {
    let last = frame.iter().take(4).position(|byte| byte & 1 == 1)?;
    let rest = frame.get(last + 1..)?;
    if let [0x03, rest @ ..] = rest {
        // A byte of padding may come before the NLPID.
        let rest = rest.strip_prefix(&[0]).unwrap_or(rest);
        let (nlpid, rest) = rest.split_first()?;
        return Some(match nlpid {
            0xcc | 0x8e => Opened::of(Layer::Ip, rest),
            0xcf => Opened::of(Layer::Ppp, rest),
            0x80 => Opened::of(Layer::Snap, rest),
            _ => Opened::of(Layer::NotIp, rest),
        });
    }
    let layer = Layer::EtherType(be_u16(rest, 0)?);
    Some(Opened::of(layer, rest.get(2..)?))
}

/// The packet type of what the capturing node sent (`PACKET_OUTGOING` of Linux).
const OUTGOING: u8 = 4;

fn sll(frame: &[u8]) -> Option<Opened<'_>> {
    let bytes = frame.get(16..)?;
    Some(Opened {
        outgoing: be_u16(frame, 0)? == u16::from(OUTGOING),
        ..Opened::of(cooked(be_u16(frame, 2)?, be_u16(frame, 14)?), bytes)
    })
}

fn sll2(frame: &[u8]) -> Option<Opened<'_>> {
    let bytes = frame.get(20..)?;
    Some(Opened {
        interface: be_u32(frame, 4).filter(|index| *index != 0),
        outgoing: *frame.get(10)? == OUTGOING,
        ..Opened::of(cooked(be_u16(frame, 8)?, be_u16(frame, 0)?), bytes)
    })
}

/// What a cooked header's ARPHRD type and protocol say is behind it.
fn cooked(hardware: u16, protocol: u16) -> Layer {
    const ARPHRD_IEEE80211: u16 = 801;
    const ARPHRD_IEEE80211_PRISM: u16 = 802;
    const ARPHRD_IEEE80211_RADIOTAP: u16 = 803;
    match (hardware, protocol) {
        (ARPHRD_IEEE80211..=ARPHRD_IEEE80211_RADIOTAP, _) => match hardware {
            ARPHRD_IEEE80211 => Layer::Wifi,
            ARPHRD_IEEE80211_PRISM => Layer::Link(LinkType::PRISM.0),
            _ => Layer::Link(LinkType::RADIOTAP.0),
        },
        // ETH_P_802_2, and PPP; others that small are no EtherTypes, and no lengths either.
        (_, 4) => Layer::Llc,
        (_, 8 | 9) => Layer::Ppp,
        (_, 0..0x600) => Layer::NotIp,
        (_, ether_type) => Layer::EtherType(ether_type),
    }
}

/// Length, family, action, reason, interface name and so on; the direction comes late.
fn pflog(frame: &[u8]) -> Option<Opened<'_>> {
    const PF_OUT: u8 = 2;
    let length = usize::from(*frame.first()?).next_multiple_of(4);
    let family = frame.get(1)?;
    let layer = match family {
        2 | 10 | 24 | 28 | 30 => Layer::Ip,
        _ => Layer::NotIp,
    };
    Some(Opened {
        outgoing: frame.get(60) == Some(&PF_OUT),
        ..Opened::of(layer, frame.get(length..)?)
    })
}

/// Of 144 bytes; some drivers wrote an AVS header instead.
fn prism(frame: &[u8]) -> Option<Opened<'_>> {
    if matches!(frame, [0x80, 0x21, 0x10, ..]) {
        return avs(frame);
    }
    Some(Opened::of(Layer::Wifi, frame.get(144..)?))
}

fn avs(frame: &[u8]) -> Option<Opened<'_>> {
    let length = be_u32(frame, 4)?;
    let bytes = frame.get(usize::try_from(length).ok()?..)?;
    Some(Opened::of(Layer::Wifi, bytes))
}

/// Version, length, and words that say which fields follow; the second may be flags.
fn radiotap(frame: &[u8]) -> Option<Opened<'_>> {
    const TIMER: u32 = 1;
    const FLAGS: u32 = 1 << 1;
    const MORE: u32 = 1 << 31;
    const PADDED: u8 = 0x20;
    let length = usize::from(u16_of(frame, 2, false)?);
    let present = u32_of(frame, 4, false)?;
    let mut words = 4;
    while u32_of(frame, words, false)? & MORE != 0 {
        words += 4;
    }
    let mut at = words + 4;
    if present & TIMER != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    let flags = match present & FLAGS {
        0 => 0,
        _ => *frame.get(at)?,
    };
    let layer = match flags & PADDED {
        0 => Layer::Wifi,
        _ => Layer::PaddedWifi,
    };
    Some(Opened::of(layer, frame.get(length..)?))
}

fn ppi(frame: &[u8]) -> Option<Opened<'_>> {
    let length = usize::from(u16_of(frame, 2, false)?);
    let link = u32_of(frame, 4, false)?;
    let layer = Layer::Link(LinkType::from_header(link).0);
    Some(Opened::of(layer, frame.get(length..)?))
}

/// Family, version and resource, then fields of length, type and value, the first two in the
/// capturing machine's byte order.
fn nflog(frame: &[u8]) -> Option<Opened<'_>> {
    const PACKET_HEADER: u16 = 1;
    const INPUT_INTERFACE: u16 = 4;
    const PAYLOAD: u16 = 9;
    /// `NF_INET_LOCAL_OUT` and `NF_INET_POST_ROUTING`.
    const LEAVING: [u8; 2] = [3, 4];
    let mut opened = None;
    let (mut interface, mut outgoing) = (None, false);
    let mut rest = frame.get(4..)?;
    // The type is small, so that its bytes tell their order.
    let big_endian = array::<4>(rest, 0).is_some_and(|[_, _, high, low]| high == 0 && low != 0);
    while let (Some(length), Some(field)) =
        (u16_of(rest, 0, big_endian), u16_of(rest, 2, big_endian))
    {
        let length = usize::from(length);
        let Some(value) = rest.get(4..length) else {
            break;
        };
        match field {
            PACKET_HEADER => outgoing = value.get(2).is_some_and(|hook| LEAVING.contains(hook)),
            INPUT_INTERFACE => interface = be_u32(value, 0).filter(|index| *index != 0),
            PAYLOAD => opened = Some(Opened::of(Layer::Ip, value)),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(Opened {
        interface,
        outgoing,
        ..opened?
    })
}
