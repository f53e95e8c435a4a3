//! Objects as they lie in a message: header and body, not yet interpreted.

use core::hash::Hasher;
use core::net::{IpAddr, Ipv4Addr};

use crate::error::{ErrorKind, ObjectId, ParseError};
use crate::wire;

/// Length of an object header in bytes.
pub(crate) const HEADER: usize = 4;

/// Where an object lies in its message. The index that [`Message::parse`] makes consists of
/// these; the layout is fixed so that it can cross a library boundary as it is.
///
/// [`Message::parse`]: crate::Message::parse
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ObjectEntry {
    /// Bytes from the start of the message to the object's header.
    pub offset: u16,
    /// Length in bytes, the 4-byte header included.
    pub length: u16,
    /// Class number, see [`class`](crate::class).
    pub class: u8,
    /// C-Type.
    pub c_type: u8,
}

/// One object: header fields and the bytes after the header (RFC 2205 §3.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawObject<'a> {
    /// Bytes from the start of the message to the object's header.
    pub offset: u16,
    /// Class number, see [`class`](crate::class).
    pub class: u8,
    /// C-Type.
    pub c_type: u8,
    /// What follows the 4-byte header, in network byte order.
    pub body: &'a [u8],
}

/// A typed view of one object class.
pub trait Object<'a>: Sized {
    /// The class numbers that this type reads.
    const CLASSES: &'static [u8];

    /// Reads the object.
    ///
    /// # Errors
    /// C-Type, length or a value that the class does not have.
    fn parse(object: RawObject<'a>) -> Result<Self, ParseError>;
}

impl<'a> RawObject<'a> {
    /// Class and C-Type.
    #[must_use]
    pub const fn id(self) -> ObjectId {
        ObjectId {
            class: self.class,
            c_type: self.c_type,
        }
    }

    /// Reads the object as the given type.
    ///
    /// # Errors
    /// Those of the type; [`ErrorKind::UnknownClass`] when it is of another class.
    #[inline]
    pub fn read<T: Object<'a>>(self) -> Result<T, ParseError> {
        if T::CLASSES.contains(&self.class) {
            T::parse(self)
        } else {
            Err(self.fault(0, ErrorKind::UnknownClass))
        }
    }

    /// The layout that SESSION, RSVP_HOP, ERROR_SPEC, FILTER_SPEC and SENDER_TEMPLATE share:
    /// an address, then 4 bytes.
    #[inline]
    pub(crate) fn address_and_word(self, ipv6: bool) -> Result<(IpAddr, [u8; 4]), ParseError> {
        address_and_word(self.body, ipv6)
            .ok_or_else(|| self.body_length(if ipv6 { "20" } else { "8" }))
    }

    /// A fault of this object, `at` bytes after the start of its header.
    #[cold]
    pub(crate) fn fault(self, at: usize, kind: ErrorKind) -> ParseError {
        ParseError {
            offset: self.offset.saturating_add(wire::clamp(at)),
            object: Some(self.id()),
            kind,
        }
    }

    #[cold]
    pub(crate) fn unknown_c_type(self) -> ParseError {
        self.fault(3, ErrorKind::UnknownCType)
    }

    #[cold]
    pub(crate) fn body_length(self, expected: &'static str) -> ParseError {
        let found = wire::clamp(self.body.len());
        self.fault(0, ErrorKind::BodyLength { expected, found })
    }

    /// A field with a wrong value, `at` bytes after the start of the body.
    #[cold]
    pub(crate) fn value(
        self,
        at: usize,
        field: &'static str,
        expected: &'static str,
        found: impl Into<u32>,
    ) -> ParseError {
        let kind = ErrorKind::Value {
            field,
            expected,
            found: found.into(),
        };
        self.fault(at.saturating_add(HEADER), kind)
    }
}

/// See [`RawObject::address_and_word`]; `None` for another length.
#[inline]
pub(crate) fn address_and_word(body: &[u8], ipv6: bool) -> Option<(IpAddr, [u8; 4])> {
    if ipv6 {
        let body: &[u8; 20] = body.try_into().ok()?;
        return Some((wire::ipv6(body, 0)?, *body.last_chunk()?));
    }
    let [a, b, c, d, word @ ..] = <&[u8; 8]>::try_from(body).ok()?;
    Some((IpAddr::V4(Ipv4Addr::from([*a, *b, *c, *d])), *word))
}

