//! IP and UDP: from a frame to the RSVP message in it.

use std::borrow::Cow;
use std::net::IpAddr;

use etherparse::defrag::{IpFragId, IpFragVersionSpecId};
use etherparse::{
    IpFragOffset, IpNumber, Ipv6ExtensionSlice, Ipv6ExtensionsSlice, LaxIpv4Slice, LaxIpv6Slice,
    LaxNetSlice, UdpSlice,
};

use super::CapturedMessage;
use super::fragments::{Fragment, Reassembler};
use super::frames::Frame;
use super::link;

/// RSVP as a protocol of its own (RFC 2205 §3).
const RSVP: IpNumber = IpNumber(46);

/// The UDP encapsulation of RSVP (RFC 2205, appendix C): Pu and Pu'.
const UDP_PORTS: [u16; 2] = [1698, 1699];

/// How much of a payload is kept, in bytes: one more than an RSVP Length can say, so that a payload
/// that is too long is seen to be.
const MAX_MESSAGE: usize = 1 << 16;

/// Finds RSVP messages in frames.
#[derive(Default)]
pub(super) struct Extractor {
    reassembler: Reassembler,
}

/// The payload of an IP datagram, or of a fragment of one.
struct Payload<'a> {
    source: IpAddr,
    destination: IpAddr,
    protocol: IpNumber,
    bytes: Cow<'a, [u8]>,
    /// How many bytes the IP header promises beyond `bytes`.
    missing: usize,
    fragment: Option<FragmentHeader>,
}

struct FragmentHeader {
    ip: IpFragVersionSpecId,
    offset: IpFragOffset,
    more: bool,
}

/// The RSVP bytes in a payload, and how many more were sent than captured.
struct Rsvp<'a> {
    bytes: &'a [u8],
    missing: usize,
}

impl Extractor {
    /// Puts the RSVP message that `frame` carries or completes into `message`; `None` if there is none.
    ///
    /// What ICMP quotes is the payload of another protocol and thus never found.
    pub(super) fn message(
        &mut self,
        frame: &Frame<'_>,
        message: &mut CapturedMessage,
    ) -> Option<()> {
        let payload = Payload::of(link::network_layer(frame.link, frame.data)?)?;
        let interface = link::interface_index(frame.link, frame.data).unwrap_or(frame.interface);
        let mut take = |rsvp: Rsvp<'_>| {
            message.bytes.clear();
            message.bytes.extend_from_slice(rsvp.bytes);
            message.missing = rsvp.missing;
        };
        match &payload.fragment {
            None => take(rsvp_in(payload.protocol, &payload.bytes, payload.missing)?),
            Some(fragment) => self.reassemble(&payload, fragment, interface, frame, take)?,
        }
        message.packet = frame.number;
        message.time = frame.time;
        message.interface = interface;
        message.interface_address = frame.interface_address;
        message.source = payload.source;
        message.destination = payload.destination;
        Some(())
    }

    /// How many RSVP messages have been given up so far, or are still waiting, for fragments.
    pub(super) fn incomplete(&self) -> u64 {
        self.reassembler.incomplete(RSVP)
    }

    /// Takes what a fragment completes.
    fn reassemble(
        &mut self,
        payload: &Payload<'_>,
        fragment: &FragmentHeader,
        interface: u32,
        frame: &Frame<'_>,
        take: impl FnOnce(Rsvp<'_>),
    ) -> Option<()> {
        let may_be_rsvp = matches!(
            payload.protocol,
            RSVP | IpNumber::UDP | IpNumber::IPV6_DESTINATION_OPTIONS
        );
        if !may_be_rsvp {
            return None;
        }
        if payload.missing > 0 {
            // It can never be completed. Its first fragment speaks for the message.
            let is_first = fragment.offset.value() == 0;
            let rsvp = rsvp_in(payload.protocol, &payload.bytes, payload.missing);
            return rsvp.filter(|_| is_first).map(take);
        }
        let (protocol, bytes) = self.reassembler.add(Fragment {
            id: IpFragId {
                vlan_ids: link::packet(frame.link, frame.data)?.vlan_ids(),
                ip: fragment.ip.clone(),
                payload_ip_number: payload.protocol,
                channel_id: interface,
            },
            offset: fragment.offset,
            more: fragment.more,
            bytes: &payload.bytes,
            time: frame.time,
        })?;
        rsvp_in(protocol, &bytes, 0).map(take)
    }
}

