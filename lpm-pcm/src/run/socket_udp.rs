//! RSVP in UDP, for hosts that cannot send a protocol of IP by themselves (RFC 2205, appendix C):
//! what they send to port 1698 of this node, or of all on their link, comes in here. What goes out
//! on such a link goes to port 1699 of whom it is for, too, through the raw socket, since a Path
//! goes on in the name of its sender. IPv4 only, as the appendix is.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, RawFd};

use lpm_rsvp::{Message, MessageType, ObjectIndex};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::netlink::Link;
use super::socket::{Arrival, prepare, take_in};

/// What hosts send to: Pu.
const PORT: u16 = 1698;
/// All nodes of a link that take in what hosts send in UDP: G*.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 14);

/// Where Send_TTL is in a message.
const SEND_TTL: usize = 4;

/// The socket of one link.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
    interface: u32,
}

impl UdpSocket {
    /// Opens it.
    ///
    /// # Errors
    /// As of the system: the port is taken, or the link is gone.
    pub fn open(link: &Link) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        let interface = link.interface.index;
        socket.bind_device(Some(link.name.as_bytes()))?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT).into())?;
        socket.join_multicast_v4_n(&GROUP, &InterfaceIndexOrAddress::Index(interface))?;
        prepare(&socket)?;
        Ok(Self { socket, interface })
    }

    /// The link that it is for.
    #[must_use]
    pub const fn interface(&self) -> u32 {
        self.interface
    }

    /// Takes a message into `buffer`. `None` for one that is no use.
    ///
    /// # Errors
    /// `WouldBlock` if there is none.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Arrival>> {
        let (length, source, info) = take_in(&self.socket, buffer)?;
        let bytes = buffer.get(..length).unwrap_or_default();
        let (Some(source), Some(info)) = (source, info) else {
            return Ok(None);
        };
        let own = Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr));
        Ok(Some(Arrival {
            interface: self.interface,
            source: source.into(),
            destination: meant_for(bytes).unwrap_or(own.into()),
            // Appendix C has it from there, not from the datagram.
            ttl: bytes.get(SEND_TTL).copied().unwrap_or_default(),
            payload: 0,
            end: length,
        }))
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Whom a message would be addressed to outside of UDP, where that is not the next node: a host
/// sends its Path to the router, and means the destination of its session.
fn meant_for(bytes: &[u8]) -> Option<IpAddr> {
    let mut index = ObjectIndex::new();
    let message = Message::parse(bytes, &mut index).ok()?;
    let goes_on = matches!(
        message.message_type(),
        MessageType::Path | MessageType::PathTear
    );
    let session = message.session().filter(|_| goes_on)?;
    Some(session.address())
}
