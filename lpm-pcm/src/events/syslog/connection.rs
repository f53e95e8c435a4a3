//! The road to a syslog daemon.

use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
#[cfg(unix)]
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use crate::config::SyslogAddress;

/// How long connecting, and then sending, may take.
const LIMIT: Duration = Duration::from_secs(2);

/// Where daemons listen on this host.
#[cfg(unix)]
const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// A connection, or what stands for it.
pub(super) enum Connection {
    #[cfg(unix)]
    Unix(UnixDatagram),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Connection {
    /// Connects; without an address, to the daemon of this host.
    pub(super) fn open(address: Option<&SyslogAddress>) -> io::Result<Self> {
        match address {
            None => local(),
            Some(SyslogAddress::Unix(path)) => unix(path),
            Some(SyslogAddress::Udp(host)) => first_of(host, |address| {
                let any: SocketAddr = match address {
                    SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
                    SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                Ok(Self::Udp(socket))
            }),
            Some(SyslogAddress::Tcp(host)) => first_of(host, |address| {
                let stream = TcpStream::connect_timeout(&address, LIMIT)?;
                stream.set_write_timeout(Some(LIMIT))?;
                Ok(Self::Tcp(stream))
            }),
        }
    }

    /// Whether the other side has closed it. What is sent then would be lost without an error.
    pub(super) fn is_closed(&self) -> bool {
        let Self::Tcp(stream) = self else {
            return false;
        };
        let peeked = stream
            .set_nonblocking(true)
            .and_then(|()| stream.peek(&mut [0]))
            .map_err(|error| error.kind());
        let is_open = matches!(peeked, Ok(1..) | Err(ErrorKind::WouldBlock));
        !is_open || stream.set_nonblocking(false).is_err()
    }

    pub(super) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            #[cfg(unix)]
            Self::Unix(socket) => socket.send(message).map(drop),
            Self::Udp(socket) => socket.send(message).map(drop),
            // Framed by octet counting (RFC 6587 §3.4.1).
            Self::Tcp(stream) => {
                let count = format!("{} ", message.len());
                stream.write_all(&[count.as_bytes(), message].concat())
            }
        }
    }
}

#[cfg(unix)]
fn local() -> io::Result<Connection> {
    let mut result = Err(ErrorKind::NotFound.into());
    for path in LOCAL {
        result = unix(Path::new(path));
        if result.is_ok() {
            break;
        }
    }
    result
}

#[cfg(unix)]
fn unix(path: &Path) -> io::Result<Connection> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_write_timeout(Some(LIMIT))?;
    Ok(Connection::Unix(socket))
}

// Configurations that need these are refused.
#[cfg(not(unix))]
fn local() -> io::Result<Connection> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(not(unix))]
fn unix(_: &Path) -> io::Result<Connection> {
    Err(ErrorKind::Unsupported.into())
}

/// Tries the addresses of a host until one works.
fn first_of(
    host: &str,
    connect: impl Fn(SocketAddr) -> io::Result<Connection>,
) -> io::Result<Connection> {
    let mut result = Err(io::Error::new(
        ErrorKind::NotFound,
        "the name has no address",
    ));
    for address in host.to_socket_addrs()? {
        result = connect(address);
        if result.is_ok() {
            break;
        }
    }
    result
}
