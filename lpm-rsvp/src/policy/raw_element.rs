//! Policy elements as they lie in their POLICY_DATA (RFC 2750 §3): length, P-Type, data.

use crate::class;
use crate::error::{ErrorKind, ObjectId, ParseError};
use crate::object::HEADER;
use crate::wire;

/// A policy element as it lies in its POLICY_DATA.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawElement<'a> {
    pub(super) offset: usize,
    /// P-Type.
    pub p_type: u16,
    /// The data after the 4-byte element header, in network byte order.
    pub data: &'a [u8],
    /// The element with its header.
    pub(super) bytes: &'a [u8],
}

impl RawElement<'_> {
    /// Bytes from the start of the message to the element's header.
    #[must_use]
    pub fn offset(&self) -> u16 {
        wire::clamp(self.offset)
    }

    /// A fault `at` bytes after the start of the element's header.
    #[cold]
    pub(super) fn fault(self, at: usize, kind: ErrorKind) -> ParseError {
        fault(self.offset.saturating_add(at), kind)
    }
}

/// A fault in the elements of a POLICY_DATA.
#[cold]
pub(super) fn fault(offset: usize, kind: ErrorKind) -> ParseError {
    let object = ObjectId {
        class: class::POLICY_DATA,
        c_type: 1,
    };
    ParseError {
        offset: wire::clamp(offset),
        object: Some(object),
        kind,
    }
}

/// Iterator over the elements of one POLICY_DATA as they lie in it. Ends after the first
/// error.
#[derive(Clone, Debug)]
pub struct RawElements<'a> {
    offset: usize,
    pub(super) rest: &'a [u8],
}

impl<'a> RawElements<'a> {
    /// The elements in `bytes`, which lie `offset` bytes after the start of their message.
    pub(super) const fn new(bytes: &'a [u8], offset: usize) -> Self {
        RawElements {
            offset,
            rest: bytes,
        }
    }

    /// The next element; `None` at the end, and for what is not an element.
    #[inline]
    pub(super) fn step(&mut self) -> Option<RawElement<'a>> {
        let (element, rest) = first(self.rest, self.offset)?;
        self.offset = self.offset.wrapping_add(padded(element.bytes.len()));
        self.rest = rest;
        Some(element)
    }

    /// The fault of the element that begins here; nothing follows it.
    #[cold]
    pub(super) fn stop(&mut self) -> ParseError {
        let left = wire::clamp(self.rest.len());
        let kind = match wire::u16(self.rest, 0) {
            Some(length @ 0..4) if left >= 4 => ErrorKind::Value {
                field: "policy element length",
                expected: "at least 4",
                found: length.into(),
            },
            length => ErrorKind::Overrun {
                part: "policy element",
                needed: length.map_or(4, u32::from).max(4),
                left,
            },
        };
        self.rest = &[];
        fault(self.offset, kind)
    }
}

impl<'a> Iterator for RawElements<'a> {
    type Item = Result<RawElement<'a>, ParseError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.step() {
            Some(element) => Some(Ok(element)),
            None if self.rest.is_empty() => None,
            None => Some(Err(self.stop())),
        }
    }
}

impl core::iter::FusedIterator for RawElements<'_> {}

/// The element at the start of `bytes`, and what follows it; `None` when it overruns them or is
/// shorter than its header. RFC 2750 says nothing of padding, RFC 3182 wants multiples of 4.
#[inline]
fn first(bytes: &[u8], offset: usize) -> Option<(RawElement<'_>, &[u8])> {
    let &[length1, length2, type1, type2] = bytes.first_chunk::<HEADER>()?;
    let length = usize::from(u16::from_be_bytes([length1, length2]));
    let element = RawElement {
        offset,
        p_type: u16::from_be_bytes([type1, type2]),
        data: bytes.get(HEADER..length)?,
        bytes: bytes.get(..length)?,
    };
    Some((element, bytes.get(padded(length)..).unwrap_or_default()))
}

/// The length of an element or attribute with its padding.
#[inline]
pub(super) const fn padded(length: usize) -> usize {
    length.wrapping_add(3) & !3
}