/// Hashes an address as one number.
#[inline]
pub(crate) fn hash_address(address: IpAddr, state: &mut impl Hasher) {
    match address {
        IpAddr::V4(address) => state.write_u32(address.to_bits()),
        IpAddr::V6(address) => state.write_u128(address.to_bits()),
    }
}

/// Walks objects that lie one after another: those of a message, or the options of a
/// POLICY_DATA. Ends after the first error.
#[derive(Clone, Debug)]
pub struct ObjectWalk<'a> {
    rest: &'a [u8],
    offset: u16,
}

impl<'a> ObjectWalk<'a> {
    /// Walks `bytes`, which lie `offset` bytes after the start of their message.
    #[must_use]
    pub const fn new(bytes: &'a [u8], offset: u16) -> Self {
        ObjectWalk {
            rest: bytes,
            offset,
        }
    }
}

impl<'a> Iterator for ObjectWalk<'a> {
    type Item = Result<RawObject<'a>, ParseError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.step() {
            Some((_, object)) => Some(Ok(object)),
            None if self.rest.is_empty() => None,
            None => Some(Err(self.stop())),
        }
    }
}

impl<'a> ObjectWalk<'a> {
    /// The next object; `None` at the end, and for what is not an object.
    #[inline]
    pub(crate) fn step(&mut self) -> Option<(ObjectEntry, RawObject<'a>)> {
        let (&[len1, len2, class, c_type], content) = self.rest.split_first_chunk::<HEADER>()?;
        let length = u16::from_be_bytes([len1, len2]);
        // Less than a header, or not a multiple of 4, is far too much once rotated.
        let words = length.rotate_right(2).wrapping_sub(1);
        let (body, rest) = content.split_at_checked(usize::from(words).wrapping_mul(4))?;
        let offset = self.offset;
        self.rest = rest;
        self.offset = offset.wrapping_add(length);
        let entry = ObjectEntry {
            offset,
            length,
            class,
            c_type,
        };
        let object = RawObject {
            offset,
            class,
            c_type,
            body,
        };
        Some((entry, object))
    }

    /// The fault of what was not walked.
    #[inline]
    pub(crate) fn finish(mut self) -> Result<(), ParseError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.stop())
        }
    }

    /// The fault of the object that begins here; nothing follows it.
    #[cold]
    fn stop(&mut self) -> ParseError {
        let left = wire::clamp(self.rest.len());
        let found = wire::u16(self.rest, 0).unwrap_or_default();
        let object = match (wire::u8(self.rest, 2), wire::u8(self.rest, 3)) {
            (Some(class), Some(c_type)) => Some(ObjectId { class, c_type }),
            _ => None,
        };
        self.rest = &[];
        ParseError {
            offset: self.offset,
            object,
            kind: ErrorKind::ObjectLength { found, left },
        }
    }
}

impl core::iter::FusedIterator for ObjectWalk<'_> {}

/// The objects of a [`Message`](crate::Message), in its order.
#[derive(Clone, Debug)]
pub struct Objects<'a> {
    bytes: &'a [u8],
    entries: core::slice::Iter<'a, ObjectEntry>,
}

impl<'a> Objects<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], entries: &'a [ObjectEntry]) -> Self {
        Objects {
            bytes,
            entries: entries.iter(),
        }
    }
}

impl<'a> Objects<'a> {
    /// The next object of a class.
    #[inline]
    pub(crate) fn next_of(&mut self, class: u8) -> Option<RawObject<'a>> {
        // Searched in a copy, which stays in registers.
        let mut entries = self.entries.clone();
        let found = entries.find(|entry| entry.class == class);
        self.entries = entries;
        Some(found?.object(self.bytes))
    }
}

impl<'a> Iterator for Objects<'a> {
    type Item = RawObject<'a>;

    #[inline]
    fn next(&mut self) -> Option<RawObject<'a>> {
        self.entries.next().map(|entry| entry.object(self.bytes))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for Objects<'_> {}
impl core::iter::FusedIterator for Objects<'_> {}

impl ObjectEntry {
    /// The object this entry points to; its body is empty when the entry points outside of
    /// `message`.
    #[inline]
    #[must_use]
    pub fn object<'a>(&self, message: &'a [u8]) -> RawObject<'a> {
        RawObject {
            offset: self.offset,
            class: self.class,
            c_type: self.c_type,
            body: self.body(message),
        }
    }

    /// The body of [`object`](Self::object).
    #[inline]
    pub(crate) fn body<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        let start = usize::from(self.offset).saturating_add(HEADER);
        let end = usize::from(self.offset).saturating_add(usize::from(self.length));
        message.get(start..end).unwrap_or_default()
    }
}
