//! From a capture file to the RSVP messages in it.
//!
//! [`Capture`] reads pcap and pcapng as a stream: its memory depends neither on the capture's
//! length nor on what the file claims. The road of a packet is the road of the files:
//! `header` and `frames` (the file format) → `link` (the link layer) → `datagram` (IP, UDP) →
//! `fragments` (reassembly).

mod bounds;
mod datagram;
mod error;
mod fragments;
mod frames;
mod header;
mod input;
mod interface;
mod link;

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::SystemTime;

pub use bounds::MAX_BLOCK;
pub use error::{CaptureError, CaptureErrorKind};
pub use link::LinkType;

use datagram::Extractor;
use frames::Frames;

/// The name that means standard input where a capture's path is expected.
pub const STDIN: &str = "-";

/// An RSVP message as it was captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedMessage {
    /// The packet that carried it (the one that completed it, when it came in fragments), counted
    /// from 1 within its capture, as Wireshark counts.
    pub packet: u64,
    /// When that packet was captured; the Unix epoch when the capture does not say.
    pub time: SystemTime,
    /// The interface it was captured on: the SNMP ifIndex where the capture knows it (Linux cooked
    /// v2), else the position of the interface in the capture, from 1.
    pub interface: u32,
    /// The address of that interface, where the capture states it (pcapng).
    pub interface_address: Option<IpAddr>,
    /// IP source address.
    pub source: IpAddr,
    /// IP destination address.
    pub destination: IpAddr,
    /// The message in network order: the payload of the IP datagram or of the UDP encapsulation
    /// (RFC 2205, appendix C); at most 65536 bytes, which is one too many.
    pub bytes: Vec<u8>,
    /// How many bytes more were sent, at least, than the capture kept: 0 for a whole message.
    pub missing: usize,
}

impl CapturedMessage {
    /// An empty one, to be read into.
    pub(crate) fn empty() -> CapturedMessage {
        CapturedMessage {
            packet: 0,
            time: SystemTime::UNIX_EPOCH,
            interface: 0,
            interface_address: None,
            source: Ipv4Addr::UNSPECIFIED.into(),
            destination: Ipv4Addr::UNSPECIFIED.into(),
            bytes: Vec::new(),
            missing: 0,
        }
    }
}

/// What [`Capture`] yields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaptureItem {
    /// An RSVP message.
    Message(CapturedMessage),
    /// Something the operator should know that ends nothing, such as an interface whose link layer
    /// cannot be read.
    Notice(String),
}

/// A capture being read: an iterator over its RSVP messages.
///
/// The first error is the last item. Everything that is whole before it has been yielded by then.
pub struct Capture {
    frames: Frames,
    extractor: Extractor,
    done: bool,
}

impl Capture {
    /// Opens the file at `path`, or standard input when it is [`STDIN`], and reads its header.
    ///
    /// # Errors
    /// The file cannot be opened or read, is empty, a directory, no pcap or pcapng file, or has a
    /// link layer that is not supported.
    pub fn open(path: &Path) -> Result<Capture, CaptureError> {
        Capture::open_counted(path, |file| file)
    }

    /// Like [`Capture::open`]; a file is read through what `count` makes of it.
    ///
    /// # Errors
    /// As [`Capture::open`].
    pub fn open_counted<R: Read + Send + 'static>(
        path: &Path,
        count: impl FnOnce(File) -> R,
    ) -> Result<Capture, CaptureError> {
        if path.as_os_str() == STDIN {
            return Capture::from_reader("standard input", io::stdin());
        }
        let name = path.display().to_string();
        let file = open_file(path).map_err(|kind| CaptureError::new(&name, kind))?;
        Capture::from_reader(&name, count(file))
    }

    /// Reads a capture from `reader`; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`Capture::open`], for what was read.
    pub fn from_reader(
        name: &str,
        reader: impl Read + Send + 'static,
    ) -> Result<Capture, CaptureError> {
        Ok(Capture {
            frames: Frames::new(name, reader)?,
            extractor: Extractor::default(),
            done: false,
        })
    }

    /// Reads on to the next item. A message is put into `message`, whose memory is used again; `None` stands for
    /// it then.
    pub(crate) fn next_into(
        &mut self,
        message: &mut CapturedMessage,
    ) -> Option<Result<Option<String>, CaptureError>> {
        while !self.done {
            match self.frames.next() {
                Ok(Some(frame)) => {
                    if frame.notice.is_some() {
                        return Some(Ok(frame.notice));
                    }
                    if self.extractor.message(&frame, message).is_some() {
                        return Some(Ok(None));
                    }
                }
                Ok(None) => return self.finish().map(|notice| Ok(Some(notice))),
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    /// How many bytes of the file have been read and understood.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.frames.position()
    }

    fn finish(&mut self) -> Option<String> {
        self.done = true;
        let incomplete = self.extractor.incomplete();
        (incomplete > 0).then(|| {
            format!(
                "{}: {incomplete} fragmented RSVP message(s) not decided: fragments are missing",
                self.frames.name()
            )
        })
    }
}

impl Iterator for Capture {
    type Item = Result<CaptureItem, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut message = CapturedMessage::empty();
        let next = self.next_into(&mut message)?;
        Some(next.map(|notice| match notice {
            Some(notice) => CaptureItem::Notice(notice),
            None => CaptureItem::Message(message),
        }))
    }
}

/// Opens a file, and tells a directory from a file on every system.
fn open_file(path: &Path) -> Result<File, CaptureErrorKind> {
    if path.is_dir() {
        return Err(CaptureErrorKind::Directory);
    }
    File::open(path).map_err(CaptureErrorKind::Open)
}
