//! The blocks of a pcapng file.

use std::borrow::Cow;
use std::io::Read;
use std::time::SystemTime;

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, OptionCode, PcapBlockOwned, PcapError, PcapNGOption, PcapNGReader};

use super::bounds::{BUFFER, MAX_BLOCK, MAX_INTERFACES};
use super::bytes::{u16_of, u32_of};
use super::error::CaptureErrorKind;
use super::header::is_big_endian;
use super::input::ReadFailure;
use super::interface::{CaptureInterface, PacketHeader};

/// The type of the obsolete Packet Block, which `pcap-parser` does not know.
const PACKET_BLOCK: u32 = 2;

/// A block has its type once and its length twice, in bytes.
const SHORTEST: u32 = 12;

/// The options `epb_flags` and `pack_flags`.
const FLAGS: OptionCode = OptionCode(2);

/// The blocks of a file, one after the other.
pub(super) struct Blocks {
    reader: PcapNGReader<Box<dyn Read + Send>>,
    big_endian: bool,
    interfaces: Vec<CaptureInterface>,
    packets: u64,
    offset: u64,
    failure: ReadFailure,
}

/// What one step of the reader brought, free of borrows from its buffer.
enum Step {
    /// A block without a packet, of this length.
    Skip(usize),
    Packet(usize, PacketHeader),
    More,
    End,
    Damaged(String),
}

/// A packet as its block has it.
struct Packet<'a> {
    interface: usize,
    /// `None` where the block has no time.
    ticks: Option<u64>,
    outgoing: bool,
    data: Cow<'a, [u8]>,
}

