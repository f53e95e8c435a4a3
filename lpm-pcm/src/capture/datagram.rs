//! From a frame to the RSVP message in it: through all headers, IP and UDP included, and out of
//! tunnels.

use std::net::IpAddr;

use etherparse::{
    IpFragOffset, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
};

use super::bytes::be_u16;
use super::content::{Content, Contents, Tally};
use super::fragments::{Fragment, FragmentId, Incomplete, Reassembler};
use super::frames::Frame;
use super::layer::{Layer, Rest};
use super::message::CapturedMessage;
use super::rsvp::{MAX_MESSAGE, RSVP, UDP_PORTS, is_rsvp};
use super::{link, tunnel};

/// How many headers a packet may have, so that one of nothing else ends.
const MAX_HEADERS: u32 = 64;

/// Finds RSVP messages in frames.
#[derive(Default)]
pub(super) struct Extractor {
    reassembler: Reassembler,
    tally: Tally,
}

impl Extractor {
    /// Puts the RSVP message that `frame` carries or completes into `message`; `None` if there is
    /// none.
    ///
    /// What ICMP quotes is the payload of another protocol and thus never found.
    pub(super) fn message(
        &mut self,
        frame: &Frame<'_>,
        message: &mut CapturedMessage,
    ) -> Option<()> {
        let mut walk = Walk {
            reassembler: &mut self.reassembler,
            frame,
            message,
            interface: frame.interface,
            outgoing: frame.outgoing,
            tags: 0,
            headers: 0,
        };
        if let Some(payload) = usual(frame) {
            walk.take(&payload, payload.bytes, 0);
            return Some(());
        }
        match walk.link(frame.link, frame.data) {
            Ok(()) => Some(()),
            Err(content) => {
                self.tally.count(content);
                None
            }
        }
    }

    /// A message that was given up since fragments are missing; each is told once.
    pub(super) fn given_up(&mut self) -> Option<Incomplete> {
        self.reassembler.given_up()
    }

    /// Gives up all messages that are waited for.
    pub(super) fn finish(&mut self) {
        self.reassembler.finish();
    }

    pub(super) fn contents(&self, packets: u64) -> Contents {
        self.tally.contents(packets)
    }
}

/// A walk through the headers of a frame.
struct Walk<'w> {
    reassembler: &'w mut Reassembler,
    frame: &'w Frame<'w>,
    message: &'w mut CapturedMessage,
    interface: u32,
    outgoing: bool,
    /// The VLAN tags on the way, in one number.
    tags: u64,
    headers: u32,
}

/// The payload of an IP datagram, or of a fragment of one.
#[derive(Clone, Copy)]
struct Payload<'a> {
    source: IpAddr,
    destination: IpAddr,
    protocol: IpNumber,
    bytes: &'a [u8],
    /// How many bytes the IP header promises beyond `bytes`.
    missing: usize,
    /// Whether it is only the first part of a datagram.
    is_part: bool,
}

/// Where a fragment belongs.
struct Place {
    identification: u32,
    offset: IpFragOffset,
    more: bool,
}

