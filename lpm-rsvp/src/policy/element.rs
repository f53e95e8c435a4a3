//! Policy elements, read by their P-Type (RFC 2750 §3).

use super::identity::Identity;
use super::preemption::PreemptionPriority;
use super::raw_element::{RawElement, RawElements};
use crate::error::ParseError;

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
    #[must_use]
    pub const fn p_type(&self) -> u16 {
        match self {
            PolicyElement::PreemptionPriority(_) => p_type::PREEMPTION_PRI,
            PolicyElement::AuthUser(_) => p_type::AUTH_USER,
            PolicyElement::AuthApp(_) => p_type::AUTH_APP,
            PolicyElement::Empty { p_type } | PolicyElement::Unknown { p_type, .. } => *p_type,
        }
    }
}

impl<'a> RawElement<'a> {
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
}

/// Iterator over the elements of one POLICY_DATA, read by their P-Types.
///
/// A fault in the data of one element is an error item and the next element follows; a fault
/// in the framing ends the iteration.
#[derive(Clone, Debug)]
pub struct Elements<'a>(RawElements<'a>);

impl<'a> Elements<'a> {
    pub(super) const fn new(raw: RawElements<'a>) -> Self {
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
