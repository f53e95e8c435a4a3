//! What LPMs say about calls that fail.

use lpm_abi::AbiFailure;
use lpm_api::LpmStatus;

use super::compatibility::Incompatibility;

/// What an LPM said about a call that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({status})")]
#[non_exhaustive]
pub struct LpmError {
    /// The status it returned.
    pub status: LpmStatus,
    /// In its own words.
    pub message: String,
}

impl From<AbiFailure> for LpmError {
    fn from(failure: AbiFailure) -> Self {
        Self {
            status: LpmStatus(failure.status),
            // Copied, since the text is the library's memory.
            message: String::from(failure.message.as_str()),
        }
    }
}

/// What comes of asking an LPM to hand over its state, or to take some over, where that fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandOverFailed {
    #[error(transparent)]
    Lpm(#[from] LpmError),
    #[error(
        "it does not take over state at all: it was built against an older lpm-api, or is in C"
    )]
    NotOffered,
    #[error("how it hands over state is not what this host knows: {0}")]
    Incompatible(Incompatibility),
    #[error("{found} bytes, of which {limit} are taken")]
    TooLarge { found: usize, limit: u64 },
}

impl From<Incompatibility> for HandOverFailed {
    fn from(difference: Incompatibility) -> Self {
        Self::Incompatible(difference)
    }
}