impl Walk<'_> {
    fn link(&mut self, link: link::LinkType, frame: &[u8]) -> Result<(), Content> {
        let opened = link::open(link, frame)?;
        self.outgoing |= opened.outgoing;
        self.interface = opened.interface.unwrap_or(self.interface);
        self.layers(opened.rest)
    }

    fn layers(&mut self, mut rest: Rest<'_>) -> Result<(), Content> {
        loop {
            self.one_more_header()?;
            match rest.layer {
                Layer::Ip => return self.ip(rest.bytes),
                Layer::Link(link) => return self.link(link::LinkType(link), rest.bytes),
                _ => rest = rest.peel(&mut self.tags)?,
            }
        }
    }

    fn one_more_header(&mut self) -> Result<(), Content> {
        self.headers += 1;
        if self.headers > MAX_HEADERS {
            return Err(Content::TOO_DEEP);
        }
        Ok(())
    }

    fn ip(&mut self, packet: &[u8]) -> Result<(), Content> {
        match packet.first().ok_or(Content::CUT_OFF)? >> 4 {
            4 => self.ipv4(packet),
            6 => self.ipv6(packet),
            _ => Err(Content::NOT_IP),
        }
    }

    fn ipv4(&mut self, packet: &[u8]) -> Result<(), Content> {
        let header = Ipv4HeaderSlice::from_slice(packet).map_err(|_| Content::CUT_OFF)?;
        let behind = &packet[header.slice().len()..];
        // Where the network card cuts datagrams, the length is not yet filled in.
        let length = match usize::from(header.total_len()) {
            0 => behind.len(),
            total => total
                .checked_sub(header.slice().len())
                .ok_or(Content::IP_LENGTH)?,
        };
        let bytes = &behind[..length.min(behind.len())];
        let payload = Payload {
            source: header.source_addr().into(),
            destination: header.destination_addr().into(),
            protocol: header.protocol(),
            bytes,
            missing: length - bytes.len(),
            is_part: false,
        };
        if header.is_fragmenting_payload() {
            let place = Place {
                identification: header.identification().into(),
                offset: header.fragments_offset(),
                more: header.more_fragments(),
            };
            return self.fragment(payload, &place);
        }
        self.payload(payload)
    }

    fn ipv6(&mut self, packet: &[u8]) -> Result<(), Content> {
        let header = Ipv6HeaderSlice::from_slice(packet).map_err(|_| Content::CUT_OFF)?;
        let behind = &packet[header.slice().len()..];
        // A length of 0 is a jumbogram's (RFC 2675), longer than any RSVP message.
        let length = match usize::from(header.payload_length()) {
            0 if !behind.is_empty() => return Err(Content::IP_LENGTH),
            length => length,
        };
        let bytes = &behind[..length.min(behind.len())];
        self.payload(Payload {
            source: header.source_addr().into(),
            destination: header.destination_addr().into(),
            protocol: header.next_header(),
            bytes,
            missing: length - bytes.len(),
            is_part: false,
        })
    }

    /// Goes through the extension headers of an IP datagram to what it carries.
    fn payload(&mut self, mut payload: Payload<'_>) -> Result<(), Content> {
        loop {
            let is_ipv6 = payload.source.is_ipv6();
            let bytes = payload.bytes;
            let length = match payload.protocol {
                RSVP => {
                    self.take(&payload, payload.bytes, payload.missing);
                    return Ok(());
                }
                IpNumber::UDP => return self.udp(&payload),
                IpNumber::AUTHENTICATION_HEADER => 8 + 4 * usize::from(field(bytes, 1)?),
                IpNumber::IPV6_FRAGMENTATION_HEADER if is_ipv6 && !payload.is_part => {
                    let header =
                        Ipv6FragmentHeaderSlice::from_slice(bytes).map_err(|_| Content::CUT_OFF)?;
                    payload.protocol = header.next_header();
                    payload.bytes = &bytes[header.slice().len()..];
                    if header.is_fragmenting_payload() {
                        let place = Place {
                            identification: header.identification(),
                            offset: header.fragment_offset(),
                            more: header.more_fragments(),
                        };
                        return self.fragment(payload, &place);
                    }
                    continue;
                }
                IpNumber::IPV6_HEADER_HOP_BY_HOP
                | IpNumber::IPV6_ROUTE_HEADER
                | IpNumber::IPV6_DESTINATION_OPTIONS
                | IpNumber::MOBILITY_HEADER
                | IpNumber::HIP
                | IpNumber::SHIM6
                    if is_ipv6 =>
                {
                    8 + 8 * usize::from(field(bytes, 1)?)
                }
                other => {
                    return match tunnel::in_ip(other.0, bytes) {
                        Some(rest) => self.layers(rest?),
                        None => Err(Content::IpProtocol(other.0)),
                    };
                }
            };
            self.one_more_header()?;
            payload.protocol = IpNumber(field(bytes, 0)?);
            payload.bytes = bytes.get(length..).ok_or(Content::CUT_OFF)?;
        }
    }

    fn udp(&mut self, payload: &Payload<'_>) -> Result<(), Content> {
        let bytes = payload.bytes;
        let (Some(port), Some(length)) = (be_u16(bytes, 2), be_u16(bytes, 4)) else {
            return Err(Content::CUT_OFF);
        };
        let length = usize::from(length);
        let there = bytes.len() + payload.missing;
        if length < 8 || length > there && !payload.is_part {
            return Err(Content::UDP_LENGTH);
        }
        let datagram = &bytes[..length.min(bytes.len())];
        let content = datagram.get(8..).ok_or(Content::CUT_OFF)?;
        if UDP_PORTS.contains(&port) && is_rsvp(content, length - 8) {
            self.take(payload, content, length - datagram.len());
            return Ok(());
        }
        match tunnel::in_udp(port, content) {
            Some(rest) => self.layers(rest?),
            None => Err(Content::UDP),
        }
    }

    /// Waits for the rest of a datagram, or goes on with it if this is all that was missing.
    fn fragment(&mut self, payload: Payload<'_>, place: &Place) -> Result<(), Content> {
        if !may_be_rsvp(payload.protocol) {
            return Err(Content::IpProtocol(payload.protocol.0));
        }
        if payload.missing > 0 {
            // It can never be completed. Its first fragment speaks for the message.
            return match place.offset.value() {
                0 => self.payload(Payload {
                    is_part: true,
                    ..payload
                }),
                _ => Err(Content::FRAGMENT),
            };
        }
        let whole = self.reassembler.add(&Fragment {
            id: FragmentId {
                source: payload.source,
                destination: payload.destination,
                protocol: payload.protocol,
                identification: place.identification,
                tags: self.tags,
            },
            offset: place.offset,
            more: place.more,
            bytes: payload.bytes,
            packet: self.frame.number,
            time: self.frame.time,
        });
        let bytes = whole.ok_or(Content::FRAGMENT)?;
        self.payload(Payload {
            bytes: &bytes,
            ..payload
        })
    }

    /// Takes a message, of which so many bytes more were sent than captured.
    fn take(&mut self, payload: &Payload<'_>, bytes: &[u8], missing: usize) {
        let message = &mut *self.message;
        message.bytes.clear();
        message
            .bytes
            .extend_from_slice(&bytes[..bytes.len().min(MAX_MESSAGE)]);
        message.missing = missing;
        message.packet = self.frame.number;
        message.time = self.frame.time;
        message.interface = self.interface;
        message.interface_address = self.frame.interface_address;
        message.outgoing = self.outgoing;
        message.source = payload.source;
        message.destination = payload.destination;
    }
}

