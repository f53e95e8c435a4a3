//! Which credentials are believed.

use lpm_api::lpm_rsvp::Credential;

/// The credential types that can be accepted, by the name that the policy file gives them, with a
/// bit each.
const TYPES: [(&str, u8); 6] = [
    ("dn", 1),
    ("ascii_id", 2),
    ("unicode_id", 4),
    ("kerberos_ticket", 8),
    ("x509_certificate", 16),
    ("pgp_certificate", 32),
];

/// A set of credential types (RFC 3182 section 3.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CredentialTypes(u8);

impl CredentialTypes {
    /// A locator in clear text without any credential.
    pub const DN_ALONE: Self = Self(1);
    /// Simple authentication (RFC 3182 section 4.1): names that are taken at their word.
    pub const SIMPLE: Self = Self(1 | 2 | 4);

    /// The type with this name in the policy file.
    pub(super) fn named(name: &str) -> Option<Self> {
        let (_, bit) = TYPES.iter().find(|(known, _)| *known == name)?;
        Some(Self(*bit))
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        TYPES.iter().map(|(name, _)| *name)
    }

    /// Those of either set.
    pub(super) fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether all of the other set are in this one.
    fn include(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Whether the type of a credential is in this set, or that of a DN without any.
    pub(crate) fn include_that_of(self, credential: Option<&Credential<'_>>) -> bool {
        let types = credential.map_or(Some(Self::DN_ALONE), Self::of);
        types.is_some_and(|types| self.include(types))
    }

    /// The type of a credential; `None` for one that RFC 3182 does not know.
    fn of(credential: &Credential<'_>) -> Option<Self> {
        Some(Self(match credential {
            Credential::AsciiId(_) => 2,
            Credential::UnicodeId(_) => 4,
            Credential::KerberosTicket(_) => 8,
            Credential::X509Certificate(_) => 16,
            Credential::PgpCertificate(_) => 32,
            _ => return None,
        }))
    }
}

/// What is believed, with and without a verified INTEGRITY object (RFC 2747).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// `accept`: from every message.
    pub(super) always: CredentialTypes,
    /// `accept_with_integrity`: also from messages whose INTEGRITY the PCM verified.
    pub(super) with_integrity: CredentialTypes,
}

impl Authentication {
    /// The credentials that are believed of a message.
    #[must_use]
    pub fn accepted(&self, integrity_verified: bool) -> CredentialTypes {
        if integrity_verified {
            self.always.and(self.with_integrity)
        } else {
            self.always
        }
    }
}

impl Default for Authentication {
    fn default() -> Self {
        Self {
            always: CredentialTypes::SIMPLE,
            with_integrity: CredentialTypes::default(),
        }
    }
}
