//! State that an LPM leaves to the one that takes its place.

/// What an LPM hands over ([`Lpm::hand_over`](crate::Lpm::hand_over)) and its successor takes over
/// ([`Lpm::take_over`](crate::Lpm::take_over)). Bytes, since the two may be built from different
/// versions of the LPM's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// The version of the bytes' format; the LPM counts it as it likes.
    pub format: u32,
    /// The state. How much the PCM takes, it says: an LPM with more hands over nothing.
    pub bytes: Vec<u8>,
}

/// An LPM cannot use what was handed over, and starts with nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TakeOverRefused(String);

impl TakeOverRefused {
    /// With a message for the operator: what is wrong with the state.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The LPM does not read this format.
    #[must_use]
    pub fn unknown_format(found: u32) -> Self {
        Self(format!(
            "state of format {found}, which this LPM does not read"
        ))
    }
}
