//! A connection to a directory server, with a guard in front of the LDAP crate.
//!
//! The LDAP crate gets one end of a pair of sockets. Between the other end and the server is a task
//! that lets through what [`Frames`] finds in order, and closes the connection at the first message
//! that is not. TLS is below the guard, so that it sees what the crate sees.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use ldap3::StdStream;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use url::Url;

use super::frames::{BadFrame, Frames};
use crate::tls::{self, Stream, TlsError};

/// The request to go on with TLS: message 1, ExtendedRequest `1.3.6.1.4.1.1466.20037` (RFC 4511
/// section 4.14).
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// The beginning of an answer that agrees: an ExtendedResponse with the result 0.
const AGREED: (&[u8], &[u8]) = (&[0x78], &[0x0a, 0x01, 0x00]);

/// Why there is no connection to a server.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoWay {
    #[error("{0}")]
    Url(#[from] url::ParseError),
    #[error("it has no host")]
    NoHost,
    #[error("no connection: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Tls(#[from] TlsError),
    #[error("{0}")]
    Frame(#[from] BadFrame),
    #[error("the server does not go on with TLS")]
    NoStartTls,
}

/// The task between the server and the LDAP crate.
#[derive(Debug)]
pub(super) struct Guard {
    /// Why it closed the connection.
    fault: Arc<OnceLock<BadFrame>>,
    pub(super) task: JoinHandle<()>,
}

impl Guard {
    /// Why the server is not listened to any more, if it was that.
    pub(super) fn fault(&self) -> Option<BadFrame> {
        self.fault.get().copied()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Connects to a server; the stream is for the LDAP crate, with the URL that it takes.
pub(super) async fn connect(
    url: &str,
    start_tls: bool,
    ca_file: Option<&Path>,
) -> Result<(StdStream, &'static str, Guard), NoWay> {
    let server = dial(&Url::parse(url)?, start_tls, ca_file).await?;
    let (for_crate, ours, as_url) = pair().await?;
    let fault = Arc::new(OnceLock::new());
    let noted = Arc::clone(&fault);
    let task = tokio::spawn(async move {
        if let Err(Some(bad)) = carry(server, ours).await {
            let _ = noted.set(bad);
        }
    });
    Ok((for_crate, as_url, Guard { fault, task }))
}

/// The way to the server, in TLS where that is wanted.
async fn dial(url: &Url, start_tls: bool, ca_file: Option<&Path>) -> Result<Stream, NoWay> {
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or(NoWay::NoHost)?;
    if url.scheme() == "ldapi" {
        return local(&percent_decode_str(host).decode_utf8_lossy()).await;
    }
    let is_tls = url.scheme() == "ldaps";
    let port = url.port().unwrap_or(if is_tls { 636 } else { 389 });
    let mut stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    stream.set_nodelay(true)?;
    if start_tls && !is_tls {
        self::start_tls(&mut stream).await?;
    }
    if start_tls || is_tls {
        return Ok(Box::new(tls::secured(stream, host, ca_file).await?));
    }
    Ok(Box::new(stream))
}

#[cfg(unix)]
async fn local(path: &str) -> Result<Stream, NoWay> {
    Ok(Box::new(tokio::net::UnixStream::connect(path).await?))
}

#[cfg(not(unix))]
async fn local(_: &str) -> Result<Stream, NoWay> {
    Err(io::Error::from(io::ErrorKind::Unsupported).into())
}

/// Agrees on TLS. What comes before TLS begins must be this one answer: anybody could have sent
/// more.
async fn start_tls(stream: &mut TcpStream) -> Result<(), NoWay> {
    stream.write_all(START_TLS).await?;
    let mut frames = Frames::default();
    let mut buffer = [0; 4096];
    let answer = loop {
        if let Some(answer) = frames.next()? {
            break answer;
        }
        match stream.read(&mut buffer).await? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            read => frames.push(&buffer[..read]),
        }
    };
    let has = |part: &[u8]| answer.windows(part.len()).any(|it| it == part);
    if has(AGREED.0) && has(AGREED.1) && frames.is_empty() {
        Ok(())
    } else {
        Err(NoWay::NoStartTls)
    }
}

/// Carries bytes both ways until one side ends. `Err` with a reason where the server is not
/// listened to any more.
async fn carry(
    server: Stream,
    ours: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
) -> Result<(), Option<BadFrame>> {
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut from_crate, mut to_crate) = tokio::io::split(ours);
    let up = async {
        tokio::io::copy(&mut from_crate, &mut to_server)
            .await
            .map_err(|_| None)?;
        to_server.shutdown().await.map_err(|_| None)
    };
    let down = async {
        let mut frames = Frames::default();
        let mut buffer = vec![0; 16 << 10];
        loop {
            let read = from_server.read(&mut buffer).await.map_err(|_| None)?;
            if read == 0 {
                return Ok(());
            }
            frames.push(&buffer[..read]);
            while let Some(message) = frames.next().map_err(Some)? {
                to_crate.write_all(&message).await.map_err(|_| None)?;
            }
        }
    };
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}

/// Two sockets that are connected to each other: for the LDAP crate, with the URL that it takes for
/// one of its kind, and for the guard.
#[cfg(unix)]
#[expect(clippy::unused_async, reason = "elsewhere it takes a moment")]
async fn pair() -> io::Result<(StdStream, tokio::net::UnixStream, &'static str)> {
    let (for_crate, ours) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let ours = tokio::net::UnixStream::from_std(ours)?;
    Ok((StdStream::Unix(for_crate), ours, "ldapi://guard"))
}

/// On loopback, since there are no pairs; nobody else's connection is taken for ours.
#[cfg(not(unix))]
async fn pair() -> io::Result<(StdStream, TcpStream, &'static str)> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let ours = TcpStream::connect(listener.local_addr()?).await?;
    loop {
        let (accepted, peer) = listener.accept().await?;
        if peer == ours.local_addr()? {
            return Ok((StdStream::Tcp(accepted.into_std()?), ours, "ldap://guard"));
        }
    }
}
