//! The raw sockets of RSVP (IP protocol 46) for IPv6.
//!
//! What is addressed to this node comes in on one of them. What is addressed to others and carries
//! Router Alert comes in on the other one, since the kernel hands that over to no socket of a
//! protocol's own. All is sent by the first: the kernel makes the header, in the name of whoever
//! the source is, and cuts what is too long into fragments.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd, RawFd};

use etherparse::Ipv6Slice;
use lpm_sbm::Datagram;
use nix::sys::socket::sockopt::{SetBool, SetStruct, SetUsize};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::socket::{Arrival, NETWORK_CONTROL, RSVP, prepare};

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
#[derive(Debug)]
pub struct AlertSocket6(Socket);

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
        Ok(Self(socket))
    }

    /// Takes a packet into `buffer`. `None` for one that is no use: of another protocol, or a
    /// fragment.
    ///
    /// # Errors
    /// `WouldBlock` if there is none.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Arrival>> {
        let mut space = nix::cmsg_space!(libc::in6_pktinfo);
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::empty();
        let (length, interface) = {
            let received =
                recvmsg::<SockaddrIn6>(self.0.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
            let interface = received.cmsgs()?.find_map(|message| match message {
                ControlMessageOwned::Ipv6PacketInfo(info) => Some(info.ipi6_ifindex),
                _ => None,
            });
            (received.bytes, interface)
        };
        let packet = buffer.get(..length).unwrap_or_default();
        Ok(interface.and_then(|interface| arrival(packet, interface)))
    }
}

/// Where a whole packet with Router Alert came from and was going to.
fn arrival(packet: &[u8], interface: u32) -> Option<Arrival> {
    let slice = Ipv6Slice::from_slice(packet).ok()?;
    let (header, content) = (slice.header(), slice.payload());
    if content.ip_number.0 != RSVP || content.fragmented {
        return None;
    }
    let payload = header.slice().len() + slice.extensions().slice().len();
    Some(Arrival {
        interface,
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        ttl: header.hop_limit(),
        payload,
        end: payload + content.payload.len(),
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
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_carries_router_alert_is_found_behind_its_header() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 12, 0, 61];
        let (source, destination) = (Ipv6Addr::from_bits(7), Ipv6Addr::from_bits(9));
        packet.extend(source.octets());
        packet.extend(destination.octets());
        packet.extend(HOP_BY_HOP);
        packet[40] = RSVP;
        packet.extend([1, 2, 3, 4]);
        let found = arrival(&packet, 3).unwrap();
        assert_eq!((found.interface, found.ttl), (3, 61));
        assert_eq!(
            (found.source, found.destination),
            (source.into(), destination.into())
        );
        assert_eq!(
            packet.get(found.payload..found.end),
            Some(&[1, 2, 3, 4][..])
        );
        packet[40] = 17;
        assert_eq!(arrival(&packet, 3), None);
        assert_eq!(arrival(&packet[..39], 3), None);
        assert_eq!(arrival(&[], 3), None);
    }
}
