//! All sockets that RSVP messages come in on and go out by.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::task::{Context, Poll};
use std::time::SystemTime;

use lpm_sbm::Datagram;
use tokio::io::unix::AsyncFd;

use super::netlink::Link;
use super::socket::{Arrival, RawSocket};
use super::socket_udp::UdpSocket;
use super::socket6::{AlertSocket6, RawSocket6};
use crate::capture::Incomplete;

/// The longest packet.
const LONGEST: usize = 65_535 + 40;
/// How many packets of a socket are taken in before anything else gets its turn.
const BURST: usize = 64;

/// The sockets.
pub struct Sockets {
    all: Vec<AsyncFd<Socket>>,
    buffer: Vec<u8>,
}

/// A message that came in.
#[derive(Debug)]
pub struct Incoming {
    /// Where from.
    pub arrival: Arrival,
    /// The RSVP message.
    pub bytes: Vec<u8>,
}

enum Socket {
    V4(RawSocket),
    V6(RawSocket6),
    Alert6(AlertSocket6),
    Udp(UdpSocket),
}

impl Sockets {
    /// Opens them, inside a tokio runtime. Those for IPv6 are left out where the kernel has none.
    ///
    /// # Errors
    /// Mostly that CAP_NET_RAW is missing.
    pub fn open() -> io::Result<Self> {
        let mut all = vec![watched(Socket::V4(RawSocket::open()?))?];
        match RawSocket6::open() {
            Ok(socket) => {
                all.push(watched(Socket::V6(socket))?);
                all.push(watched(Socket::Alert6(AlertSocket6::open()?))?);
            }
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {}
            Err(error) => return Err(error),
        }
        Ok(Self {
            all,
            buffer: vec![0; LONGEST],
        })
    }

    /// Waits for messages: those that are there. May be dropped while it waits, and nothing is
    /// lost.
    ///
    /// # Errors
    /// The system can wait no more.
    pub async fn receive(&mut self) -> io::Result<Vec<Incoming>> {
        let Self { all, buffer } = self;
        poll_fn(|context| {
            let mut incoming = Vec::new();
            for socket in all.iter_mut() {
                take(socket, context, buffer, &mut incoming)?;
            }
            if incoming.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(Ok(incoming))
            }
        })
        .await
    }

    /// A message that came in fragments of which some are missing, and are no longer waited for;
    /// each is told once.
    pub fn given_up(&mut self, now: SystemTime) -> Option<Incomplete> {
        let mut sockets = self.all.iter_mut().map(AsyncFd::get_mut);
        sockets.find_map(|socket| match socket {
            Socket::Alert6(socket) => socket.given_up(now),
            _ => None,
        })
    }

    /// Speaks UDP, too, on these links, and on no others.
    ///
    /// # Errors
    /// As of the system, for the first link on which that cannot be; the others are served.
    pub fn speak_udp<'a>(&mut self, links: impl Iterator<Item = &'a Link>) -> io::Result<()> {
        let links: Vec<_> = links.collect();
        let has = |interface| links.iter().any(|link| link.interface.index == interface);
        self.all.retain(
            |socket| !matches!(socket.get_ref(), Socket::Udp(udp) if !has(udp.interface())),
        );
        let mut result = Ok(());
        for link in links {
            if !self.speaks_udp(link.interface.index) {
                let opened = UdpSocket::open(link).and_then(|socket| watched(Socket::Udp(socket)));
                match opened {
                    Ok(socket) => self.all.push(socket),
                    Err(error) => result = result.and(Err(error)),
                }
            }
        }
        result
    }

    fn speaks_udp(&self, interface: u32) -> bool {
        let mut sockets = self.all.iter().map(AsyncFd::get_ref);
        sockets.any(|socket| matches!(socket, Socket::Udp(udp) if udp.interface() == interface))
    }

    /// Sends a datagram, in UDP, too, where that is spoken.
    ///
    /// # Errors
    /// As of the system: the interface is gone, there is no route, or no room.
    pub fn send(&self, datagram: &Datagram) -> io::Result<()> {
        let in_udp = self.speaks_udp(datagram.interface);
        let mut sockets = self.all.iter().map(AsyncFd::get_ref);
        let sent = sockets.find_map(|socket| match (socket, datagram.destination) {
            (Socket::V4(socket), IpAddr::V4(_)) => Some(match in_udp {
                true => socket.send(datagram).and(socket.send_in_udp(datagram)),
                false => socket.send(datagram),
            }),
            (Socket::V6(socket), IpAddr::V6(_)) => Some(socket.send(datagram)),
            _ => None,
        });
        sent.unwrap_or_else(|| Err(io::ErrorKind::Unsupported.into()))
    }
}

/// Takes in what is there on a socket; where nothing is, has the task woken up once something is.
fn take(
    socket: &mut AsyncFd<Socket>,
    context: &mut Context<'_>,
    buffer: &mut [u8],
    incoming: &mut Vec<Incoming>,
) -> io::Result<()> {
    for _ in 0..BURST {
        let Poll::Ready(ready) = socket.poll_read_ready_mut(context) else {
            return Ok(());
        };
        let received = ready?.try_io(|socket| socket.get_mut().receive(buffer));
        if let Ok(Ok(Some(arrival))) = received {
            let bytes = buffer.get(arrival.payload..arrival.end);
            let bytes = bytes.unwrap_or_default().to_vec();
            incoming.push(Incoming { arrival, bytes });
        }
    }
    // There may be more.
    context.waker().wake_by_ref();
    Ok(())
}

/// Has the loop say when there is something to read.
#[allow(
    deprecated,
    reason = "its successor is unsafe, since a type may lie about its descriptor; these own theirs"
)]
pub(super) fn watched<T: AsRawFd>(source: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::new(source)
}

impl Socket {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<Arrival>> {
        match self {
            Self::V4(socket) => socket.receive(buffer),
            Self::V6(socket) => socket.receive(buffer),
            Self::Alert6(socket) => socket.receive(buffer),
            Self::Udp(socket) => socket.receive(buffer),
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::V4(socket) => socket.as_raw_fd(),
            Self::V6(socket) => socket.as_raw_fd(),
            Self::Alert6(socket) => socket.as_raw_fd(),
            Self::Udp(socket) => socket.as_raw_fd(),
        }
    }
}
