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
    /// Set when the frame cannot be read and this is the first of its kind.
    pub(super) notice: Option<String>,
}

/// The frames of a capture, one after the other.
pub(super) struct Frames {
    name: String,
    source: Source,
    packets: u64,
    /// The packet of a block that was read last.
    data: Vec<u8>,
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

    /// The next frame; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        let next = match &mut self.source {
            Source::Records { records, .. } => records.next(),
            Source::Blocks(blocks) => blocks.next(&mut self.data),
        };
        let Some(header) = next.map_err(|kind| CaptureError::new(&self.name, kind))? else {
            return Ok(None);
        };
        self.packets += 1;
        let described = match &mut self.source {
            Source::Records { interface, .. } => interface,
            Source::Blocks(blocks) => blocks.interface(header.interface),
        };
        let interface = u32::try_from(header.interface).unwrap_or(u32::MAX - 1) + 1;
        let notice = (!described.link.is_supported() && !described.reported).then(|| {
            described.reported = true;
            format!(
                "{}: the packets of interface {interface} are skipped: link type {} is not supported",
                self.name, described.link
            )
        });
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
            notice,
        }))
    }
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
