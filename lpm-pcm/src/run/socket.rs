//! The raw socket of RSVP (IP protocol 46) for IPv4.
//!
//! With Router Alert set, the kernel of a router hands over what is addressed to others and carries
//! that option, instead of forwarding it. What is sent has its IP header made here: a Path goes on
//! in the name of its sender. Only what is too long for a packet has it made by the kernel, which
//! cuts it into fragments.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, RawFd};

use etherparse::{IpNumber, Ipv4Header, Ipv4HeaderSlice, UdpHeader};
use lpm_sbm::Datagram;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::traffic::PASSES_BY;

/// The protocol number of RSVP.
pub(super) const RSVP: u8 = 46;
/// The port of hosts to which nodes send in UDP: Pu' (RFC 2205, appendix C).
const UDP_OF_NODES: u16 = 1699;
/// The Router Alert option (RFC 2113).
const ROUTER_ALERT: [u8; 4] = [148, 4, 0, 0];
/// DSCP CS6, for the traffic of the network itself.
pub(super) const NETWORK_CONTROL: u8 = 48;

nix::setsockopt_impl!(
    RouterAlert,
    libc::IPPROTO_IP,
    libc::IP_ROUTER_ALERT,
    bool,
    nix::sys::socket::sockopt::SetBool
);
/// Hands over packets with a Router Alert option.
#[derive(Clone, Copy, Debug)]
struct RouterAlert;

nix::setsockopt_impl!(
    Options,
    libc::IPPROTO_IP,
    libc::IP_OPTIONS,
    [u8; 4],
    nix::sys::socket::sockopt::SetStruct<'_, [u8; 4]>
);
/// Sends with these options.
#[derive(Clone, Copy, Debug)]
struct Options;

/// The socket.
#[derive(Debug)]
pub struct RawSocket(Socket);

/// Where a packet came from and was going to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The interface it came in on.
    pub interface: u32,
    /// Its source.
    pub source: IpAddr,
    /// Its destination.
    pub destination: IpAddr,
    /// Its TTL or hop limit.
    pub ttl: u8,
    /// Where in the buffer its payload begins.
    pub payload: usize,
    /// Where it ends.
    pub end: usize,
}

impl RawSocket {
    /// Opens it.
    ///
    /// # Errors
    /// Mostly that CAP_NET_RAW is missing.
    pub fn open() -> io::Result<Self> {
        let socket = Socket::new(
            Domain::IPV4,
            Type::RAW,
            Some(Protocol::from(i32::from(RSVP))),
        )?;
        setsockopt(&socket, RouterAlert, &true)?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        socket.set_header_included_v4(true)?;
        prepare(&socket)?;
        Ok(Self(socket))
    }

    /// Takes a packet into `buffer`. `None` for one that is no use.
    ///
    /// # Errors
    /// `WouldBlock` if there is none.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Arrival>> {
        let (length, _, info) = take_in(&self.0, buffer)?;
        let interface = info.and_then(|info| u32::try_from(info.ipi_ifindex).ok());
        let packet = buffer.get(..length).unwrap_or_default();
        let header = Ipv4HeaderSlice::from_slice(packet).ok();
        Ok(header.zip(interface).map(|(header, interface)| Arrival {
            interface,
            source: header.source_addr().into(),
            destination: header.destination_addr().into(),
            ttl: header.ttl(),
            payload: header.slice().len(),
            end: length,
        }))
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// As of the system: the interface is gone, there is no route, or no room.
    pub fn send(&self, datagram: &Datagram) -> io::Result<()> {
        self.send_packet(datagram, &header(datagram, RSVP, 0)?, &[])
    }

    /// Sends a datagram in UDP, for hosts that take in nothing else.
    ///
    /// # Errors
    /// Like [`send`](Self::send).
    pub fn send_in_udp(&self, datagram: &Datagram) -> io::Result<()> {
        let header = header(datagram, IpNumber::UDP.0, UdpHeader::LEN)?;
        let udp =
            UdpHeader::with_ipv4_checksum(UDP_OF_NODES, UDP_OF_NODES, &header, &datagram.bytes);
        self.send_packet(
            datagram,
            &header,
            &udp.map_err(io::Error::other)?.to_bytes(),
        )
    }

    /// Sends a datagram with these headers.
    fn send_packet(&self, datagram: &Datagram, ip: &Ipv4Header, own: &[u8]) -> io::Result<()> {
        let headers = [&ip.to_bytes()[..], own].concat();
        match send_from(&self.0, datagram, ip, &headers) {
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                send_from(&fragmenting(ip)?, datagram, ip, own)
            }
            sent => sent,
        }
    }
}

