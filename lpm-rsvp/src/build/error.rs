//! Why a message cannot be built.

use crate::error::ParseError;

/// Why a message cannot be built. Always the caller's to correct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The message, or an object or element in it, would be longer than its length field can
    /// say.
    #[error("{part} of {found} bytes; {limit} is the most there can be")]
    TooLong {
        /// What is too long.
        part: &'static str,
        /// Its length in bytes.
        found: usize,
        /// The greatest length.
        limit: usize,
    },
    /// A SCOPE with IPv4 and IPv6 addresses.
    #[error("a SCOPE of IPv4 and IPv6 addresses; it holds one family")]
    MixedScope,
    /// Addresses of both families in one list of a Srefresh.
    #[error("a list of IPv4 and IPv6 addresses; it holds one family")]
    MixedFamilies,
    /// A value that its field cannot hold.
    #[error("{field} is {found}; {limit} is the most there can be")]
    OutOfRange {
        /// The field's name in its RFC.
        field: &'static str,
        /// The value.
        found: u32,
        /// The greatest value.
        limit: u32,
    },
    /// A Bundle with nothing in it.
    #[error("a Bundle without a message")]
    EmptyBundle,
    /// A Bundle in a Bundle, which RFC 2961 §3.1 forbids.
    #[error("a Bundle in a Bundle")]
    NestedBundle,
    /// The values do not make a legal message; the offsets are those in the message that
    /// would have been built.
    #[error("the message would be refused: {0}")]
    Illegal(#[from] ParseError),
}
