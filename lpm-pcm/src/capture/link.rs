//! Link layers: from a captured frame to the IP packet in it.

use std::fmt;

use etherparse::{EtherType, LaxIpv4Slice, LaxNetSlice, LaxSlicedPacket};

/// The link layer of an interface, by its number in the registry of link-layer header types
/// (<https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: the address family in the capturing machine's byte order.
    pub const NULL: LinkType = LinkType(0);
    /// Ethernet, with any VLAN tags (802.1Q, 802.1ad).
    pub const ETHERNET: LinkType = LinkType(1);
    /// Raw IP; 12 and 14 are what BSD systems write for it.
    pub const RAW: LinkType = LinkType(101);
    /// Cisco HDLC.
    pub const C_HDLC: LinkType = LinkType(104);
    /// OpenBSD loopback: the address family in network order.
    pub const LOOP: LinkType = LinkType(108);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: LinkType = LinkType(113);
    /// Raw IPv4.
    pub const IPV4: LinkType = LinkType(228);
    /// Raw IPv6.
    pub const IPV6: LinkType = LinkType(229);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: LinkType = LinkType(276);

    /// What is supported, for error messages.
    pub(super) const SUPPORTED: &str =
        "supported: Ethernet, Linux cooked v1 and v2, raw IP, loopback, Cisco HDLC";

    const RAW_BSD: LinkType = LinkType(12);
    const RAW_OPENBSD: LinkType = LinkType(14);

    /// The link type in a file header, whose upper half may carry the length of the frame check
    /// sequence.
    pub(super) fn from_header(field: i32) -> LinkType {
        let [.., high, low] = field.to_be_bytes();
        LinkType(u16::from_be_bytes([high, low]))
    }

    /// Whether packets of this link layer can be read.
    #[must_use]
    pub fn is_supported(self) -> bool {
        matches!(
            self,
            LinkType::NULL
                | LinkType::ETHERNET
                | LinkType::RAW_BSD
                | LinkType::RAW_OPENBSD
                | LinkType::RAW
                | LinkType::C_HDLC
                | LinkType::LOOP
                | LinkType::LINUX_SLL
                | LinkType::IPV4
                | LinkType::IPV6
                | LinkType::LINUX_SLL2
        )
    }
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The network layer of `frame`; `None` when there is none or too little of it was captured.
pub(super) fn network_layer(link: LinkType, frame: &[u8]) -> Option<LaxNetSlice<'_>> {
    untagged_ipv4(link, frame).or_else(|| packet(link, frame)?.net)
}

/// IPv4 directly on Ethernet, as most packets are: what [`packet`] finds in it, too, but with a look at all the
/// layers there might be.
fn untagged_ipv4(link: LinkType, frame: &[u8]) -> Option<LaxNetSlice<'_>> {
    let ether_type = EtherType(be_bytes(frame, 12).map(u16::from_be_bytes)?);
    if link != LinkType::ETHERNET || ether_type != EtherType::IPV4 {
        return None;
    }
    let (packet, _) = LaxIpv4Slice::from_slice(frame.get(14..)?).ok()?;
    Some(LaxNetSlice::Ipv4(packet))
}

/// All layers of `frame`.
pub(super) fn packet(link: LinkType, frame: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    match link {
        LinkType::ETHERNET => LaxSlicedPacket::from_ethernet(frame).ok(),
        LinkType::LINUX_SLL => after_ether_type(frame, 14, 16),
        LinkType::LINUX_SLL2 => after_ether_type(frame, 0, 20),
        LinkType::C_HDLC => after_ether_type(frame, 2, 4),
        LinkType::NULL | LinkType::LOOP => {
            let (family, packet) = frame.split_first_chunk()?;
            is_ip_family(*family).then_some(packet).and_then(raw_ip)
        }
        _ => raw_ip(frame),
    }
}

/// The SNMP ifIndex that a Linux cooked v2 frame carries.
pub(super) fn interface_index(link: LinkType, frame: &[u8]) -> Option<u32> {
    (link == LinkType::LINUX_SLL2)
        .then(|| be_bytes(frame, 4).map(u32::from_be_bytes))
        .flatten()
        .filter(|index| *index != 0)
}

/// A header with an EtherType at `at` and its payload at `payload`.
fn after_ether_type(frame: &[u8], at: usize, payload: usize) -> Option<LaxSlicedPacket<'_>> {
    let ether_type = EtherType(be_bytes(frame, at).map(u16::from_be_bytes)?);
    Some(LaxSlicedPacket::from_ether_type(
        ether_type,
        frame.get(payload..)?,
    ))
}

fn raw_ip(packet: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    LaxSlicedPacket::from_ip(packet).ok()
}

/// `AF_INET` is 2 everywhere; `AF_INET6` is 10 on Linux, 24, 28 or 30 on the BSDs and macOS, 23 on
/// Windows. A capture from a machine of the other byte order has it swapped.
fn is_ip_family(family: [u8; 4]) -> bool {
    [u32::from_be_bytes(family), u32::from_le_bytes(family)]
        .iter()
        .any(|family| matches!(family, 2 | 10 | 23 | 24 | 28 | 30))
}

fn be_bytes<const N: usize>(frame: &[u8], at: usize) -> Option<[u8; N]> {
    frame.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_short_way_to_ipv4_leads_to_the_same(
            version_and_length in prop_oneof![4 => Just(0x45_u8), 1 => any::<u8>()],
            total_length in prop_oneof![3 => 0..64_u16, 1 => any::<u16>()],
            protocol in prop_oneof![Just(46_u8), Just(17), Just(51), any::<u8>()],
            rest in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut frame = vec![2; 12];
            frame.extend([0x08, 0x00, version_and_length, 0]);
            frame.extend(total_length.to_be_bytes());
            frame.extend([0, 1, 0, 0, 64, protocol]);
            frame.extend(rest);
            if let Some(found) = untagged_ipv4(LinkType::ETHERNET, &frame) {
                let all = packet(LinkType::ETHERNET, &frame).unwrap();
                prop_assert_eq!(Some(found), all.net);
            }
        }
    }
}
