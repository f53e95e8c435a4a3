//! The raw sockets of RSVP (IP protocol 46) for IPv6.
//!
//! What is addressed to this node comes in on one of them. What is addressed to others and carries
//! Router Alert comes in on the other one, since the kernel hands that over to no socket of a
//! protocol's own, and in fragments if it came in fragments: only what is addressed to this node it
//! puts together by itself. All is sent by the first: the kernel makes the header, in the name of
//! whoever the source is, and cuts what is too long into fragments.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd, RawFd};
use std::time::SystemTime;

use etherparse::{Ipv6ExtensionSlice, Ipv6Slice};
use lpm_sbm::Datagram;
use nix::sys::socket::sockopt::{SetBool, SetStruct, SetUsize};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::socket::{Arrival, NETWORK_CONTROL, RSVP, prepare};
use crate::capture::fragments::{Fragment, FragmentId, Incomplete, Reassembler};

/// The value of Router Alert that stands for RSVP (RFC 2711).
const OF_RSVP: usize = 1;
/// A Hop-by-Hop header with Router Alert, but for the number of the header behind it.
const HOP_BY_HOP: [u8; 8] = [0, 0, 5, 2, 0, 1, 1, 0];

nix::setsockopt_impl!(
    RouterAlert,
    libc::IPPROTO_IPV6,
    libc::IPV6_ROUTER_ALERT,
    usize,
    SetUsize
);
/// Hands over packets with a Router Alert option of this value.
#[derive(Clone, Copy, Debug)]
struct RouterAlert;

nix::setsockopt_impl!(
    OfThisNamespace,
    libc::IPPROTO_IPV6,
    libc::IPV6_ROUTER_ALERT_ISOLATE,
    bool,
    SetBool
);
/// Hands over such packets of the socket's own network namespace only; else those of all.
#[derive(Clone, Copy, Debug)]
struct OfThisNamespace;

nix::setsockopt_impl!(
    Transparent,
    libc::IPPROTO_IPV6,
    libc::IPV6_TRANSPARENT,
    bool,
    SetBool
);
/// Sends in the name of others.
#[derive(Clone, Copy, Debug)]
struct Transparent;

nix::setsockopt_impl!(
    HopByHop,
    libc::IPPROTO_IPV6,
    libc::IPV6_HOPOPTS,
    [u8; 8],
    SetStruct<'_, [u8; 8]>
);
/// Sends with this Hop-by-Hop header.
#[derive(Clone, Copy, Debug)]
struct HopByHop;

nix::setsockopt_impl!(
    NoHopByHop,
    libc::IPPROTO_IPV6,
    libc::IPV6_HOPOPTS,
    [u8; 0],
    SetStruct<'_, [u8; 0]>
);
/// Sends without one.
#[derive(Clone, Copy, Debug)]
struct NoHopByHop;

/// What is addressed to this node, and all that is sent.
#[derive(Debug)]
pub struct RawSocket6(Socket);

/// What is addressed to others, and carries Router Alert.
pub struct AlertSocket6 {
    socket: Socket,
    fragments: Reassembler,
}

impl RawSocket6 {
    /// Opens it.
    ///
    /// # Errors
    /// CAP_NET_RAW is missing, or the kernel has no IPv6.
    pub fn open() -> io::Result<Self> {
        let socket = open(i32::from(RSVP))?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        setsockopt(&socket, Transparent, &true)?;
        Ok(Self(socket))
    }

