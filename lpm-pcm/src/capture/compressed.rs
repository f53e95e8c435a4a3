//! Captures that are compressed, read as they are: gzip, Zstandard, xz and LZ4, told by their first
//! bytes.
//!
//! Memory is bounded by the formats' windows, and work by [`Bounded`]: what unpacks to far more
//! than any capture does is refused.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder as Lz4Decoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder as ZstdDecoder};

use super::bounds::BUFFER;

/// How much memory unpacking xz may take, in KiB. The other formats have lower bounds of their own.
const MEMORY: u32 = 128 << 10;

/// How many times its size a file may unpack to, once it unpacks to more than [`FREE`] bytes. Real
/// captures shrink to a tenth, or to a hundredth where packets are nearly the same.
const MAX_RATIO: u64 = 1_000;

/// How much may be unpacked whatever the file's size, in bytes.
const FREE: u64 = 64 << 20;

/// How many first bytes tell a format.
const MAGIC: u64 = 6;

/// `reader`, unpacked if it is compressed.
pub(super) fn unpacked(mut reader: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    let mut magic = Vec::new();
    let failure = reader.by_ref().take(MAGIC).read_to_end(&mut magic).err();
    // An error comes when what was read before it is used up.
    let head = Cursor::new(magic.clone()).chain(Failed(failure));
    let whole = head.chain(reader);
    let count = Arc::new(AtomicU64::new(0));
    let packed = |whole| {
        let inner = whole;
        let count = Arc::clone(&count);
        BufReader::with_capacity(BUFFER, Counted { inner, count })
    };
    match Format::of(&magic) {
        Some(Format::Gzip) => {
            let gzip = MultiGzDecoder::new(packed(whole));
            Box::new(Bounded::new(gzip, count))
        }
        Some(Format::Zstd) => {
            let zstd = Zstd::new(packed(whole));
            Box::new(Bounded::new(zstd, count))
        }
        Some(Format::Xz) => {
            let xz = XzReader::new_mem_limit(packed(whole), true, MEMORY);
            Box::new(Bounded::new(xz, count))
        }
        Some(Format::Lz4) => {
            let lz4 = Lz4(Lz4Decoder::new(packed(whole)));
            Box::new(Bounded::new(lz4, count))
        }
        None => Box::new(whole),
    }
}

/// Whether a file is compressed; not, where it cannot be read.
pub(super) fn is_compressed(path: &Path) -> bool {
    let mut magic = Vec::new();
    let file = File::open(path).map(|file| file.take(MAGIC));
    let _ = file.and_then(|mut file| file.read_to_end(&mut magic));
    Format::of(&magic).is_some()
}

/// How something is compressed.
enum Format {
    Gzip,
    Zstd,
    Xz,
    Lz4,
}

impl Format {
    /// By its first bytes.
    fn of(magic: &[u8]) -> Option<Self> {
        match magic {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0] => Some(Self::Xz),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            _ => None,
        }
    }
}

/// Reads nothing, or an error first.
struct Failed(Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// What is unpacked, up to a limit.
struct Bounded<R> {
    unpacker: R,
    /// How many bytes the unpacker has read.
    packed: Arc<AtomicU64>,
    unpacked: u64,
}

impl<R: Read> Bounded<R> {
    fn new(unpacker: R, packed: Arc<AtomicU64>) -> Self {
        Self {
            unpacker,
            packed,
            unpacked: 0,
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self
            .unpacker
            .read(buffer)
            .map_err(|error| match error.kind() {
                io::ErrorKind::Interrupted => error,
                kind => io::Error::new(kind, format!("the compressed data is damaged: {error}")),
            })?;
        self.unpacked += read as u64;
        let packed = self.packed.load(Ordering::Relaxed);
        if self.unpacked > FREE && self.unpacked / MAX_RATIO > packed {
            return Err(io::Error::other(format!(
                "{packed} compressed bytes unpack to more than {} bytes, which no capture does; if you trust \
                 the file, unpack it yourself",
                self.unpacked
            )));
        }
        Ok(read)
    }
}

/// The frames of a Zstandard file, one after the other.
struct Zstd<R> {
    source: R,
    decoder: ZstdDecoder,
    is_within: bool,
}

impl<R: BufRead> Zstd<R> {
    fn new(source: R) -> Self {
        Self {
            source,
            decoder: ZstdDecoder::new(),
            is_within: false,
        }
    }

    /// Begins the next frame; false when there is none.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let skipped = &mut self.source.by_ref().take(length.into());
                    io::copy(skipped, &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    fn end(&mut self) -> io::Result<()> {
        self.is_within = false;
        let stated = self.decoder.get_checksum_from_data();
        if stated.is_some() && stated != self.decoder.get_calculated_checksum() {
            return Err(io::Error::other("a checksum is wrong"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_within {
                self.is_within = self.begin()?;
                if !self.is_within {
                    return Ok(0);
                }
            }
            while self.decoder.can_collect() < buffer.len() && !self.decoder.is_finished() {
                let wanted = buffer.len() - self.decoder.can_collect();
                let strategy = BlockDecodingStrategy::UptoBytes(wanted);
                let decoded = self.decoder.decode_blocks(&mut self.source, strategy);
                decoded.map_err(io::Error::other)?;
            }
            match self.decoder.read(buffer)? {
                0 if self.decoder.is_finished() => self.end()?,
                read => return Ok(read),
            }
        }
    }
}

/// The frames of an LZ4 file, one after the other.
struct Lz4<R: Read>(Lz4Decoder<R>);

impl<R: BufRead> Read for Lz4<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.0.read(buffer)?;
            if read > 0 || self.0.get_mut().fill_buf()?.is_empty() {
                return Ok(read);
            }
        }
    }
}
