//! Policy elements (RFC 2750 §3): length, P-Type, data.

use super::identity::Identity;
use super::preemption::PreemptionPriority;
use crate::class;
use crate::error::{ErrorKind, ObjectId, ParseError};
use crate::object::HEADER;
use crate::wire;

/// P-Type numbers.
pub mod p_type {
    /// Preemption priority (RFC 3181).
    pub const PREEMPTION_PRI: u16 = 1;
    /// User identity (RFC 3182).
    pub const AUTH_USER: u16 = 2;
    /// Application identity (RFC 3182).
    pub const AUTH_APP: u16 = 3;
    /// Session authorization (RFC 3520).
    pub const AUTH_SESSION: u16 = 4;
    /// Admission priority (RFC 6401).
    pub const ADMISSION_PRI: u16 = 5;
    /// Application-level resource priority (RFC 6401).
    pub const APP_RESOURCE_PRI: u16 = 6;
}

/// A policy element, read by its P-Type.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum PolicyElement<'a> {
    /// P-Type 1 (RFC 3181).
    PreemptionPriority(PreemptionPriority),
    /// P-Type 2: the user (RFC 3182).
    AuthUser(Identity<'a>),
    /// P-Type 3: the application (RFC 3182).
    AuthApp(Identity<'a>),
    /// An element without data: deletes the state of its P-Type (RFC 2750 §3.4).
    Empty {
        /// The P-Type whose state goes.
        p_type: u16,
    },
    /// Any other P-Type.
    Unknown {
        /// The P-Type.
        p_type: u16,
        /// The data after the element header, in network byte order.
        data: &'a [u8],
    },
}

impl PolicyElement<'_> {
    /// The P-Type.
    pub const fn p_type(&self) -> u16 {
        match self {
            PolicyElement::PreemptionPriority(_) => p_type::PREEMPTION_PRI,
            PolicyElement::AuthUser(_) => p_type::AUTH_USER,
            PolicyElement::AuthApp(_) => p_type::AUTH_APP,
            PolicyElement::Empty { p_type } | PolicyElement::Unknown { p_type, .. } => *p_type,
        }
    }
}

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

impl<'a> RawElement<'a> {
    /// Bytes from the start of the message to the element's header.
    pub fn offset(&self) -> u16 {
        wire::clamp(self.offset)
    }

    /// Reads the element by its P-Type.
    ///
    /// # Errors
    /// Data that the P-Type does not have.
    #[inline]
    pub fn read(self) -> Result<PolicyElement<'a>, ParseError> {
        Ok(match self.p_type {
            p_type if self.data.is_empty() => PolicyElement::Empty { p_type },
            p_type::PREEMPTION_PRI => {
                PolicyElement::PreemptionPriority(PreemptionPriority::parse(self)?)
            }
            p_type::AUTH_USER => PolicyElement::AuthUser(Identity::new(self)),
            p_type::AUTH_APP => PolicyElement::AuthApp(Identity::new(self)),
            p_type => PolicyElement::Unknown {
                p_type,
                data: self.data,
            },
        })
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
    rest: &'a [u8],
}

impl<'a> RawElements<'a> {
    /// The elements in `bytes`, which lie `offset` bytes after the start of their message.
    pub(super) const fn new(bytes: &'a [u8], offset: usize) -> RawElements<'a> {
        RawElements {
            offset,
            rest: bytes,
        }
    }

    /// The next element; `None` at the end, and for what is not an element.
    #[inline]
    fn step(&mut self) -> Option<RawElement<'a>> {
        let (element, rest) = first(self.rest, self.offset)?;
        self.offset = self.offset.wrapping_add(padded(element.bytes.len()));
        self.rest = rest;
        Some(element)
    }

    /// The fault of the element that begins here; nothing follows it.
    #[cold]
    fn stop(&mut self) -> ParseError {
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

/// Iterator over the elements of one POLICY_DATA, read by their P-Types.
///
/// A fault in the data of one element is an error item and the next element follows; a fault
/// in the framing ends the iteration.
#[derive(Clone, Debug)]
pub struct Elements<'a>(RawElements<'a>);

impl<'a> Elements<'a> {
    pub(super) const fn new(raw: RawElements<'a>) -> Elements<'a> {
        Elements(raw)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<PolicyElement<'a>, ParseError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.0.step() {
            Some(element) => Some(element.read()),
            None if self.0.rest.is_empty() => None,
            None => Some(Err(self.0.stop())),
        }
    }
}

impl core::iter::FusedIterator for Elements<'_> {}
