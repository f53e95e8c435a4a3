//! The packets of a pcap or pcapng file: from bytes to frames.

use std::io::Read;
use std::net::IpAddr;
use std::time::SystemTime;

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, PcapBlockOwned, PcapError};

use super::bounds::{BUFFER, MAX_BLOCK, MAX_INTERFACES};
use super::error::{CaptureError, CaptureErrorKind};
use super::header::{self, Format, Opened, is_big_endian, read_u32};
use super::input::{Input, ReadFailure};
use super::interface::CaptureInterface;
use super::link::LinkType;

/// A frame as it was captured.
pub(super) struct Frame<'a> {
    /// Counted from 1.
    pub(super) number: u64,
    pub(super) time: SystemTime,
    /// The position of the interface in the capture, from 1.
    pub(super) interface: u32,
    pub(super) interface_address: Option<IpAddr>,
    pub(super) link: LinkType,
    pub(super) data: &'a [u8],
    /// Set instead of `data` when the frame cannot be read and this is the first of its kind.
    pub(super) notice: Option<String>,
}

/// The frames of a capture, one after the other.
pub(super) struct Frames {
    name: String,
    reader: Box<dyn PcapReaderIterator + Send>,
    format: Format,
    big_endian: bool,
    interfaces: Vec<CaptureInterface>,
    packets: u64,
    offset: u64,
    failure: ReadFailure,
    /// The packet that was read last.
    data: Vec<u8>,
}

/// What one step of the reader brought, free of borrows from its buffer.
enum Step {
    /// A block without a packet, of this length.
    Skip(usize),
    Packet {
        length: usize,
        interface: usize,
        time: SystemTime,
    },
    More,
    End,
    Damaged(String),
}

