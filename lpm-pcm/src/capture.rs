//! From a capture file to the RSVP messages in it.
//!
//! [`Capture`] reads pcap, pcapng and snoop as a stream, compressed or not: its memory depends
//! neither on the capture's length nor on what the file claims. The road of a packet is the road of
//! the files: `compressed`, `header`, and `records` or `blocks` (the file format) → `frames` →
//! `link` and `layer` (below IP) → `datagram` (IP, UDP; out of a `tunnel` it goes back to `layer`)
//! → `fragments` (reassembly). What brought no message is counted by what it was (`content`).

mod blocks;
mod bounds;
mod bytes;
mod compressed;
mod content;
mod datagram;
mod error;
pub(crate) mod fragments;
mod frames;
mod header;
mod input;
mod interface;
mod layer;
mod link;
mod message;
mod records;
mod rsvp;
mod tunnel;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub use bounds::MAX_BLOCK;
pub use content::Contents;
pub use error::{CaptureError, CaptureErrorKind};
pub use fragments::Incomplete;
pub use link::LinkType;
pub use message::CapturedMessage;

use datagram::Extractor;
use frames::Frames;

/// The name that means standard input where a capture's path is expected.
pub const STDIN: &str = "-";

/// What [`Capture`] yields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaptureItem {
    /// An RSVP message.
    Message(CapturedMessage),
    /// An RSVP message of which fragments are missing. It comes when they are no longer waited for,
    /// so that later packets may have come before it.
    Incomplete(Incomplete),
    /// Something the operator should know that ends nothing, such as an interface whose link layer
    /// cannot be read.
    Notice(String),
}

/// What [`Capture::next_into`] brings.
pub(crate) enum Next {
    /// The message was read into.
    Message,
    Incomplete(Incomplete),
    Notice(String),
}

/// A capture being read: an iterator over its RSVP messages.
///
/// The first error is the last item. Everything that is whole before it has been yielded by then.
pub struct Capture {
    frames: Frames,
    extractor: Extractor,
    /// The error that ended reading, until it is told.
    failure: Option<Box<CaptureError>>,
    at_end: bool,
}

impl Capture {
    /// Opens the file at `path`, or standard input when it is [`STDIN`], and reads its header.
    ///
    /// # Errors
    /// The file cannot be opened or read, is empty, a directory, no capture, or has a link layer
    /// that is not supported.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        Self::open_counted(path, |file| file)
    }

    /// Like [`Capture::open`]; a file is read through what `count` makes of it.
    ///
    /// # Errors
    /// As [`Capture::open`].
    pub fn open_counted<R: Read + Send + 'static>(
        path: &Path,
        count: impl FnOnce(File) -> R,
    ) -> Result<Self, CaptureError> {
        if path.as_os_str() == STDIN {
            return Self::from_reader("standard input", io::stdin());
        }
        let name = path.display().to_string();
        let file = open_file(path).map_err(|kind| CaptureError::new(&name, kind))?;
        Self::from_reader(&name, count(file))
    }

    /// Reads a capture from `reader`; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`Capture::open`], for what was read.
    pub fn from_reader(
        name: &str,
        reader: impl Read + Send + 'static,
    ) -> Result<Self, CaptureError> {
        Ok(Self {
            frames: Frames::new(name, reader)?,
            extractor: Extractor::default(),
            failure: None,
            at_end: false,
        })
    }

    /// Reads on to the next item. A message is put into `message`, whose memory is used again.
    pub(crate) fn next_into(
        &mut self,
        message: &mut CapturedMessage,
    ) -> Option<Result<Next, CaptureError>> {
        loop {
            if let Some(incomplete) = self.extractor.given_up() {
                return Some(Ok(Next::Incomplete(incomplete)));
            }
            if self.at_end {
                return self.failure.take().map(|failure| Err(*failure));
            }
            match self.frames.next() {
                Ok(Some(frame)) => {
                    let found = self.extractor.message(&frame, message);
                    if let Some(notice) = self.frames.take_notice() {
                        return Some(Ok(Next::Notice(notice)));
                    }
                    if found.is_some() {
                        return Some(Ok(Next::Message));
                    }
                }
                end => {
                    self.failure = end.err();
                    self.at_end = true;
                    self.extractor.finish();
                }
            }
        }
    }

    /// The name that stands for the capture in errors.
    #[must_use]
    pub fn name(&self) -> &str {
        self.frames.name()
    }

    /// How many bytes of the capture have been read and understood; of a compressed one, unpacked.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.frames.position()
    }

    /// What has been read so far besides RSVP messages.
    #[must_use]
    pub fn contents(&self) -> Contents {
        self.extractor.contents(self.frames.packets())
    }
}

impl Iterator for Capture {
    type Item = Result<CaptureItem, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut message = CapturedMessage::empty();
        let next = self.next_into(&mut message)?;
        Some(next.map(|next| match next {
            Next::Message => CaptureItem::Message(message),
            Next::Incomplete(incomplete) => CaptureItem::Incomplete(incomplete),
            Next::Notice(notice) => CaptureItem::Notice(notice),
        }))
    }
}

/// Whether the file at `path` can be read without waiting for anything or unpacking: a regular file
/// that is not compressed.
pub(crate) fn is_plain_file(path: &Path) -> bool {
    path.is_file() && !compressed::is_compressed(path)
}

/// Opens a file, and tells a directory from a file on every system.
fn open_file(path: &Path) -> Result<File, CaptureErrorKind> {
    if path.is_dir() {
        return Err(CaptureErrorKind::Directory);
    }
    File::open(path).map_err(CaptureErrorKind::Open)
}
