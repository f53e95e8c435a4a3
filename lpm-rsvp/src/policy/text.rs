//! Names in policy elements: ASCII or UTF-16, of whichever byte order.

use core::fmt;
use core::str::{Utf8Chunk, Utf8Chunks};

/// A name from a policy element.
///
/// RFC 3182 does not say which byte order its Unicode names have. A byte order mark decides;
/// else the order in which more characters are below 256, which for names is the right one;
/// else (a tie) network order. Trailing NULs, which some senders count in, are left out.
///
/// `Display` shows control characters as escapes, so that a hostile name cannot play with a
/// terminal or a log. For the plain text collect [`chars`](Text::chars).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text<'a> {
    encoding: TextEncoding,
    bytes: &'a [u8],
}

/// How a [`Text`] is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextEncoding {
    /// One byte a character. Bytes above 127 are read as UTF-8, which some senders use.
    Ascii,
    /// UTF-16, network byte order.
    Utf16Be,
    /// UTF-16, little-endian: what Windows has in memory.
    Utf16Le,
}

impl<'a> Text<'a> {
    /// A text of single bytes.
    #[must_use]
    pub fn ascii(bytes: &'a [u8]) -> Self {
        let mut bytes = bytes;
        while let Some((0, rest)) = bytes.split_last() {
            bytes = rest;
        }
        Text {
            encoding: TextEncoding::Ascii,
            bytes,
        }
    }

    /// A text in UTF-16, its byte order found as described at [`Text`].
    #[must_use]
    pub fn utf16(bytes: &'a [u8]) -> Self {
        let (encoding, bytes) = match bytes {
            [0xfe, 0xff, rest @ ..] => (TextEncoding::Utf16Be, rest),
            [0xff, 0xfe, rest @ ..] => (TextEncoding::Utf16Le, rest),
            _ => (likely_order(bytes), bytes),
        };
        let mut bytes = bytes;
        while let [rest @ .., 0, 0] = bytes {
            if bytes.len() % 2 != 0 {
                break;
            }
            bytes = rest;
        }
        Text { encoding, bytes }
    }

    /// The bytes, without byte order mark and trailing NULs.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The text itself, where it can be read where it stands: `None` for UTF-16, and for what is no
    /// UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        match self.encoding {
            TextEncoding::Ascii => core::str::from_utf8(self.bytes).ok(),
            TextEncoding::Utf16Be | TextEncoding::Utf16Le => None,
        }
    }

    /// The encoding.
    #[must_use]
    pub const fn encoding(&self) -> TextEncoding {
        self.encoding
    }

    /// The characters; U+FFFD stands for what cannot be decoded.
    #[must_use]
    pub fn chars(&self) -> Chars<'a> {
        Chars(match self.encoding {
            TextEncoding::Ascii => Decoder::Bytes {
                chunks: self.bytes.utf8_chunks(),
                valid: "".chars(),
                broken: false,
            },
            TextEncoding::Utf16Be => Decoder::Units(char::decode_utf16(Units {
                bytes: self.bytes,
                unit: u16::from_be_bytes,
            })),
            TextEncoding::Utf16Le => Decoder::Units(char::decode_utf16(Units {
                bytes: self.bytes,
                unit: u16::from_le_bytes,
            })),
        })
    }

    /// Whether the text is exactly this one. A text that cannot be decoded equals none.
    pub fn eq_str(&self, other: &str) -> bool {
        match self.encoding {
            TextEncoding::Ascii => self.bytes == other.as_bytes(),
            TextEncoding::Utf16Be => self.units_equal(other, u16::from_be_bytes),
            TextEncoding::Utf16Le => self.units_equal(other, u16::from_le_bytes),
        }
    }

    /// Like [`eq_str`](Self::eq_str), but the ASCII letters match in both cases, as is usual
    /// for distinguished names.
    #[must_use]
    pub fn eq_ignore_ascii_case(&self, other: &str) -> bool {
        !self.chars().any(|c| c == char::REPLACEMENT_CHARACTER)
            && self
                .chars()
                .map(|c| c.to_ascii_lowercase())
                .eq(other.chars().map(|c| c.to_ascii_lowercase()))
    }

    /// Whether there are no characters.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn units_equal(&self, other: &str, unit: fn([u8; 2]) -> u16) -> bool {
        self.bytes.len() % 2 == 0
            && Units {
                bytes: self.bytes,
                unit,
            }
            .eq(other.encode_utf16())
    }
}

fn likely_order(bytes: &[u8]) -> TextEncoding {
    let mut big = 0_usize;
    let mut little = 0_usize;
    for unit in bytes.chunks_exact(2) {
        match unit {
            [0, 0] => {}
            [0, _] => big = big.saturating_add(1),
            [_, 0] => little = little.saturating_add(1),
            _ => {}
        }
    }
    if little > big {
        TextEncoding::Utf16Le
    } else {
        TextEncoding::Utf16Be
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                fmt::Write::write_char(f, c)?;
            }
        }
        Ok(())
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Text<'_> {
    /// The plain characters, as a string.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.chars().collect::<alloc::string::String>())
    }
}

/// Iterator over the characters of a [`Text`].
#[derive(Clone, Debug)]
pub struct Chars<'a>(Decoder<'a>);

#[derive(Clone, Debug)]
enum Decoder<'a> {
    Bytes {
        chunks: Utf8Chunks<'a>,
        valid: core::str::Chars<'a>,
        broken: bool,
    },
    Units(core::char::DecodeUtf16<Units<'a>>),
}

#[derive(Clone, Debug)]
struct Units<'a> {
    bytes: &'a [u8],
    unit: fn([u8; 2]) -> u16,
}

impl Iterator for Units<'_> {
    type Item = u16;

    /// An odd last byte reads as an unpaired surrogate, that is as undecodable.
    fn next(&mut self) -> Option<u16> {
        match self.bytes.split_first_chunk::<2>() {
            Some((unit, rest)) => {
                self.bytes = rest;
                Some((self.unit)(*unit))
            }
            None if self.bytes.is_empty() => None,
            None => {
                self.bytes = &[];
                Some(0xdfff)
            }
        }
    }
}

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match &mut self.0 {
            Decoder::Units(units) => units
                .next()
                .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)),
            Decoder::Bytes {
                chunks,
                valid,
                broken,
            } => loop {
                if let Some(c) = valid.next() {
                    return Some(c);
                }
                if core::mem::take(broken) {
                    return Some(char::REPLACEMENT_CHARACTER);
                }
                let chunk: Utf8Chunk<'_> = chunks.next()?;
                *valid = chunk.valid().chars();
                *broken = !chunk.invalid().is_empty();
            },
        }
    }
}
