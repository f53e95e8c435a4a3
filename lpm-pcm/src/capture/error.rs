//! What can be wrong with a capture, as opposed to a message in it.

use std::io;

use thiserror::Error;

use super::bounds::MAX_BLOCK;
use super::link::LinkType;

/// A capture cannot be read, or not to its end.
#[derive(Debug, Error)]
#[error("{capture}: {kind}")]
#[non_exhaustive]
pub struct CaptureError {
    /// The capture: its path as given, or `standard input`.
    pub capture: String,
    /// What is wrong.
    #[source]
    pub kind: CaptureErrorKind,
}

impl CaptureError {
    pub(super) fn new(capture: &str, kind: CaptureErrorKind) -> Self {
        Self {
            capture: capture.to_owned(),
            kind,
        }
    }
}

/// What is wrong with a capture. Offsets count bytes from the start of the file; packets count
/// from 1.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaptureErrorKind {
    /// The file cannot be opened.
    #[error("cannot be opened: {0}")]
    Open(#[source] io::Error),
    /// A directory where a file is expected.
    #[error("is a directory, not a capture file")]
    Directory,
    /// Not a single byte.
    #[error("is empty, not a capture file")]
    Empty,
    /// The first bytes are those of no capture format.
    #[error("is not a capture file (pcap, pcapng or snoop): it starts with {found}{hint}")]
    NotACapture {
        /// The first bytes, in hexadecimal.
        found: String,
        /// What to do, where the first bytes tell.
        hint: &'static str,
    },
    /// Packets of a link layer that is not read.
    #[error("has link type {0}, which is not supported ({supported})", supported = LinkType::SUPPORTED)]
    LinkType(LinkType),
    /// The file ends within a packet or block.
    #[error(
        "is cut off: it ends at offset {end}, within the {unit} that starts at offset {start} \
         (after packet {packets})"
    )]
    Truncated {
        /// Where the unfinished packet or block starts.
        start: u64,
        /// The length of the file.
        end: u64,
        /// What is unfinished.
        unit: &'static str,
        /// How many packets before it are whole.
        packets: u64,
    },
    /// A packet or block larger than any real one: the file is damaged.
    #[error(
        "is damaged at offset {start} (after packet {packets}): a {unit} of {length} bytes, \
         the limit is {limit}",
        limit = MAX_BLOCK
    )]
    TooLarge {
        /// Where the packet or block starts.
        start: u64,
        /// The length it claims.
        length: u64,
        /// What it is.
        unit: &'static str,
        /// How many packets before it are whole.
        packets: u64,
    },
    /// A block that contradicts itself or those before it.
    #[error("is damaged at offset {start} (after packet {packets}): {what}")]
    Damaged {
        /// Where the block starts.
        start: u64,
        /// What is wrong with it.
        what: String,
        /// How many packets before it are whole.
        packets: u64,
    },
    /// The operating system reports an error while reading.
    #[error("cannot be read at offset {offset}: {source}")]
    Read {
        /// How far reading came.
        offset: u64,
        /// What the operating system says.
        source: io::Error,
    },
}