impl<'a> Payload<'a> {
    fn of(packet: LaxNetSlice<'a>) -> Option<Payload<'a>> {
        match packet {
            LaxNetSlice::Ipv4(packet) => Some(Payload::of_ipv4(&packet)),
            LaxNetSlice::Ipv6(packet) => Some(Payload::of_ipv6(&packet)),
            LaxNetSlice::Arp(_) => None,
        }
    }

    fn of_ipv4(packet: &LaxIpv4Slice<'a>) -> Payload<'a> {
        let header = packet.header();
        let payload = packet.payload();
        let authentication = packet
            .extensions()
            .auth
            .map_or(0, |auth| auth.slice().len());
        let captured = header.slice().len() + authentication + payload.payload.len();
        Payload {
            source: header.source_addr().into(),
            destination: header.destination_addr().into(),
            protocol: payload.ip_number,
            bytes: payload.payload.into(),
            missing: usize::from(header.total_len()).saturating_sub(captured),
            fragment: payload.fragmented.then(|| FragmentHeader {
                ip: IpFragVersionSpecId::Ipv4 {
                    source: header.source(),
                    destination: header.destination(),
                    identification: header.identification(),
                },
                offset: header.fragments_offset(),
                more: header.more_fragments(),
            }),
        }
    }

    fn of_ipv6(packet: &LaxIpv6Slice<'a>) -> Payload<'a> {
        let header = packet.header();
        let captured = packet.extensions().slice().len() + packet.payload().payload.len();
        let mut payload = Payload {
            source: header.source_addr().into(),
            destination: header.destination_addr().into(),
            protocol: packet.payload().ip_number,
            bytes: packet.payload().payload.into(),
            missing: usize::from(header.payload_length()).saturating_sub(captured),
            fragment: None,
        };
        if packet.is_payload_fragmented() {
            payload.stop_at_fragment_header(packet);
        }
        payload
    }

    /// What follows the Fragment header belongs to the fragment, even where it looks like another
    /// extension header: only the reassembled datagram tells.
    fn stop_at_fragment_header(&mut self, packet: &LaxIpv6Slice<'a>) {
        let header = packet.header();
        let mut rest = packet.extensions().slice().len();
        for extension in packet.extensions().clone() {
            let length = match &extension {
                Ipv6ExtensionSlice::HopByHop(header)
                | Ipv6ExtensionSlice::Routing(header)
                | Ipv6ExtensionSlice::DestinationOptions(header) => header.slice().len(),
                Ipv6ExtensionSlice::Authentication(header) => header.slice().len(),
                Ipv6ExtensionSlice::Fragment(header) => header.slice().len(),
            };
            rest = rest.saturating_sub(length);
            if let Ipv6ExtensionSlice::Fragment(fragment) = extension {
                self.protocol = fragment.next_header();
                let extensions = packet.extensions().slice();
                if rest > 0 {
                    let read_too_far = &extensions[extensions.len() - rest..];
                    self.bytes = [read_too_far, packet.payload().payload].concat().into();
                }
                self.fragment = Some(FragmentHeader {
                    ip: IpFragVersionSpecId::Ipv6 {
                        source: header.source(),
                        destination: header.destination(),
                        identification: fragment.identification(),
                    },
                    offset: fragment.fragment_offset(),
                    more: fragment.more_fragments(),
                });
                return;
            }
        }
    }
}

/// The RSVP message in the payload of a whole datagram, or in the captured part of one.
fn rsvp_in(protocol: IpNumber, bytes: &[u8], missing: usize) -> Option<Rsvp<'_>> {
    match protocol {
        RSVP => Some(Rsvp {
            bytes: &bytes[..bytes.len().min(MAX_MESSAGE)],
            missing,
        }),
        IpNumber::UDP => {
            let udp = UdpSlice::from_slice_lax(bytes).ok()?;
            let stated = usize::from(udp.length());
            let captured = udp.slice().len();
            UDP_PORTS.contains(&udp.destination_port()).then(|| Rsvp {
                bytes: &bytes[captured - udp.payload().len()..captured],
                missing: missing.max(stated.saturating_sub(captured)),
            })
        }
        IpNumber::IPV6_DESTINATION_OPTIONS => {
            let (_, protocol, rest, _) = Ipv6ExtensionsSlice::from_slice_lax(protocol, bytes);
            // Options that cannot be read leave the protocol as it is.
            (protocol != IpNumber::IPV6_DESTINATION_OPTIONS)
                .then(|| rsvp_in(protocol, rest, missing))
                .flatten()
        }
        _ => None,
    }
}