    /// Takes a packet into `buffer`. `None` for one that is no use.
    ///
    /// # Errors
    /// `WouldBlock` if there is none.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Arrival>> {
        let mut space = nix::cmsg_space!(libc::in6_pktinfo, libc::c_int);
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::empty();
        let received =
            recvmsg::<SockaddrIn6>(self.0.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
        let (mut to, mut ttl) = (None, None);
        for message in received.cmsgs()? {
            match message {
                ControlMessageOwned::Ipv6PacketInfo(info) => to = Some(info),
                ControlMessageOwned::Ipv6HopLimit(limit) => ttl = u8::try_from(limit).ok(),
                _ => {}
            }
        }
        Ok(received
            .address
            .zip(to)
            .zip(ttl)
            .map(|((source, to), ttl)| Arrival {
                interface: to.ipi6_ifindex,
                source: source.ip().into(),
                destination: Ipv6Addr::from(to.ipi6_addr.s6_addr).into(),
                ttl,
                payload: 0,
                end: received.bytes,
            }))
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// As of the system: the interface is gone, there is no route, or no room.
    pub fn send(&self, datagram: &Datagram) -> io::Result<()> {
        if !datagram.router_alert {
            return self.send_plain(datagram);
        }
        setsockopt(&self.0, HopByHop, &HOP_BY_HOP)?;
        let sent = self.send_plain(datagram);
        setsockopt(&self.0, NoHopByHop, &[])?;
        sent
    }

    fn send_plain(&self, datagram: &Datagram) -> io::Result<()> {
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (datagram.source, datagram.destination)
        else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let info = libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr {
                s6_addr: source.octets(),
            },
            ipi6_ifindex: datagram.interface,
        };
        let (limit, class) = (i32::from(datagram.ttl), i32::from(NETWORK_CONTROL) << 2);
        let to = SockaddrIn6::from(SocketAddrV6::new(destination, 0, 0, datagram.interface));
        let control = [
            ControlMessage::Ipv6PacketInfo(&info),
            ControlMessage::Ipv6HopLimit(&limit),
            ControlMessage::Ipv6TClass(&class),
        ];
        sendmsg(
            self.0.as_raw_fd(),
            &[IoSlice::new(&datagram.bytes)],
            &control,
            MsgFlags::empty(),
            Some(&to),
        )?;
        Ok(())
    }
}

impl AlertSocket6 {
    /// Opens it.
    ///
    /// # Errors
    /// CAP_NET_RAW is missing, or the kernel has no IPv6.
    pub fn open() -> io::Result<Self> {
        let socket = open(libc::IPPROTO_RAW)?;
        // Kernels before 5.11 do not know it.
        let _ = setsockopt(&socket, OfThisNamespace, &true);
        setsockopt(&socket, RouterAlert, &OF_RSVP)?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        Ok(Self {
            socket,
            fragments: Reassembler::default(),
        })
    }

    /// Takes a packet into `buffer`, or all of one whose last fragment has come. `None` for one
    /// that is no use: of another protocol, or a fragment while others are missing.
    ///
    /// # Errors
    /// `WouldBlock` if there is none.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<Arrival>> {
        let mut space = nix::cmsg_space!(libc::in6_pktinfo);
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::empty();
        let (length, interface) = {
            let socket = self.socket.as_raw_fd();
            let received = recvmsg::<SockaddrIn6>(socket, &mut parts, Some(&mut space), flags)?;
            let interface = received.cmsgs()?.find_map(|message| match message {
                ControlMessageOwned::Ipv6PacketInfo(info) => Some(info.ipi6_ifindex),
                _ => None,
            });
            (received.bytes, interface)
        };
        let now = SystemTime::now();
        Ok(interface
            .and_then(|interface| arrival(buffer, length, interface, &mut self.fragments, now)))
    }

    /// A packet whose other fragments are no longer waited for; each is told once.
    pub fn given_up(&mut self, now: SystemTime) -> Option<Incomplete> {
        self.fragments.forget_expired(now);
        self.fragments.given_up()
    }
}

/// Where a packet with Router Alert, that is so long, came from and was going to, once all of it is
/// in `buffer`.
fn arrival(
    buffer: &mut [u8],
    length: usize,
    interface: u32,
    fragments: &mut Reassembler,
    now: SystemTime,
) -> Option<Arrival> {
    let slice = Ipv6Slice::from_slice(buffer.get(..length)?).ok()?;
    let (header, content) = (slice.header(), slice.payload());
    if content.ip_number.0 != RSVP {
        return None;
    }
    let payload = header.slice().len() + slice.extensions().slice().len();
    let arrival = Arrival {
        interface,
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        ttl: header.hop_limit(),
        payload,
        end: payload + content.payload.len(),
    };
    if !content.fragmented {
        return Some(arrival);
    }
    let mut extensions = slice.extensions().clone().into_iter();
    let fragment = extensions.find_map(|extension| match extension {
        Ipv6ExtensionSlice::Fragment(header) => Some(header),
        _ => None,
    })?;
    let whole = fragments.add(&Fragment {
        id: FragmentId {
            source: arrival.source,
            destination: arrival.destination,
            protocol: content.ip_number,
            identification: fragment.identification(),
            tags: 0,
        },
        offset: fragment.fragment_offset(),
        more: fragment.more_fragments(),
        bytes: content.payload,
        packet: 0,
        time: now,
    })?;
    let end = whole.len();
    buffer.get_mut(..end)?.copy_from_slice(&whole);
    Some(Arrival {
        payload: 0,
        end,
        ..arrival
    })
}

