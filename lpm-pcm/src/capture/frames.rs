//! The file formats pcap and pcapng: from bytes to frames.

use std::io::{self, Cursor, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{
    Block, InterfaceDescriptionBlock, LegacyPcapReader, OptionCode, PcapBlockOwned, PcapError,
    PcapNGReader,
};

use super::error::{CaptureError, CaptureErrorKind};
use super::link::LinkType;

/// The largest packet or block that is read, in bytes. Real ones are far smaller; a longer one is
/// the mark of a damaged file.
pub const MAX_BLOCK: u64 = 16 << 20;

/// How much is read at a time, in bytes; the buffer grows to the largest block, up to
/// [`MAX_BLOCK`].
const BUFFER: usize = 64 << 10;

/// The pcapng option `if_IPv6addr`, which `pcap-parser` does not name.
const IF_IPV6_ADDRESS: OptionCode = OptionCode(5);

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
    data: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Pcap { header: usize },
    PcapNg,
}

/// What a pcap header or a pcapng interface description block says about an interface.
#[derive(Clone, Debug)]
struct CaptureInterface {
    link: LinkType,
    address: Option<IpAddr>,
    clock: Clock,
    /// Whether the operator has been told that its link layer is not supported.
    reported: bool,
}

/// The meaning of an interface's timestamps.
#[derive(Clone, Copy, Debug)]
struct Clock {
    units_per_second: u64,
    /// Seconds to add.
    offset: i64,
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
        let source = Source {
            inner: reader,
            failure: failure.clone(),
        };
        Frames::probe(name, source, failure).map_err(|kind| CaptureError::new(name, kind))
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

    /// Reads the file's header. The readers of `pcap-parser` want it whole in their first read,
    /// which a pipe does not promise.
    fn probe(
        name: &str,
        mut source: Source<impl Read + Send + 'static>,
        failure: ReadFailure,
    ) -> Result<Frames, CaptureErrorKind> {
        let mut head = Vec::new();
        fill(&mut source, &mut head, 4)?;
        let (format, wanted) = match head[..] {
            [] => return Err(CaptureErrorKind::Empty),
            [0xa1, 0xb2, 0xc3, 0xd4]
            | [0xd4, 0xc3, 0xb2, 0xa1]
            | [0xa1, 0xb2, 0x3c, 0x4d]
            | [0x4d, 0x3c, 0xb2, 0xa1] => (Format::Pcap { header: 16 }, 24),
            // Kuznetzov's format: eight bytes more in front of each packet.
            [0x34, 0xcd, 0xb2, 0xa1] => (Format::Pcap { header: 24 }, 24),
            [0x0a, 0x0d, 0x0d, 0x0a] => (Format::PcapNg, 12),
            _ => return Err(not_a_capture(&head)),
        };
        fill(&mut source, &mut head, wanted)?;
        let big_endian = match format {
            Format::Pcap { .. } => matches!(head[..2], [0xa1, 0xb2]),
            Format::PcapNg => match head.get(8..12) {
                Some([0x1a, 0x2b, 0x3c, 0x4d]) => true,
                Some([0x4d, 0x3c, 0x2b, 0x1a]) => false,
                Some(_) => return Err(not_a_capture(&head)),
                None => return Err(truncated(0, head.len() as u64, "section header", 0)),
            },
        };
        if format == Format::PcapNg {
            let length = u64::from(read_u32(&head, 4, big_endian));
            if length > MAX_BLOCK {
                return Err(CaptureErrorKind::TooLarge {
                    start: 0,
                    length,
                    unit: "section header",
                    packets: 0,
                });
            }
            fill(&mut source, &mut head, usize::try_from(length).unwrap_or(0))?;
        }
        let have = head.len();
        let capacity = BUFFER.max(have + 1);
        let source = Cursor::new(head).chain(source);
        let mut frames = Frames {
            name: name.to_owned(),
            reader: match format {
                Format::Pcap { .. } => Box::new(
                    LegacyPcapReader::new(capacity, source)
                        .map_err(|_| truncated(0, have as u64, "file header", 0))?,
                ),
                Format::PcapNg => Box::new(PcapNGReader::new(capacity, source).map_err(
                    |error| match error {
                        PcapError::Incomplete(_) => truncated(0, have as u64, "section header", 0),
                        _ => CaptureErrorKind::Damaged {
                            start: 0,
                            what: "the section header contradicts itself".to_owned(),
                            packets: 0,
                        },
                    },
                )?),
            },
            format,
            big_endian,
            interfaces: Vec::new(),
            packets: 0,
            offset: 0,
            failure,
            data: Vec::new(),
        };
        if format != Format::PcapNg {
            frames.read_pcap_header()?;
        }
        Ok(frames)
    }

