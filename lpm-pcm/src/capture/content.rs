//! What was in the packets that brought no RSVP message.

use std::cmp::Reverse;
use std::fmt;

use foldhash::{HashMap, HashMapExt};

/// What is in a packet instead of an RSVP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Content {
    /// Another protocol of IP, by its number.
    IpProtocol(u8),
    /// Something else that carries no RSVP.
    Other(&'static str),
    /// What an EtherType stands for that is not looked into.
    EtherType(u16),
    /// What a protocol type of GRE stands for that is not looked into.
    GreProtocol(u16),
    /// Frames of a link layer that is not supported.
    LinkType(u16),
    /// Something else that is not looked into, or cannot be: RSVP may be in it.
    Unread(&'static str),
}

impl Content {
    pub(super) const CUT_OFF: Self = Self::Unread("packets that are cut off before RSVP begins");
    pub(super) const IP_LENGTH: Self = Self::Unread("IP packets with a wrong length");
    pub(super) const UDP_LENGTH: Self = Self::Unread("UDP datagrams with a wrong length");
    pub(super) const TOO_DEEP: Self = Self::Unread("packets with too many headers");
    pub(super) const FRAGMENT: Self = Self::Other("IP fragments");
    pub(super) const NOT_IP: Self = Self::Other("link-layer protocols other than IP");
    pub(super) const UDP: Self = Self::IpProtocol(17);

    /// Whether RSVP may be in it all the same.
    fn is_unread(self) -> bool {
        match self {
            Self::IpProtocol(_) | Self::Other(_) => false,
            Self::EtherType(_) | Self::GreProtocol(_) | Self::LinkType(_) | Self::Unread(_) => true,
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IpProtocol(number) => match ip_protocol(*number) {
                Some(name) => f.write_str(name),
                None => write!(f, "IP protocol {number}"),
            },
            Self::Other(what) | Self::Unread(what) => f.write_str(what),
            Self::EtherType(number) => write!(f, "EtherType {number:#06x}"),
            Self::GreProtocol(number) => write!(f, "GRE with protocol type {number:#06x}"),
            Self::LinkType(number) => write!(f, "link type {number}"),
        }
    }
}

fn ip_protocol(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "ICMP",
        2 => "IGMP",
        6 => "TCP",
        17 => "UDP",
        58 => "ICMPv6",
        59 => "IPv6 without a payload",
        88 => "EIGRP",
        89 => "OSPF",
        103 => "PIM",
        112 => "VRRP",
        132 => "SCTP",
        _ => return None,
    })
}

/// What a capture held besides RSVP messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contents {
    /// How many packets there were in all.
    pub packets: u64,
    /// What was not looked into, and in how many packets: RSVP messages may be in there.
    pub unread: Vec<(String, u64)>,
    /// What else there was, and in how many packets.
    pub other: Vec<(String, u64)>,
}

/// Counts packets by their content.
pub(super) struct Tally(HashMap<Content, u64>);

impl Default for Tally {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl Tally {
    pub(super) fn count(&mut self, content: Content) {
        *self.0.entry(content).or_default() += 1;
    }

    /// The counts, the largest first.
    pub(super) fn contents(&self, packets: u64) -> Contents {
        let list = |is_unread| {
            let counts = self.0.iter();
            let counts = counts.filter(|(content, _)| content.is_unread() == is_unread);
            let mut counts: Vec<_> = counts.map(|(content, count)| (*content, *count)).collect();
            counts.sort_by_key(|(content, count)| (Reverse(*count), *content));
            let counts = counts.into_iter();
            counts
                .map(|(content, count)| (content.to_string(), count))
                .collect()
        };
        Contents {
            packets,
            unread: list(true),
            other: list(false),
        }
    }
}
