//! Asking the kernel over netlink: interfaces, addresses, routes. It answers while the request is
//! being sent, so nothing here waits.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};

use lpm_api::AddressRow;
use lpm_sbm::{NodeInterface, Route, Routes};
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// Changes of links, addresses and routes (RTNLGRP_* of linux/rtnetlink.h).
const LINK: u32 = 1;
const IPV4_ADDRESS: u32 = 5;
const IPV4_ROUTE: u32 = 7;
const IPV6_ADDRESS: u32 = 9;
const IPV6_ROUTE: u32 = 11;

/// A connection to the kernel.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    sequence: u32,
}

/// An interface of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// What a node knows of it.
    pub interface: NodeInterface,
    /// Lengths of the prefixes of its addresses, in their order.
    pub prefix_lengths: Vec<u8>,
}

impl Netlink {
    /// Connects.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn connect() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// Has the kernel do something, and gives back what it says.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn request(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        request.header.sequence_number = self.sequence;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let mut answers = Vec::new();
        loop {
            let (received, _) = self.socket.recv_from_full()?;
            let mut rest = &received[..];
            while !rest.is_empty() {
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest);
                let answer = answer.map_err(io::Error::other)?;
                let length = usize::try_from(answer.header.length).unwrap_or(usize::MAX);
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                match answer.payload {
                    NetlinkPayload::InnerMessage(message) => answers.push(message),
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Error(error) => match error.code {
                        None => return Ok(answers),
                        Some(_) => return Err(error.to_io()),
                    },
                    _ => {}
                }
            }
        }
    }

    /// The interfaces that are up, but for the loopback, with their addresses.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        let links = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let mut found = BTreeMap::new();
        for answer in self.request(links, NLM_F_DUMP)? {
            let RouteNetlinkMessage::NewLink(link) = answer else {
                continue;
            };
            let flags = link.header.flags;
            if !flags.contains(LinkFlags::Up) || flags.contains(LinkFlags::Loopback) {
                continue;
            }
            let mut link_found = Link {
                name: String::new(),
                interface: NodeInterface {
                    index: link.header.index,
                    addresses: Vec::new(),
                    mtu: 1500,
                },
                prefix_lengths: Vec::new(),
            };
            for attribute in link.attributes {
                match attribute {
                    LinkAttribute::IfName(name) => link_found.name = name,
                    LinkAttribute::Mtu(mtu) => link_found.interface.mtu = mtu,
                    _ => {}
                }
            }
            found.insert(link.header.index, link_found);
        }
        let addresses = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        for answer in self.request(addresses, NLM_F_DUMP)? {
            let RouteNetlinkMessage::NewAddress(address) = answer else {
                continue;
            };
            let (mut local, mut other) = (None, None);
            for attribute in &address.attributes {
                match attribute {
                    AddressAttribute::Local(address) => local = Some(*address),
                    AddressAttribute::Address(address) => other = Some(*address),
                    _ => {}
                }
            }
            // On a point-to-point link the other one is the peer's.
            let own = local.or(other);
            if let Some((link, own)) = found.get_mut(&address.header.index).zip(own) {
                link.interface.addresses.push(own);
                link.prefix_lengths.push(address.header.prefix_len);
            }
        }
        Ok(found.into_values().collect())
    }
}

impl Link {
    /// Its addresses, as LPMs are told them.
    pub fn rows(&self) -> impl Iterator<Item = AddressRow> + use<'_> {
        let addresses = self.interface.addresses.iter().zip(&self.prefix_lengths);
        addresses.map(|(address, prefix_length)| AddressRow {
            interface_index: self.interface.index,
            media_type: 0,
            address: *address,
            prefix_length: *prefix_length,
        })
    }
}

impl Routes for Netlink {
    fn route(&mut self, destination: IpAddr, _: IpAddr) -> Option<Route> {
        // The kernel names the interface of its own packets to a group, which is none of a
        // router's.
        if destination.is_multicast() {
            return None;
        }
        let mut route = RouteMessage::default();
        let (family, length, address) = match destination {
            IpAddr::V4(address) => (AddressFamily::Inet, 32, RouteAddress::Inet(address)),
            IpAddr::V6(address) => (AddressFamily::Inet6, 128, RouteAddress::Inet6(address)),
        };
        route.header.address_family = family;
        route.header.destination_prefix_length = length;
        route.attributes.push(RouteAttribute::Destination(address));
        let answers = self.request(RouteNetlinkMessage::GetRoute(route), NLM_F_ACK);
        // There is no way there.
        let answers = answers.ok()?;
        answers.into_iter().find_map(|answer| {
            let RouteNetlinkMessage::NewRoute(route) = answer else {
                return None;
            };
            match route.header.kind {
                RouteType::Local => return Some(Route::Local),
                RouteType::BlackHole | RouteType::Unreachable | RouteType::Prohibit => return None,
                _ => {}
            }
            let mut attributes = route.attributes.iter();
            attributes.find_map(|attribute| match attribute {
                RouteAttribute::Oif(interface) => Some(Route::Out(*interface)),
                _ => None,
            })
        })
    }
}

/// What says that links, addresses or routes have changed.
#[derive(Debug)]
pub struct Changes(Socket);

impl Changes {
    /// Listens from now on.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn listen() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        for group in [LINK, IPV4_ADDRESS, IPV4_ROUTE, IPV6_ADDRESS, IPV6_ROUTE] {
            socket.add_membership(group)?;
        }
        socket.set_non_blocking(true)?;
        Ok(Self(socket))
    }

    /// Reads all that is there. What has changed is asked for anew anyway.
    ///
    /// # Errors
    /// `WouldBlock` once nothing is there.
    pub fn read(&self) -> io::Result<()> {
        match self.0.recv_from_full() {
            Ok(_) => Ok(()),
            // Some were lost; that there were some is known.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl AsRawFd for Changes {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
