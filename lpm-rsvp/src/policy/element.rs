//! Policy elements (RFC 2750 §3): length, P-Type, data.

use super::identity::Identity;
use super::preemption::PreemptionPriority;
use crate::error::{ErrorKind, ParseError};
use crate::object::{HEADER, RawObject};
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
    /// The object that holds the element.
    pub(super) object: RawObject<'a>,
    /// Where the element's header begins in the object's body.
    pub(super) at: usize,
    /// P-Type.
    pub p_type: u16,
    /// The data after the 4-byte element header, in network byte order.
    pub data: &'a [u8],
}

impl<'a> RawElement<'a> {
    /// Bytes from the start of the message to the element's header.
    pub fn offset(&self) -> u16 {
        self.fault(0, ErrorKind::Duplicate).offset
    }

    /// The element with its header; never `None` for an element that was walked to.
    pub(super) fn bytes(&self) -> Option<&'a [u8]> {
        let length = HEADER.saturating_add(self.data.len());
        self.object.body.get(self.at..)?.get(..length)
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
                PolicyElement::PreemptionPriority(PreemptionPriority::parse(&self)?)
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
    pub(super) fn fault(&self, at: usize, kind: ErrorKind) -> ParseError {
        self.object
            .fault(HEADER.saturating_add(self.at).saturating_add(at), kind)
    }
}

/// Iterator over the elements of one POLICY_DATA as they lie in it. Ends after the first
/// error.
#[derive(Clone, Debug)]
pub struct RawElements<'a> {
    object: RawObject<'a>,
    at: usize,
    rest: &'a [u8],
}

impl<'a> RawElements<'a> {
    pub(super) const fn new(object: RawObject<'a>, at: usize, rest: &'a [u8]) -> RawElements<'a> {
        RawElements { object, at, rest }
    }
}

impl<'a> Iterator for RawElements<'a> {
    type Item = Result<RawElement<'a>, ParseError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((length, p_type, data, padded)) = frame(self.rest) else {
            let needed = wire::u16(self.rest, 0).map_or(4, u32::from).max(4);
            let left = wire::clamp(self.rest.len());
            self.rest = &[];
            let kind = ErrorKind::Overrun {
                part: "policy element",
                needed,
                left,
            };
            return Some(Err(self.object.fault(HEADER.saturating_add(self.at), kind)));
        };
        let element = RawElement {
            object: self.object,
            at: self.at,
            p_type,
            data,
        };
        self.rest = self.rest.get(padded..).unwrap_or_default();
        self.at = self.at.saturating_add(padded);
        if length < HEADER {
            self.rest = &[];
            let found = u32::try_from(length).unwrap_or_default();
            let (field, expected) = ("policy element length", "at least 4");
            return Some(Err(element.fault(
                0,
                ErrorKind::Value {
                    field,
                    expected,
                    found,
                },
            )));
        }
        Some(Ok(element))
    }
}

impl core::iter::FusedIterator for RawElements<'_> {}

/// Length, type, data and padded length of the element at the start of `bytes`; `None` when
/// it overruns them. RFC 2750 says nothing of padding, RFC 3182 wants multiples of 4.
#[inline]
fn frame(bytes: &[u8]) -> Option<(usize, u16, &[u8], usize)> {
    let length = usize::from(wire::u16(bytes, 0)?);
    let kind = wire::u16(bytes, 2)?;
    let data = bytes.get(HEADER..length.max(HEADER))?;
    Some((
        length,
        kind,
        data,
        length.next_multiple_of(4).min(bytes.len()),
    ))
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
        self.0.next().map(|element| element?.read())
    }
}

impl core::iter::FusedIterator for Elements<'_> {}
