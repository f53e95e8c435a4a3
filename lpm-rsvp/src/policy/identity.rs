//! AUTH_USER and AUTH_APP (RFC 3182 §3): the identity of a user or an application.

use core::fmt;

use super::raw_element::{RawElement, fault, padded};
use super::text::{Text, TextEncoding};
use crate::error::{ErrorKind, ParseError};
use crate::wire;

/// Length of an attribute header, and of an element header.
const HEADER: usize = 4;

/// An identity: a list of attributes.
#[derive(Clone, Copy, PartialEq)]
pub struct Identity<'a>(RawElement<'a>);

impl<'a> Identity<'a> {
    pub(super) const fn new(element: RawElement<'a>) -> Self {
        Identity(element)
    }

    /// The element itself.
    #[must_use]
    pub const fn element(&self) -> RawElement<'a> {
        self.0
    }

    /// The attributes, in order.
    #[inline]
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        Attributes {
            offset: self.0.offset.wrapping_add(HEADER),
            rest: self.0.data,
        }
    }

    /// The first locator in clear text: the distinguished name (RFC 1779) under which the
    /// policy of this user or application is found. Attributes past a fault do not count.
    #[must_use]
    pub fn locator(&self) -> Option<Text<'a>> {
        self.valid().find_map(|attribute| match attribute {
            Attribute::PolicyLocator(locator) => locator.text(),
            _ => None,
        })
    }

    /// The first credential. Attributes past a fault do not count.
    #[must_use]
    pub fn credential(&self) -> Option<Credential<'a>> {
        self.valid().find_map(|attribute| match attribute {
            Attribute::Credential(credential) => Some(credential),
            _ => None,
        })
    }

    /// The name: the [locator](Self::locator), or else that of the [credential](Self::credential).
    /// It is what the sender says; nothing has proved it.
    #[must_use]
    pub fn name(&self) -> Option<Text<'a>> {
        self.locator().or_else(|| self.credential()?.text())
    }

    /// What the digital signature covers, with the signature: the whole element, header
    /// included, up to the DIGITAL_SIGNATURE attribute, which is the last (RFC 3182 §3.3.3).
    /// `None` when there is no signature or attributes follow it.
    #[must_use]
    pub fn signed(&self) -> Option<(&'a [u8], &'a [u8])> {
        let mut attributes = self.attributes();
        loop {
            let left = attributes.rest.len();
            if let Attribute::DigitalSignature(signature) = attributes.next()?.ok()? {
                let covered = self.0.bytes.len().checked_sub(left)?;
                let last = attributes.next().is_none();
                return last.then_some((self.0.bytes.get(..covered)?, signature));
            }
        }
    }

    fn valid(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        self.attributes().map_while(Result::ok)
    }
}

impl fmt::Debug for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity ")?;
        f.debug_list().entries(self.valid()).finish()
    }
}

