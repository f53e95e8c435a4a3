//! Files that are one packet record after the other: the variants of pcap, and snoop (RFC 1761).
//!
//! Nearly all records stand whole in what was read ahead, and are looked at there.

use std::io::BufRead;
use std::mem;
use std::ops::Range;

use super::bounds::MAX_BLOCK;
use super::bytes::{be_u32, u32_of};
use super::error::CaptureErrorKind;
use super::input::Input;
use super::interface::{CaptureInterface, Clock, PacketHeader};
use super::link::LinkType;

/// How a file's records are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordFormat {
    kind: Kind,
    big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pcap {
        nanoseconds: bool,
    },
    /// Kuznetzov's pcap: interface, protocol and packet type in each record.
    Kuznetzov,
    Snoop,
}

/// The records of a file.
pub(super) struct Records {
    input: Input,
    format: RecordFormat,
    clock: Clock,
    packets: u64,
    /// The packet that was read last, if it had to be put together.
    data: Vec<u8>,
    /// Else where it stands in the input.
    in_place: Range<usize>,
    /// How many bytes its record has there.
    lent: usize,
}

/// What the header of a record says.
struct Record {
    seconds: u32,
    fraction: u32,
    outgoing: bool,
    /// How many bytes the packet has, and with what is behind it.
    captured: usize,
    wanted: usize,
}

impl RecordFormat {
    /// The format that a file begins with.
    pub(super) fn of(head: [u8; 4]) -> Option<Self> {
        let (kind, big_endian) = match head {
            [0xa1, 0xb2, 0xc3, 0xd4] => (Kind::Pcap { nanoseconds: false }, true),
            [0xd4, 0xc3, 0xb2, 0xa1] => (Kind::Pcap { nanoseconds: false }, false),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Kind::Pcap { nanoseconds: true }, true),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Kind::Pcap { nanoseconds: true }, false),
            [0xa1, 0xb2, 0xcd, 0x34] => (Kind::Kuznetzov, true),
            [0x34, 0xcd, 0xb2, 0xa1] => (Kind::Kuznetzov, false),
            [b's', b'n', b'o', b'o'] => (Kind::Snoop, true),
            _ => return None,
        };
        Some(Self { kind, big_endian })
    }

    /// Length of the file header in bytes.
    pub(super) fn file_header(self) -> usize {
        match self.kind {
            Kind::Snoop => 16,
            _ => 24,
        }
    }

    fn record_header(self) -> usize {
        match self.kind {
            Kind::Pcap { .. } => 16,
            Kind::Kuznetzov | Kind::Snoop => 24,
        }
    }

    /// The file's one interface; `None` if its header contradicts itself.
    pub(super) fn interface(self, header: &[u8]) -> Option<CaptureInterface> {
        let (link, clock) = match self.kind {
            Kind::Snoop => {
                let is_snoop = header.starts_with(b"snoop\0\0\0") && be_u32(header, 8)? == 2;
                let link = is_snoop.then(|| be_u32(header, 12))??;
                (LinkType::of_snoop(link), Clock::MICROSECONDS)
            }
            Kind::Pcap { nanoseconds: true } => (self.link(header)?, Clock::NANOSECONDS),
            Kind::Pcap { .. } | Kind::Kuznetzov => (self.link(header)?, Clock::MICROSECONDS),
        };
        Some(CaptureInterface {
            link,
            address: None,
            clock,
            reported: false,
        })
    }

    fn link(self, header: &[u8]) -> Option<LinkType> {
        let field = u32_of(header, 20, self.big_endian)?;
        Some(LinkType::from_header(field))
    }
}

