//! The policy element type that an LPM serves, in words.

use std::fmt;

/// The type with this number.
pub(crate) struct PeType(pub(crate) u16);

impl fmt::Display for PeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("all PE types"),
            pe_type => write!(f, "PE type {pe_type}"),
        }
    }
}