/// One attribute of an identity.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Attribute<'a> {
    /// A-Type 1: where the policy is found.
    PolicyLocator(Locator<'a>),
    /// A-Type 2: the proof of identity.
    Credential(Credential<'a>),
    /// A-Type 3: a signature over all that comes before it.
    DigitalSignature(&'a [u8]),
    /// A-Type 4: why the identity was not accepted (in PathErr and ResvErr).
    PolicyError(PolicyErrorObject<'a>),
    /// Any other A-Type; 128 and up are private.
    Unknown {
        /// The A-Type.
        a_type: u8,
        /// The SubType.
        sub_type: u8,
        /// The value after the attribute header.
        value: &'a [u8],
    },
}

/// A policy locator: a distinguished name (RFC 1779), in clear or encrypted.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Locator<'a> {
    /// SubType 1 ASCII_DN or 2 UNICODE_DN.
    Name(Text<'a>),
    /// SubType 3 ASCII_DN_ENCRYPT or 4 UNICODE_DN_ENCRYPT: encrypted with the Kerberos session
    /// key or the user's private key.
    Encrypted {
        /// Whether the name is UTF-16 once decrypted.
        unicode: bool,
        /// The encrypted name.
        value: &'a [u8],
    },
    /// Any other SubType.
    Unknown {
        /// The SubType.
        sub_type: u8,
        /// The value after the attribute header.
        value: &'a [u8],
    },
}

/// A credential.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Credential<'a> {
    /// SubType 1 ASCII_ID: a name, without proof.
    AsciiId(Text<'a>),
    /// SubType 2 UNICODE_ID: a name in UTF-16, without proof.
    UnicodeId(Text<'a>),
    /// SubType 3 KERBEROS_TKT: a Kerberos ticket.
    KerberosTicket(&'a [u8]),
    /// SubType 4 X509_V3_CERT.
    X509Certificate(&'a [u8]),
    /// SubType 5 PGP_CERT.
    PgpCertificate(&'a [u8]),
    /// Any other SubType.
    Unknown {
        /// The SubType.
        sub_type: u8,
        /// The value after the attribute header.
        value: &'a [u8],
    },
}

impl<'a> Locator<'a> {
    /// The name, when it is in clear text.
    #[must_use]
    pub const fn text(&self) -> Option<Text<'a>> {
        match self {
            Locator::Name(text) => Some(*text),
            Locator::Encrypted { .. } | Locator::Unknown { .. } => None,
        }
    }

    #[inline]
    fn new(sub_type: u8, value: &'a [u8]) -> Self {
        match sub_type {
            1 => Locator::Name(Text::ascii(value)),
            2 => Locator::Name(Text::utf16(value)),
            3 => Locator::Encrypted {
                unicode: false,
                value,
            },
            4 => Locator::Encrypted {
                unicode: true,
                value,
            },
            sub_type => Locator::Unknown { sub_type, value },
        }
    }

    /// The SubType on the wire.
    #[must_use]
    pub const fn sub_type(&self) -> u8 {
        match self {
            Locator::Name(text) => match text.encoding() {
                TextEncoding::Ascii => 1,
                TextEncoding::Utf16Be | TextEncoding::Utf16Le => 2,
            },
            Locator::Encrypted { unicode: false, .. } => 3,
            Locator::Encrypted { unicode: true, .. } => 4,
            Locator::Unknown { sub_type, .. } => *sub_type,
        }
    }
}

impl<'a> Credential<'a> {
    /// The name, for the credentials that are one.
    #[must_use]
    pub const fn text(&self) -> Option<Text<'a>> {
        match self {
            Credential::AsciiId(text) | Credential::UnicodeId(text) => Some(*text),
            _ => None,
        }
    }

    /// The SubType on the wire.
    #[must_use]
    pub const fn sub_type(&self) -> u8 {
        match self {
            Credential::AsciiId(_) => 1,
            Credential::UnicodeId(_) => 2,
            Credential::KerberosTicket(_) => 3,
            Credential::X509Certificate(_) => 4,
            Credential::PgpCertificate(_) => 5,
            Credential::Unknown { sub_type, .. } => *sub_type,
        }
    }

    #[inline]
    fn new(sub_type: u8, value: &'a [u8]) -> Self {
        match sub_type {
            1 => Credential::AsciiId(Text::ascii(value)),
            2 => Credential::UnicodeId(Text::utf16(value)),
            3 => Credential::KerberosTicket(value),
            4 => Credential::X509Certificate(value),
            5 => Credential::PgpCertificate(value),
            sub_type => Credential::Unknown { sub_type, value },
        }
    }
}

/// POLICY_ERROR_OBJECT (RFC 3182 §3.3.4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyErrorObject<'a> {
    /// ErrorValue.
    pub error: PolicyErrorValue,
    /// Further detail, a text as a rule.
    pub detail: &'a [u8],
}

/// The error values of RFC 3182 §3.3.4.
///
/// Not to be confused with the values of an ERROR_SPEC of code 2 (RFC 2750) nor with the
/// `POLICY_ERRV_*` of the LPM API: the same small numbers mean other things there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum PolicyErrorValue {
    /// 1: no further information.
    NoMoreInfo,
    /// 2: this type of credential is not supported.
    UnsupportedCredentialType,
    /// 3: the privileges do not suffice.
    InsufficientPrivileges,
    /// 4: the credential has expired.
    ExpiredCredential,
    /// 5: the identity has changed.
    IdentityChanged,
    /// Any other number; 32768 and up are private.
    Other(u16),
}

impl PolicyErrorValue {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::NoMoreInfo => 1,
            Self::UnsupportedCredentialType => 2,
            Self::InsufficientPrivileges => 3,
            Self::ExpiredCredential => 4,
            Self::IdentityChanged => 5,
            Self::Other(number) => number,
        }
    }
}

impl From<u16> for PolicyErrorValue {
    fn from(number: u16) -> Self {
        match number {
            1 => Self::NoMoreInfo,
            2 => Self::UnsupportedCredentialType,
            3 => Self::InsufficientPrivileges,
            4 => Self::ExpiredCredential,
            5 => Self::IdentityChanged,
            number => Self::Other(number),
        }
    }
}

impl fmt::Display for PolicyErrorValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMoreInfo => "no more information",
            Self::UnsupportedCredentialType => "unsupported credential type",
            Self::InsufficientPrivileges => "insufficient privileges",
            Self::ExpiredCredential => "expired credential",
            Self::IdentityChanged => "identity changed",
            Self::Other(number) => return write!(f, "policy error {number}"),
        })
    }
}

