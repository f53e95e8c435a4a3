//! An RSVP message as it was captured.

use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

/// An RSVP message as it was captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedMessage {
    /// The packet that carried it (the one that completed it, when it came in fragments), counted
    /// from 1 within its capture, as Wireshark counts.
    pub packet: u64,
    /// When that packet was captured; the Unix epoch when the capture does not say.
    pub time: SystemTime,
    /// The interface it was captured on: the SNMP ifIndex where the capture knows it (Linux cooked
    /// v2, NFLOG), else the position of the interface in the capture, from 1.
    pub interface: u32,
    /// The address of that interface, where the capture states it (pcapng).
    pub interface_address: Option<IpAddr>,
    /// Whether the capturing node itself sent it, where the capture states that.
    pub outgoing: bool,
    /// IP source address; the innermost one where it came through tunnels.
    pub source: IpAddr,
    /// IP destination address, likewise.
    pub destination: IpAddr,
    /// The message in network order: the payload of the IP datagram or of the UDP encapsulation
    /// (RFC 2205, appendix C); at most 65536 bytes, which is one too many.
    pub bytes: Vec<u8>,
    /// How many bytes more were sent, at least, than the capture kept: 0 for a whole message.
    pub missing: usize,
}

impl CapturedMessage {
    /// An empty one, to be read into.
    pub(crate) fn empty() -> Self {
        Self {
            packet: 0,
            time: SystemTime::UNIX_EPOCH,
            interface: 0,
            interface_address: None,
            outgoing: false,
            source: Ipv4Addr::UNSPECIFIED.into(),
            destination: Ipv4Addr::UNSPECIFIED.into(),
            bytes: Vec::new(),
            missing: 0,
        }
    }
}
