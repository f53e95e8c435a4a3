//! What LPMs say about calls that fail.

use lpm_abi::AbiFailure;
use lpm_api::LpmStatus;

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