impl Blocks {
    pub(super) fn new(
        reader: PcapNGReader<Box<dyn Read + Send>>,
        big_endian: bool,
        failure: ReadFailure,
    ) -> Self {
        Self {
            reader,
            big_endian,
            interfaces: Vec::new(),
            packets: 0,
            offset: 0,
            failure,
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.offset
    }

    /// The interface of a packet.
    pub(super) fn interface(&mut self, place: usize) -> &mut CaptureInterface {
        &mut self.interfaces[place]
    }

    /// Reads the next packet into `data`; `None` at the end of the file.
    pub(super) fn next(
        &mut self,
        data: &mut Vec<u8>,
    ) -> Result<Option<PacketHeader>, Box<CaptureErrorKind>> {
        loop {
            match self.step(data) {
                Step::Skip(length) => self.consume(length),
                Step::Packet(length, header) => {
                    self.consume(length);
                    self.packets += 1;
                    return Ok(Some(header));
                }
                Step::More => self.read_more()?,
                Step::End => return Ok(None),
                Step::Damaged(what) => {
                    return Err(Box::new(CaptureErrorKind::Damaged {
                        start: self.offset,
                        what,
                        packets: self.packets,
                    }));
                }
            }
        }
    }

    /// Whether the next block cannot hold its own type and length, which `pcap-parser` takes for
    /// granted. That of a section says itself in which byte order.
    fn is_too_short(&self) -> bool {
        const SECTION: u32 = 0x0a0d_0d0a;
        let head = self.reader.data();
        let word = |place| u32_of(head, place, self.big_endian);
        match (word(0), word(4)) {
            (Some(SECTION), _) | (_, None) | (None, _) => false,
            (Some(_), Some(length)) => length < SHORTEST,
        }
    }

    /// Looks at the next block without consuming it; a packet's bytes are copied to `data`.
    fn step(&mut self, data: &mut Vec<u8>) -> Step {
        let packet_block = if self.big_endian {
            // `pcap-parser` reads the type of a block that it does not know in one byte order.
            PACKET_BLOCK.swap_bytes()
        } else {
            PACKET_BLOCK
        };
        if self.is_too_short() {
            return Step::Damaged(format!("a block of less than {SHORTEST} bytes"));
        }
        let (length, block) = match self.reader.next() {
            Ok((length, PcapBlockOwned::NG(block))) => (length, block),
            Ok((length, _)) => return Step::Skip(length),
            Err(PcapError::Eof) => return Step::End,
            Err(
                PcapError::Incomplete(_)
                | PcapError::UnexpectedEof
                | PcapError::BufferTooSmall
                | PcapError::ReadError,
            ) => return Step::More,
            Err(_) => return Step::Damaged("a block whose two lengths differ".to_owned()),
        };
        let packet = match &block {
            Block::SectionHeader(section) => {
                self.big_endian = section.big_endian();
                self.interfaces.clear();
                return Step::Skip(length);
            }
            Block::InterfaceDescription(_) if self.interfaces.len() == MAX_INTERFACES => {
                return Step::Damaged(format!("more than {MAX_INTERFACES} interfaces"));
            }
            Block::InterfaceDescription(block) => {
                let described = CaptureInterface::described_by(block, self.big_endian);
                self.interfaces.push(described);
                return Step::Skip(length);
            }
            Block::EnhancedPacket(packet) => Packet {
                interface: packet.if_id as usize,
                ticks: Some(ticks(packet.ts_high, packet.ts_low)),
                outgoing: is_outgoing(&packet.options, self.big_endian),
                data: packet.packet_data().into(),
            },
            Block::SimplePacket(packet) => Packet {
                interface: 0,
                ticks: None,
                outgoing: false,
                data: packet.packet_data().into(),
            },
            Block::Unknown(block) if block.block_type == packet_block => {
                match obsolete_packet(block.data, self.big_endian) {
                    Some(packet) => packet,
                    None => {
                        let what = "the contents of a block are longer than the block";
                        return Step::Damaged(what.to_owned());
                    }
                }
            }
            _ => return Step::Skip(length),
        };
        let Some(described) = self.interfaces.get(packet.interface) else {
            return Step::Damaged(format!(
                "a packet of interface {}, but the section describes {} interface(s)",
                packet.interface,
                self.interfaces.len()
            ));
        };
        data.clear();
        data.extend_from_slice(&packet.data);
        let clock = described.clock;
        let header = PacketHeader {
            interface: packet.interface,
            time: packet
                .ticks
                .map_or(SystemTime::UNIX_EPOCH, |ticks| clock.of_ticks(ticks)),
            outgoing: packet.outgoing,
        };
        Step::Packet(length, header)
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
                    unit: UNIT,
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
                unit: UNIT,
                packets: self.packets,
            });
        }
        Ok(())
    }

    /// The length that the block at the current offset claims, its header included.
    fn block_length(&self) -> Option<u64> {
        let data = self.reader.data();
        // A section states its own byte order.
        let big_endian = if data.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
            is_big_endian(data)?
        } else {
            self.big_endian
        };
        u32_of(data, 4, big_endian).map(u64::from)
    }
}

const UNIT: &str = "block";

fn ticks(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The contents of a Packet Block: interface, drops, time, lengths, packet, options.
fn obsolete_packet(body: &[u8], big_endian: bool) -> Option<Packet<'_>> {
    let word = |at| u32_of(body, at, big_endian);
    let captured = word(12)? as usize;
    let data = body.get(20..)?.get(..captured)?;
    let mut options = body.get(20 + captured.next_multiple_of(4)..);
    let mut outgoing = false;
    while let Some(option) = options {
        let (Some(code), Some(length)) = (
            u16_of(option, 0, big_endian).filter(|code| *code != 0),
            u16_of(option, 2, big_endian),
        ) else {
            break;
        };
        if OptionCode(code) == FLAGS {
            outgoing = u32_of(option, 4, big_endian).is_some_and(is_outgoing_word);
        }
        options = option.get(4 + usize::from(length).next_multiple_of(4)..);
    }
    Some(Packet {
        interface: u16_of(body, 0, big_endian)?.into(),
        ticks: Some(ticks(word(4)?, word(8)?)),
        outgoing,
        data: data.into(),
    })
}

fn is_outgoing(options: &[PcapNGOption<'_>], big_endian: bool) -> bool {
    let flags = options.iter().find(|option| option.code == FLAGS);
    let word = flags.and_then(|flags| u32_of(flags.value(), 0, big_endian));
    word.is_some_and(is_outgoing_word)
}

/// The lowest two bits: 1 received, 2 sent.
fn is_outgoing_word(flags: u32) -> bool {
    flags & 3 == 2
}