/// What nearly all frames with RSVP are: Ethernet, and an IPv4 datagram without options that is
/// whole. The walk comes to the same, and takes five times as long. `None` for all others.
#[inline]
fn usual<'f>(frame: &Frame<'f>) -> Option<Payload<'f>> {
    const ETHERNET: usize = 14;
    const IPV4: usize = 20;
    let (head, behind) = frame.data.split_first_chunk::<{ ETHERNET + IPV4 }>()?;
    let [
        ..,
        0x08,
        0x00,
        0x45,
        _,
        high,
        low,
        _,
        _,
        flags,
        offset,
        _,
        protocol,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = *head
    else {
        return None;
    };
    let is_fragment = flags & 0x3f != 0 || offset != 0;
    if frame.link != link::LinkType::ETHERNET || is_fragment || IpNumber(protocol) != RSVP {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([high, low])).checked_sub(IPV4)?;
    Some(Payload {
        source: IpAddr::from([s0, s1, s2, s3]),
        destination: IpAddr::from([d0, d1, d2, d3]),
        protocol: RSVP,
        bytes: behind.get(..length)?,
        missing: 0,
        is_part: false,
    })
}

/// Whether fragments of a protocol may be parts of an RSVP message, or of a tunnel's packet.
fn may_be_rsvp(protocol: IpNumber) -> bool {
    matches!(protocol, RSVP | IpNumber::UDP)
        || matches!(
            protocol,
            IpNumber::IPV6_DESTINATION_OPTIONS | IpNumber::AUTHENTICATION_HEADER
        )
        || matches!(tunnel::in_ip(protocol.0, &[]), Some(Ok(_)))
        || matches!(protocol.0, 47 | 97)
}

fn field(bytes: &[u8], at: usize) -> Result<u8, Content> {
    bytes.get(at).copied().ok_or(Content::CUT_OFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn frame(link: link::LinkType, data: &[u8]) -> Frame<'_> {
        Frame {
            number: 7,
            time: SystemTime::UNIX_EPOCH,
            interface: 3,
            interface_address: None,
            link,
            outgoing: true,
            data,
        }
    }

    /// What the walk finds in a frame.
    fn walked(frame: &Frame<'_>) -> Option<CapturedMessage> {
        let (mut reassembler, mut message) = (Reassembler::default(), CapturedMessage::empty());
        let mut walk = Walk {
            reassembler: &mut reassembler,
            frame,
            message: &mut message,
            interface: frame.interface,
            outgoing: frame.outgoing,
            tags: 0,
            headers: 0,
        };
        walk.link(frame.link, frame.data).ok()?;
        Some(message)
    }

    #[test]
    fn the_short_way_leads_to_what_the_walk_finds() {
        let mut usual_frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
        usual_frame.extend([0x45, 0, 0, 32, 0, 0, 0x40, 0, 63, 46, 0, 0]);
        usual_frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        usual_frame.extend([0x10, 20, 0, 0, 1, 0, 0, 12, 1, 2, 3, 4]);
        // Padding, as short frames have it.
        usual_frame.extend([0; 8]);
        let mut short_ways = 0;
        for link in [link::LinkType::ETHERNET, link::LinkType::RAW] {
            for length in 0..=usual_frame.len() {
                for at in 0..34.min(length) {
                    for value in [0, 1, 5, 8, 0x20, 0x40, 0x45, 0x46, 0x60, 0x80, 0xff] {
                        let mut bytes = usual_frame[..length].to_vec();
                        bytes[at] = value;
                        let frame = frame(link, &bytes);
                        if usual(&frame).is_none() {
                            continue;
                        }
                        short_ways += 1;
                        let mut message = CapturedMessage::empty();
                        let found = Extractor::default().message(&frame, &mut message);
                        assert_eq!(found.map(|()| message), walked(&frame), "{bytes:?}");
                    }
                }
            }
        }
        assert!(short_ways > 1_000, "{short_ways}");
    }
}
