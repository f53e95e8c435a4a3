//! Policy element types an LPM serves.

use std::fmt;

/// The policy element type (P-Type, RFC 2750 §5) that an LPM serves, or all of them.
///
/// An LPM is asked about every message whatever its type; the type tells the PCM which policy
/// elements the LPM understands and may supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeType(u16);

impl PeType {
    /// All types (lpmapi `LPM_PE_ALL_TYPES`): decides on all policy data.
    pub const ALL: Self = Self(0);
    /// Preemption priority (RFC 3181).
    pub const PREEMPTION_PRI: Self = Self(1);
    /// User identity (RFC 3182; lpmapi `LPM_PE_USER_IDENTITY`).
    pub const AUTH_USER: Self = Self(2);
    /// Application identity (RFC 3182; lpmapi `LPM_PE_APP_IDENTITY`).
    pub const AUTH_APP: Self = Self(3);

    /// The type with this P-Type; 0 is [`ALL`](Self::ALL).
    #[must_use]
    pub const fn new(p_type: u16) -> Self {
        Self(p_type)
    }

    /// The P-Type, 0 for [`ALL`](Self::ALL).
    #[must_use]
    pub const fn p_type(self) -> u16 {
        self.0
    }

    /// Whether policy elements of this P-Type are the LPM's.
    #[must_use]
    pub const fn serves(self, p_type: u16) -> bool {
        self.0 == Self::ALL.0 || self.0 == p_type
    }
}

impl fmt::Display for PeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ALL => f.write_str("ALL_TYPES"),
            Self::PREEMPTION_PRI => f.write_str("PREEMPTION_PRI"),
            Self::AUTH_USER => f.write_str("AUTH_USER"),
            Self::AUTH_APP => f.write_str("AUTH_APP"),
            Self(p_type) => write!(f, "P-Type {p_type}"),
        }
    }
}
