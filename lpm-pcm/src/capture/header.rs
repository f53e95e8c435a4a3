//! The first bytes of a capture: which format it has.

use std::io::{Cursor, Read};

use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{LegacyPcapReader, PcapError, PcapNGReader};

use super::bounds::{BUFFER, MAX_BLOCK};
use super::error::CaptureErrorKind;
use super::input::Input;

/// The format of a capture file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// pcap, with so many bytes in front of each packet.
    Pcap {
        record_header: usize,
    },
    PcapNg,
}

/// A capture whose format is known.
pub(super) struct Opened {
    pub(super) reader: Box<dyn PcapReaderIterator + Send>,
    pub(super) format: Format,
    pub(super) big_endian: bool,
}

/// Reads a capture's header. The readers of `pcap-parser` want it whole in their first read, which
/// a pipe does not promise.
pub(super) fn open(
    mut input: Input<impl Read + Send + 'static>,
) -> Result<Opened, CaptureErrorKind> {
    let mut head = Vec::new();
    input.fill(&mut head, 4)?;
    let (format, wanted) = match head[..] {
        [] => return Err(CaptureErrorKind::Empty),
        [0xa1, 0xb2, 0xc3, 0xd4]
        | [0xd4, 0xc3, 0xb2, 0xa1]
        | [0xa1, 0xb2, 0x3c, 0x4d]
        | [0x4d, 0x3c, 0xb2, 0xa1] => (Format::Pcap { record_header: 16 }, 24),
        // Kuznetzov's format: eight bytes more in front of each packet.
        [0x34, 0xcd, 0xb2, 0xa1] => (Format::Pcap { record_header: 24 }, 24),
        [0x0a, 0x0d, 0x0d, 0x0a] => (Format::PcapNg, 12),
        _ => return Err(not_a_capture(&head)),
    };
    input.fill(&mut head, wanted)?;
    if head.len() < wanted {
        return Err(truncated(head.len()));
    }
    let big_endian = match format {
        Format::Pcap { .. } => head.starts_with(&[0xa1, 0xb2]),
        Format::PcapNg => is_big_endian(&head).ok_or_else(|| not_a_capture(&head))?,
    };
    if format == Format::PcapNg {
        let length = u64::from(read_u32(&head, 4, big_endian));
        if length > MAX_BLOCK {
            return Err(CaptureErrorKind::TooLarge {
                start: 0,
                length,
                unit: UNIT,
                packets: 0,
            });
        }
        input.fill(&mut head, usize::try_from(length).unwrap_or(0))?;
    }
    let have = head.len();
    let capacity = BUFFER.max(have + 1);
    let input = Cursor::new(head).chain(input);
    let reader: Result<Box<dyn PcapReaderIterator + Send>, _> = match format {
        Format::Pcap { .. } => LegacyPcapReader::new(capacity, input).map(|new| Box::new(new) as _),
        Format::PcapNg => PcapNGReader::new(capacity, input).map(|new| Box::new(new) as _),
    };
    let reader = reader.map_err(|error| match error {
        PcapError::Incomplete(_) => truncated(have),
        _ => CaptureErrorKind::Damaged {
            start: 0,
            what: "a header that contradicts itself".to_owned(),
            packets: 0,
        },
    })?;
    Ok(Opened {
        reader,
        format,
        big_endian,
    })
}

/// The byte order that a pcapng section header block states; `None` if it states none.
pub(super) fn is_big_endian(section: &[u8]) -> Option<bool> {
    match section.get(8..12)? {
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(true),
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(false),
        _ => None,
    }
}

/// The 32-bit number at `at`; 0 beyond the end.
pub(super) fn read_u32(data: &[u8], at: usize, big_endian: bool) -> u32 {
    let bytes = data.get(at..).and_then(|rest| rest.first_chunk()).copied();
    let bytes = bytes.unwrap_or_default();
    if big_endian {
        u32::from_be_bytes(bytes)
    } else {
        u32::from_le_bytes(bytes)
    }
}

const UNIT: &str = "file header";

fn truncated(length: usize) -> CaptureErrorKind {
    CaptureErrorKind::Truncated {
        start: 0,
        end: length as u64,
        unit: UNIT,
        packets: 0,
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