impl Frames {
    pub(super) fn new(
        name: &str,
        reader: impl Read + Send + 'static,
    ) -> Result<Frames, CaptureError> {
        let failure = ReadFailure::default();
        let opened = header::open(Input::new(reader, failure.clone()))
            .map_err(|kind| CaptureError::new(name, kind))?;
        let Opened {
            reader,
            format,
            big_endian,
        } = opened;
        let mut frames = Frames {
            name: name.to_owned(),
            reader,
            format,
            big_endian,
            interfaces: Vec::new(),
            packets: 0,
            offset: 0,
            failure,
            data: Vec::new(),
        };
        // The file header is the first block that the reader of pcap yields; pcapng may have any
        // number of blocks before its first packet.
        if let (Format::Pcap { .. }, Step::Skip(length)) = (format, frames.step()) {
            frames.consume(length);
            let link = frames.interfaces[0].link;
            if !link.is_supported() {
                return Err(frames.error(CaptureErrorKind::LinkType(link)));
            }
        }
        Ok(frames)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn position(&self) -> u64 {
        self.offset
    }

    /// The next frame; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        loop {
            match self.step() {
                Step::Skip(length) => self.consume(length),
                Step::Packet {
                    length,
                    interface,
                    time,
                } => {
                    self.consume(length);
                    self.packets += 1;
                    return Ok(Some(self.frame(interface, time)));
                }
                Step::More => self.read_more().map_err(|kind| self.error(kind))?,
                Step::End => return Ok(None),
                Step::Damaged(what) => {
                    return Err(self.error(CaptureErrorKind::Damaged {
                        start: self.offset,
                        what,
                        packets: self.packets,
                    }));
                }
            }
        }
    }

    fn frame(&mut self, interface: usize, time: SystemTime) -> Frame<'_> {
        let index = u32::try_from(interface).map_or(u32::MAX, |index| index.saturating_add(1));
        let described = &mut self.interfaces[interface];
        let supported = described.link.is_supported();
        let notice = (!supported && !described.reported).then(|| {
            described.reported = true;
            format!(
                "{}: the packets of interface {index} are skipped: link type {} is not supported",
                self.name, described.link
            )
        });
        Frame {
            number: self.packets,
            time,
            interface: index,
            interface_address: described.address,
            link: described.link,
            data: if supported { &self.data } else { &[] },
            notice,
        }
    }

    /// Looks at the next block without consuming it; a packet's bytes are copied to `self.data`.
    fn step(&mut self) -> Step {
        match self.reader.next() {
            Ok((length, block)) => match block {
                PcapBlockOwned::LegacyHeader(header) => {
                    self.interfaces.push(CaptureInterface::of_file(&header));
                    Step::Skip(length)
                }
                PcapBlockOwned::Legacy(packet) => {
                    packet.data.clone_into(&mut self.data);
                    let clock = self.interfaces[0].clock;
                    Step::Packet {
                        length,
                        interface: 0,
                        time: clock.of_parts(packet.ts_sec, packet.ts_usec),
                    }
                }
                PcapBlockOwned::NG(Block::SectionHeader(section)) => {
                    self.big_endian = section.big_endian();
                    self.interfaces.clear();
                    Step::Skip(length)
                }
                PcapBlockOwned::NG(Block::InterfaceDescription(_))
                    if self.interfaces.len() == MAX_INTERFACES =>
                {
                    Step::Damaged(format!("more than {MAX_INTERFACES} interfaces"))
                }
                PcapBlockOwned::NG(Block::InterfaceDescription(block)) => {
                    match CaptureInterface::described_by(&block, self.big_endian) {
                        Ok(interface) => {
                            self.interfaces.push(interface);
                            Step::Skip(length)
                        }
                        Err(what) => Step::Damaged(what),
                    }
                }
                PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                    let interface = packet.if_id as usize;
                    let Some(described) = self.interfaces.get(interface) else {
                        return undescribed(interface, self.interfaces.len());
                    };
                    packet.packet_data().clone_into(&mut self.data);
                    let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                    Step::Packet {
                        length,
                        interface,
                        time: described.clock.of_ticks(ticks),
                    }
                }
                PcapBlockOwned::NG(Block::SimplePacket(_)) if self.interfaces.is_empty() => {
                    undescribed(0, 0)
                }
                PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                    packet.packet_data().clone_into(&mut self.data);
                    Step::Packet {
                        length,
                        interface: 0,
                        time: SystemTime::UNIX_EPOCH,
                    }
                }
                PcapBlockOwned::NG(_) => Step::Skip(length),
            },
            Err(PcapError::Eof) => Step::End,
            Err(
                PcapError::Incomplete(_)
                | PcapError::UnexpectedEof
                | PcapError::BufferTooSmall
                | PcapError::ReadError,
            ) => Step::More,
            Err(_) => Step::Damaged("a block that contradicts itself".to_owned()),
        }
    }

    fn consume(&mut self, length: usize) {
        self.reader.consume(length);
        self.offset += length as u64;
    }

    /// The block at the current offset is not whole yet: makes room for it and reads on.
    fn read_more(&mut self) -> Result<(), CaptureErrorKind> {
        let have = self.reader.data().len();
        if let Some(length) = self.block_length() {
            if length > MAX_BLOCK {
                return Err(CaptureErrorKind::TooLarge {
                    start: self.offset,
                    length,
                    unit: self.unit(),
                    packets: self.packets,
                });
            }
            if length <= have as u64 {
                return Err(CaptureErrorKind::Damaged {
                    start: self.offset,
                    what: "the contents of a block are longer than the block".to_owned(),
                    packets: self.packets,
                });
            }
            // `pcap-parser` refuses a block that fills the buffer to the last byte.
            let room = usize::try_from(length).unwrap_or(usize::MAX);
            self.reader.grow(room.saturating_add(BUFFER));
        }
        // An error is kept in `failure`; the one returned here borrows the buffer and says less.
        let _ = self.reader.refill();
        if let Some(source) = self.failure.take() {
            return Err(CaptureErrorKind::Read {
                offset: self.offset + self.reader.data().len() as u64,
                source,
            });
        }
        if self.reader.reader_exhausted() && have > 0 {
            return Err(CaptureErrorKind::Truncated {
                start: self.offset,
                end: self.offset + have as u64,
                unit: self.unit(),
                packets: self.packets,
            });
        }
        Ok(())
    }

    /// The length that the packet or block at the current offset claims, its header included.
    fn block_length(&self) -> Option<u64> {
        let data = self.reader.data();
        match self.format {
            Format::Pcap { record_header } => (data.len() >= record_header)
                .then(|| u64::from(read_u32(data, 8, self.big_endian)) + record_header as u64),
            Format::PcapNg => {
                // A section states its own byte order.
                let big_endian = if data.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
                    is_big_endian(data)?
                } else {
                    self.big_endian
                };
                (data.len() >= 8).then(|| u64::from(read_u32(data, 4, big_endian)))
            }
        }
    }

    fn unit(&self) -> &'static str {
        match self.format {
            Format::Pcap { .. } => "packet",
            Format::PcapNg => "block",
        }
    }

    fn error(&self, kind: CaptureErrorKind) -> CaptureError {
        CaptureError::new(&self.name, kind)
    }
}

fn undescribed(interface: usize, described: usize) -> Step {
    Step::Damaged(format!(
        "a packet of interface {interface}, but the section describes {described} interface(s)"
    ))
}