/// A socket for one packet that is too long for its link: the kernel puts packets in fragments only
/// if it makes their headers.
fn fragmenting(ip: &Ipv4Header) -> io::Result<Socket> {
    let protocol = Protocol::from(i32::from(ip.protocol.0));
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(protocol))?;
    socket.set_ip_transparent_v4(true)?;
    socket.set_ttl_v4(ip.time_to_live.into())?;
    socket.set_tos_v4(u32::from(ip.dscp.value()) << 2)?;
    if !ip.options.is_empty() {
        setsockopt(&socket, Options, &ROUTER_ALERT)?;
    }
    // After the DSCP, which sets a priority, too.
    prepare(&socket)?;
    Ok(socket)
}

fn send_from(
    socket: &Socket,
    datagram: &Datagram,
    ip: &Ipv4Header,
    headers: &[u8],
) -> io::Result<()> {
    let source = libc::in_addr {
        s_addr: u32::from_ne_bytes(ip.source),
    };
    let info = libc::in_pktinfo {
        ipi_ifindex: i32::try_from(datagram.interface).map_err(io::Error::other)?,
        ipi_spec_dst: source,
        ipi_addr: libc::in_addr { s_addr: 0 },
    };
    let to = SockaddrIn::from(SocketAddrV4::new(ip.destination.into(), 0));
    let parts = [IoSlice::new(headers), IoSlice::new(&datagram.bytes)];
    let control = [ControlMessage::Ipv4PacketInfo(&info)];
    let (socket, flags) = (socket.as_raw_fd(), MsgFlags::empty());
    sendmsg(socket, &parts, &control, flags, Some(&to))?;
    Ok(())
}

/// The IP header of a datagram of a protocol, with a header of its own of so many bytes.
fn header(datagram: &Datagram, protocol: u8, own: usize) -> io::Result<Ipv4Header> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (datagram.source, datagram.destination)
    else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let length = u16::try_from(datagram.bytes.len() + own).map_err(io::Error::other)?;
    let mut header = Ipv4Header::new(
        length,
        datagram.ttl,
        IpNumber(protocol),
        source.octets(),
        destination.octets(),
    )
    .map_err(io::Error::other)?;
    // The longest of them are to go in fragments.
    header.dont_fragment = false;
    header.dscp = NETWORK_CONTROL.try_into().map_err(io::Error::other)?;
    if datagram.router_alert && protocol == RSVP {
        header.options = ROUTER_ALERT.into();
        header.total_len = header.total_len.saturating_add(4);
    }
    header.header_checksum = header.calc_header_checksum();
    Ok(header)
}

/// Takes in what is there: how many bytes, who sent them, and on which interface and to which
/// address they came.
pub(super) fn take_in(
    socket: &Socket,
    buffer: &mut [u8],
) -> io::Result<(usize, Option<Ipv4Addr>, Option<libc::in_pktinfo>)> {
    let mut space = nix::cmsg_space!(libc::in_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let (socket, flags) = (socket.as_raw_fd(), MsgFlags::empty());
    let received = recvmsg::<SockaddrIn>(socket, &mut parts, Some(&mut space), flags)?;
    let info = received.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(info),
        _ => None,
    });
    let source = received.address.map(|source| source.ip());
    Ok((received.bytes, source, info))
}

/// What goes for every socket.
pub(super) fn prepare(socket: &Socket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // A burst of refreshes is to find room; less is no error.
    let _ = socket.set_recv_buffer_size(4 << 20);
    // Messages are not to wait on a full link. Who may not set this has no qdisc here either.
    let _ = socket.set_priority(PASSES_BY);
    Ok(())
}

impl AsRawFd for RawSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_router_alert_where_it_is_wanted() {
        let mut datagram = Datagram {
            interface: 1,
            source: IpAddr::from([10, 0, 0, 7]),
            destination: IpAddr::from([10, 0, 0, 1]),
            ttl: 63,
            router_alert: true,
            bytes: vec![0; 100],
        };
        let made = |datagram: &Datagram, protocol, own| header(datagram, protocol, own).unwrap();
        let bytes = made(&datagram, RSVP, 0).to_bytes();
        let read = Ipv4HeaderSlice::from_slice(&bytes).unwrap();
        assert_eq!((read.ttl(), read.options()), (63, &ROUTER_ALERT[..]));
        assert_eq!((read.total_len(), read.dcp().value()), (124, 48));
        // In UDP it is for the one it is addressed to.
        let in_udp = made(&datagram, 17, UdpHeader::LEN);
        assert_eq!((in_udp.total_len, in_udp.header_len()), (128, 20));
        datagram.router_alert = false;
        assert_eq!(made(&datagram, RSVP, 0).header_len(), 20);
    }
}