fn open(protocol: i32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(protocol)))?;
    prepare(&socket)?;
    Ok(socket)
}

impl AsRawFd for RawSocket6 {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsRawFd for AlertSocket6 {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    /// A packet from `source`, with these headers before its payload.
    fn packet(source: u128, headers: &[&[u8]], payload: &[u8]) -> Vec<u8> {
        let behind = [&headers.concat(), payload].concat();
        let length = u16::try_from(behind.len()).unwrap().to_be_bytes();
        let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], 0, 61];
        let destination = Ipv6Addr::from_bits(9);
        packet.extend(Ipv6Addr::from_bits(source).octets());
        packet.extend(destination.octets());
        packet.extend(behind);
        packet
    }

    /// A part of a packet that is numbered so.
    fn fragment(number: u8, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
        let mut alert = HOP_BY_HOP;
        alert[0] = 44;
        let [high, low] = (offset | u16::from(more)).to_be_bytes();
        packet(
            7,
            &[&alert, &[RSVP, 0, high, low, 0, 0, 0, number]],
            payload,
        )
    }

    fn taken(packet: &[u8], fragments: &mut Reassembler, now: SystemTime) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65_575];
        buffer[..packet.len()].copy_from_slice(packet);
        let found = arrival(&mut buffer, packet.len(), 3, fragments, now)?;
        assert_eq!((found.interface, found.ttl), (3, 61));
        let (source, destination) = (Ipv6Addr::from_bits(7), Ipv6Addr::from_bits(9));
        assert_eq!(
            (found.source, found.destination),
            (source.into(), destination.into())
        );
        Some(buffer[found.payload..found.end].to_vec())
    }

    #[test]
    fn what_carries_router_alert_is_found_behind_its_header() {
        let none = &mut Reassembler::default();
        let mut alert = HOP_BY_HOP;
        alert[0] = RSVP;
        let rsvp = packet(7, &[&alert], &[1, 2, 3, 4]);
        assert_eq!(taken(&rsvp, none, NOW), Some(vec![1, 2, 3, 4]));
        alert[0] = 17;
        assert_eq!(taken(&packet(7, &[&alert], &[1, 2]), none, NOW), None);
        assert_eq!(taken(&rsvp[..39], none, NOW), None);
        assert_eq!(taken(&[], none, NOW), None);
    }

    #[test]
    fn what_comes_in_fragments_is_put_together_in_whatever_order() {
        let fragments = &mut Reassembler::default();
        let parts = [
            fragment(1, 0, true, &[1; 16]),
            fragment(1, 16, true, &[2; 8]),
            fragment(1, 24, false, &[3; 3]),
        ];
        let whole = [&[1; 16][..], &[2; 8], &[3; 3]].concat();
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let taken = order.map(|part: usize| taken(&parts[part], fragments, NOW));
            assert_eq!(taken, [None, None, Some(whole.clone())]);
        }
    }

    #[test]
    fn what_is_never_complete_is_told_once() {
        let fragments = &mut Reassembler::default();
        let (first, rest) = (
            fragment(1, 0, true, &[1; 8]),
            fragment(2, 8, false, &[2; 8]),
        );
        assert_eq!(taken(&first, fragments, NOW), None);
        // The rest of another one is none of it.
        assert_eq!(taken(&rest, fragments, NOW), None);
        let later = NOW + Duration::from_secs(61);
        fragments.forget_expired(NOW + Duration::from_secs(60));
        assert_eq!(fragments.given_up(), None);
        fragments.forget_expired(later);
        assert_eq!(fragments.given_up().map(|one| one.fragments), Some(1));
        assert!(fragments.given_up().is_some());
        assert_eq!(fragments.given_up(), None);
        let last = fragment(1, 8, false, &[2; 8]);
        assert_eq!(taken(&last, fragments, later), None, "too late");
    }
}
