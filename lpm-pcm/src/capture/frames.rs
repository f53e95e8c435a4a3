//! The packets of a capture file: from bytes to frames.

use std::io::Read;
use std::net::IpAddr;
use std::time::SystemTime;

use super::blocks::Blocks;
use super::compressed::unpacked;
use super::error::{CaptureError, CaptureErrorKind};
use super::header::{self, Opened};
use super::input::{Input, ReadFailure};
use super::interface::CaptureInterface;
use super::link::LinkType;
use super::records::Records;

/// A frame as it was captured.
pub(super) struct Frame<'a> {
    /// Counted from 1.
    pub(super) number: u64,
    pub(super) time: SystemTime,
    /// The position of the interface in the capture, from 1.
    pub(super) interface: u32,
    pub(super) interface_address: Option<IpAddr>,
    pub(super) link: LinkType,
    /// Whether the file says that the capturing node sent it.
    pub(super) outgoing: bool,
    pub(super) data: &'a [u8],
}

/// The frames of a capture, one after the other.
pub(super) struct Frames {
    name: String,
    source: Source,
    packets: u64,
    /// The packet of a block that was read last.
    data: Vec<u8>,
    /// That frames like the one that was read last cannot be read, if it was the first of its kind.
    notice: Option<String>,
}

enum Source {
    Records {
        records: Records,
        interface: CaptureInterface,
    },
    Blocks(Blocks),
}

impl Frames {
    pub(super) fn new(
        name: &str,
        reader: impl Read + Send + 'static,
    ) -> Result<Self, CaptureError> {
        let source = Source::open(reader).map_err(|kind| CaptureError::new(name, kind))?;
        Ok(Self {
            name: name.to_owned(),
            source,
            packets: 0,
            data: Vec::new(),
            notice: None,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How many packets were read.
    pub(super) fn packets(&self) -> u64 {
        self.packets
    }

    pub(super) fn position(&self) -> u64 {
        match &self.source {
            Source::Records { records, .. } => records.position(),
            Source::Blocks(blocks) => blocks.position(),
        }
    }

    /// What there is to tell of the frame that was read last.
    #[inline]
    pub(super) fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }

    /// The next frame; `None` at the end of the file.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Frame<'_>>, Box<CaptureError>> {
        let next = match &mut self.source {
            Source::Records { records, .. } => records.next(),
            Source::Blocks(blocks) => blocks.next(&mut self.data),
        };
        let header = match next {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(None),
            Err(kind) => return Err(Box::new(CaptureError::new(&self.name, *kind))),
        };
        self.packets += 1;
        let described = match &mut self.source {
            Source::Records { interface, .. } => interface,
            Source::Blocks(blocks) => blocks.interface(header.interface),
        };
        let interface = u32::try_from(header.interface).unwrap_or(u32::MAX - 1) + 1;
        if !described.link.is_supported() && !described.reported {
            described.reported = true;
            self.notice = Some(not_supported(&self.name, interface, described.link));
        }
        let (interface_address, link) = (described.address, described.link);
        Ok(Some(Frame {
            number: self.packets,
            time: header.time,
            interface,
            interface_address,
            link,
            outgoing: header.outgoing,
            data: match &self.source {
                Source::Records { records, .. } => records.data(),
                Source::Blocks(_) => &self.data,
            },
        }))
    }
}

#[cold]
fn not_supported(capture: &str, interface: u32, link: LinkType) -> String {
    format!(
        "{capture}: the packets of interface {interface} are skipped: link type {link} is not supported"
    )
}

impl Source {
    fn open(reader: impl Read + Send + 'static) -> Result<Self, CaptureErrorKind> {
        let failure = ReadFailure::default();
        match header::open(Input::new(unpacked(reader), failure.clone()))? {
            Opened::Records {
                input,
                format,
                header,
            } => {
                let Some(interface) = format.interface(&header) else {
                    return Err(CaptureErrorKind::Damaged {
                        start: 0,
                        what: "a header with lengths that do not fit together".to_owned(),
                        packets: 0,
                    });
                };
                if !interface.link.is_supported() {
                    return Err(CaptureErrorKind::LinkType(interface.link));
                }
                let records = Records::new(input, format, interface.clock);
                Ok(Self::Records { records, interface })
            }
            Opened::Blocks { reader, big_endian } => {
                Ok(Self::Blocks(Blocks::new(reader, big_endian, failure)))
            }
        }
    }
}