    /// The file header of pcap, the first "block" of its reader; tells the link type.
    fn read_pcap_header(&mut self) -> Result<(), CaptureErrorKind> {
        let Step::Skip(length) = self.step() else {
            return Err(truncated(
                0,
                self.reader.data().len() as u64,
                "file header",
                0,
            ));
        };
        self.consume(length);
        match self.interfaces.first() {
            Some(interface) if !interface.link.is_supported() => {
                Err(CaptureErrorKind::LinkType(interface.link))
            }
            _ => Ok(()),
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
                    self.interfaces.push(CaptureInterface {
                        link: LinkType::from_header(header.network.0),
                        address: None,
                        clock: Clock {
                            units_per_second: if header.is_nanosecond_precision() {
                                1_000_000_000
                            } else {
                                1_000_000
                            },
                            offset: 0,
                        },
                        reported: false,
                    });
                    Step::Skip(length)
                }
                PcapBlockOwned::Legacy(packet) => {
                    self.data.clear();
                    self.data.extend_from_slice(packet.data);
                    let clock = self.interfaces[0].clock;
                    Step::Packet {
                        length,
                        interface: 0,
                        time: clock.of_parts(packet.ts_sec, packet.ts_usec),
                    }
                }
                PcapBlockOwned::NG(block) => match block {
                    Block::SectionHeader(section) => {
                        self.big_endian = section.big_endian();
                        self.interfaces.clear();
                        Step::Skip(length)
                    }
                    Block::InterfaceDescription(block) => {
                        match CaptureInterface::described_by(&block, self.big_endian) {
                            Ok(interface) => {
                                self.interfaces.push(interface);
                                Step::Skip(length)
                            }
                            Err(what) => Step::Damaged(what),
                        }
                    }
                    Block::EnhancedPacket(packet) => {
                        let interface = packet.if_id as usize;
                        let Some(described) = self.interfaces.get(interface) else {
                            return Step::Damaged(format!(
                                "a packet of interface {interface}, but the section describes {}",
                                self.interfaces.len()
                            ));
                        };
                        self.data.clear();
                        self.data.extend_from_slice(packet.packet_data());
                        let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                        Step::Packet {
                            length,
                            interface,
                            time: described.clock.of_ticks(ticks),
                        }
                    }
                    Block::SimplePacket(packet) => {
                        if self.interfaces.is_empty() {
                            return Step::Damaged(
                                "a packet, but the section describes no interface".to_owned(),
                            );
                        }
                        self.data.clear();
                        self.data.extend_from_slice(packet.packet_data());
                        Step::Packet {
                            length,
                            interface: 0,
                            time: SystemTime::UNIX_EPOCH,
                        }
                    }
                    _ => Step::Skip(length),
                },
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
            return Err(truncated(
                self.offset,
                self.offset + have as u64,
                self.unit(),
                self.packets,
            ));
        }
        Ok(())
    }

    /// The length that the packet or block at the current offset claims, its header included.
    fn block_length(&self) -> Option<u64> {
        let data = self.reader.data();
        match self.format {
            Format::Pcap { header } => (data.len() >= header)
                .then(|| u64::from(read_u32(data, 8, self.big_endian)) + header as u64),
            Format::PcapNg => {
                let is_section = data.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]);
                if data.len() < if is_section { 12 } else { 8 } {
                    return None;
                }
                // A section states its own byte order.
                let big_endian = if is_section {
                    data[8..12] == [0x1a, 0x2b, 0x3c, 0x4d]
                } else {
                    self.big_endian
                };
                Some(u64::from(read_u32(data, 4, big_endian)))
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

impl CaptureInterface {
    fn described_by(
        block: &InterfaceDescriptionBlock<'_>,
        big_endian: bool,
    ) -> Result<CaptureInterface, String> {
        let option = |code| {
            let option = block.options.iter().find(|option| option.code == code)?;
            option.as_bytes().ok()
        };
        // The crate knows neither binary resolutions nor big-endian offsets.
        let resolution = option(OptionCode::IfTsresol).and_then(|value| value.first());
        let units_per_second = match resolution.copied() {
            None => Some(1_000_000),
            Some(exponent) if exponent & 0x80 == 0 => 10_u64.checked_pow(exponent.into()),
            Some(exponent) => 1_u64.checked_shl((exponent & 0x7f).into()),
        };
        let offset = option(OptionCode::IfTsoffset).and_then(|value| value.first_chunk());
        let ipv4 = option(OptionCode::IfIpv4Addr).and_then(|value| value.first_chunk::<4>());
        let ipv6 = option(IF_IPV6_ADDRESS).and_then(|value| value.first_chunk::<16>());
        Ok(CaptureInterface {
            link: LinkType::from_header(block.linktype.0),
            address: ipv4
                .map(|bytes| Ipv4Addr::from(*bytes).into())
                .or_else(|| ipv6.map(|bytes| Ipv6Addr::from(*bytes).into())),
            clock: Clock {
                units_per_second: units_per_second.ok_or_else(|| {
                    format!("an interface with the time resolution {resolution:?}")
                })?,
                offset: offset.map_or(0, |bytes| {
                    if big_endian {
                        i64::from_be_bytes(*bytes)
                    } else {
                        i64::from_le_bytes(*bytes)
                    }
                }),
            },
            reported: false,
        })
    }
}

impl Clock {
    fn of_parts(self, seconds: u32, fraction: u32) -> SystemTime {
        let nanos = u64::from(fraction) * (1_000_000_000 / self.units_per_second);
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into()) + Duration::from_nanos(nanos)
    }

    /// A time that this machine cannot represent becomes the epoch.
    fn of_ticks(self, ticks: u64) -> SystemTime {
        let fraction = u128::from(ticks % self.units_per_second) * 1_000_000_000
            / u128::from(self.units_per_second);
        let nanos = Duration::from_nanos(u64::try_from(fraction).unwrap_or(0));
        let whole = Duration::from_secs(ticks / self.units_per_second);
        let offset = Duration::from_secs(self.offset.unsigned_abs());
        let since_epoch = if self.offset < 0 {
            whole.checked_sub(offset)
        } else {
            whole.checked_add(offset)
        };
        since_epoch
            .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(seconds + nanos))
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// The last error of the underlying reader, which `pcap-parser` does not pass on.
#[derive(Clone, Default)]
struct ReadFailure(Arc<Mutex<Option<io::Error>>>);

impl ReadFailure {
    fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, error: io::Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// Reads on after an interruption by a signal, and keeps the error.
struct Source<R> {
    inner: R,
    failure: ReadFailure,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    self.failure.put(error);
                    return Err(kind.into());
                }
                read => return read,
            }
        }
    }
}