/// Iterator over the attributes of an [`Identity`]. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    offset: usize,
    rest: &'a [u8],
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, ParseError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let Some((attribute, length)) = first(self.rest) else {
            return match self.rest {
                [] => None,
                _ => Some(Err(self.stop())),
            };
        };
        let length = padded(length.into());
        self.offset = self.offset.wrapping_add(length);
        self.rest = self.rest.get(length..).unwrap_or_default();
        Some(Ok(attribute))
    }
}

impl Attributes<'_> {
    /// The fault of the attribute that begins here; nothing follows it.
    #[cold]
    fn stop(&mut self) -> ParseError {
        let rest = core::mem::take(&mut self.rest);
        let left = wire::clamp(rest.len());
        let overrun = |part, needed| ErrorKind::Overrun { part, needed, left };
        let kind = match rest.first_chunk::<HEADER>() {
            None => overrun("attribute header", 4),
            Some(&[length1, length2, a_type, _]) => {
                let length = u16::from_be_bytes([length1, length2]);
                let minimum = if a_type == POLICY_ERROR { 8 } else { 4 };
                if (4..=left).contains(&length) {
                    ErrorKind::Value {
                        field: "POLICY_ERROR_OBJECT length",
                        expected: "at least 8",
                        found: length.into(),
                    }
                } else {
                    overrun("attribute", length.max(minimum).into())
                }
            }
        };
        fault(self.offset, kind)
    }
}

impl core::iter::FusedIterator for Attributes<'_> {}

/// The A-Type of a POLICY_ERROR_OBJECT.
const POLICY_ERROR: u8 = 4;

/// The attribute at the start of `bytes` and its length without padding; `None` when it overruns
/// them or is shorter than its type wants.
#[inline]
fn first(bytes: &[u8]) -> Option<(Attribute<'_>, u16)> {
    let &[length1, length2, a_type, sub_type] = bytes.first_chunk::<HEADER>()?;
    let length = u16::from_be_bytes([length1, length2]);
    let value = bytes.get(HEADER..length.into())?;
    let attribute = match a_type {
        1 => Attribute::PolicyLocator(Locator::new(sub_type, value)),
        2 => Attribute::Credential(Credential::new(sub_type, value)),
        3 => Attribute::DigitalSignature(value),
        POLICY_ERROR => Attribute::PolicyError(PolicyErrorObject {
            error: PolicyErrorValue::from(wire::u16(value, 2)?),
            detail: value.get(4..)?,
        }),
        a_type => Attribute::Unknown {
            a_type,
            sub_type,
            value,
        },
    };
    Some((attribute, length))
}
