//! The first bytes of a capture: which format it has.

use std::io::{Cursor, Read};

use pcap_parser::{PcapError, PcapNGReader};

use super::bounds::{BUFFER, MAX_BLOCK};
use super::bytes::u32_of;
use super::error::CaptureErrorKind;
use super::input::Input;
use super::records::RecordFormat;

/// A capture whose format is known.
pub(super) enum Opened {
    Records {
        input: Input,
        format: RecordFormat,
        header: Vec<u8>,
    },
    Blocks {
        reader: PcapNGReader<Box<dyn Read + Send>>,
        big_endian: bool,
    },
}

/// Reads a capture's header. The reader of `pcap-parser` wants it whole in its first read, which
/// a pipe does not promise.
pub(super) fn open(mut input: Input) -> Result<Opened, CaptureErrorKind> {
    let mut head = Vec::new();
    input.fill(&mut head, 4)?;
    let Some(magic) = head.first_chunk().copied() else {
        return Err(match head[..] {
            [] => CaptureErrorKind::Empty,
            _ => not_a_capture(&head),
        });
    };
    match (RecordFormat::of(magic), magic) {
        (Some(format), _) => {
            fill(&mut input, &mut head, format.file_header())?;
            Ok(Opened::Records {
                input,
                format,
                header: head,
            })
        }
        (None, [0x0a, 0x0d, 0x0d, 0x0a]) => open_blocks(input, head),
        (None, _) => Err(not_a_capture(&head)),
    }
}

fn open_blocks(mut input: Input, mut head: Vec<u8>) -> Result<Opened, CaptureErrorKind> {
    fill(&mut input, &mut head, 12)?;
    let big_endian = is_big_endian(&head).ok_or_else(|| not_a_capture(&head))?;
    let length = u64::from(u32_of(&head, 4, big_endian).unwrap_or_default());
    if length > MAX_BLOCK {
        return Err(CaptureErrorKind::TooLarge {
            start: 0,
            length,
            unit: UNIT,
            packets: 0,
        });
    }
    input.fill(&mut head, usize::try_from(length).unwrap_or(0))?;
    let have = head.len();
    let capacity = BUFFER.max(have + 1);
    let whole: Box<dyn Read + Send> = Box::new(Cursor::new(head).chain(input));
    let reader = PcapNGReader::new(capacity, whole).map_err(|error| match error {
        PcapError::Incomplete(_) => truncated(have),
        _ => CaptureErrorKind::Damaged {
            start: 0,
            what: "a header with lengths that do not fit together".to_owned(),
            packets: 0,
        },
    })?;
    Ok(Opened::Blocks { reader, big_endian })
}

/// The byte order that a pcapng section header block states; `None` if it states none.
pub(super) fn is_big_endian(section: &[u8]) -> Option<bool> {
    match section.get(8..12)? {
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(true),
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(false),
        _ => None,
    }
}

const UNIT: &str = "file header";

fn fill(input: &mut Input, head: &mut Vec<u8>, wanted: usize) -> Result<(), CaptureErrorKind> {
    input.fill(head, wanted)?;
    if head.len() < wanted {
        return Err(truncated(head.len()));
    }
    Ok(())
}

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
            [b'B', b'Z', b'h', ..] => "; it is compressed: bzcat FILE | pcm replay -",
            _ => "",
        },
    }
}