impl Records {
    /// The records behind a file header.
    pub(super) fn new(input: Input, format: RecordFormat, clock: Clock) -> Self {
        Self {
            input,
            format,
            clock,
            packets: 0,
            data: Vec::new(),
            in_place: 0..0,
            lent: 0,
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.input.position() + self.lent as u64
    }

    /// The packet that was read last.
    pub(super) fn data(&self) -> &[u8] {
        match self.lent {
            0 => &self.data,
            _ => {
                let buffered = self.input.buffered();
                buffered.get(self.in_place.clone()).unwrap_or_default()
            }
        }
    }

    /// Reads the next packet; `None` at the end of the file.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<PacketHeader>, Box<CaptureErrorKind>> {
        let start = self.position();
        self.input.consume(mem::take(&mut self.lent));
        let length = self.format.record_header();
        let buffered = self.input.buffered();
        let in_place = match buffered.get(..length) {
            Some(header) => {
                let record = self.record(header, start)?;
                (length + record.wanted <= buffered.len()).then_some(record)
            }
            None => None,
        };
        let record = match in_place {
            Some(record) => {
                self.in_place = length..length + record.captured;
                self.lent = length + record.wanted;
                record
            }
            None => match self.put_together(start)? {
                Some(record) => record,
                None => return Ok(None),
            },
        };
        self.packets += 1;
        Ok(Some(PacketHeader {
            interface: 0,
            time: self.clock.of_parts(record.seconds, record.fraction),
            outgoing: record.outgoing,
        }))
    }

    /// Copies the next packet, of which not all is there yet; `None` at the end of the file.
    #[cold]
    #[inline(never)]
    fn put_together(&mut self, start: u64) -> Result<Option<Record>, Box<CaptureErrorKind>> {
        let length = self.format.record_header();
        let mut header = Vec::with_capacity(length);
        self.input.fill(&mut header, length)?;
        if header.is_empty() {
            return Ok(None);
        }
        if header.len() < length {
            return Err(self.truncated(start).into());
        }
        let record = self.record(&header, start)?;
        self.data.clear();
        self.input.fill(&mut self.data, record.wanted)?;
        if self.data.len() < record.wanted {
            return Err(self.truncated(start).into());
        }
        self.data.truncate(record.captured);
        Ok(Some(record))
    }

    /// Reads the header of a record that begins at `start`.
    #[inline(always)]
    fn record(&self, header: &[u8], start: u64) -> Result<Record, Box<CaptureErrorKind>> {
        let big_endian = self.format.big_endian;
        let field = |at| u32_of(header, at, big_endian).unwrap_or_default();
        let (seconds, fraction, captured, skipped) = match self.format.kind {
            Kind::Snoop => {
                let (record, captured) = (field(8), field(4));
                let used = captured.saturating_add(24);
                let Some(padding) = record.checked_sub(used) else {
                    return Err(self.too_short(start));
                };
                (field(16), field(20), captured, padding)
            }
            _ => (field(0), field(4), field(8), 0),
        };
        let wanted = u64::from(captured) + u64::from(skipped);
        let length = wanted + header.len() as u64;
        if length > MAX_BLOCK {
            return Err(self.too_large(start, length));
        }
        let is_kuznetzov = self.format.kind == Kind::Kuznetzov;
        Ok(Record {
            seconds,
            fraction,
            outgoing: is_kuznetzov && header.get(22) == Some(&OUTGOING),
            captured: usize::try_from(captured).unwrap_or(usize::MAX),
            wanted: usize::try_from(wanted).unwrap_or(usize::MAX),
        })
    }

    #[cold]
    fn too_short(&self, start: u64) -> Box<CaptureErrorKind> {
        Box::new(CaptureErrorKind::Damaged {
            start,
            what: "a record that is shorter than its packet".to_owned(),
            packets: self.packets,
        })
    }

    #[cold]
    fn too_large(&self, start: u64, length: u64) -> Box<CaptureErrorKind> {
        Box::new(CaptureErrorKind::TooLarge {
            start,
            length,
            unit: UNIT,
            packets: self.packets,
        })
    }

    fn truncated(&self, start: u64) -> CaptureErrorKind {
        CaptureErrorKind::Truncated {
            start,
            end: self.input.position(),
            unit: UNIT,
            packets: self.packets,
        }
    }
}

const UNIT: &str = "packet";

/// The packet type of what the capturing node sent (`PACKET_OUTGOING` of Linux).
const OUTGOING: u8 = 4;