/// Reads until `head` has `wanted` bytes, or the file ends.
fn fill(
    source: &mut Source<impl Read>,
    head: &mut Vec<u8>,
    wanted: usize,
) -> Result<(), CaptureErrorKind> {
    let more = wanted.saturating_sub(head.len()) as u64;
    let offset = head.len() as u64;
    source
        .take(more)
        .read_to_end(head)
        .map(drop)
        .map_err(|error| CaptureErrorKind::Read {
            offset,
            source: source.failure.take().unwrap_or(error),
        })
}

fn truncated(start: u64, end: u64, unit: &'static str, packets: u64) -> CaptureErrorKind {
    CaptureErrorKind::Truncated {
        start,
        end,
        unit,
        packets,
    }
}

fn not_a_capture(head: &[u8]) -> CaptureErrorKind {
    let found = head.iter().take(4).map(|byte| format!("{byte:02x}"));
    CaptureErrorKind::NotACapture {
        found: found.collect::<Vec<_>>().join(" "),
        hint: match head {
            [0x1f, 0x8b, ..] => "; it is compressed: zcat FILE | pcm replay -",
            [0x28, 0xb5, 0x2f, 0xfd, ..] => "; it is compressed: zstdcat FILE | pcm replay -",
            _ => "",
        },
    }
}

/// The 32-bit number at `at`; 0 beyond the end.
fn read_u32(data: &[u8], at: usize, big_endian: bool) -> u32 {
    let bytes = data.get(at..).and_then(|rest| rest.first_chunk()).copied();
    let bytes = bytes.unwrap_or_default();
    if big_endian {
        u32::from_be_bytes(bytes)
    } else {
        u32::from_le_bytes(bytes)
    }
}
