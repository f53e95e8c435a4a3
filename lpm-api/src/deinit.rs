//! Why an LPM is deinitialized, and how it says that this went wrong.

use std::fmt;
use std::num::NonZeroU32;

use lpm_abi::LpmStatus;

/// Why the PCM deinitializes an LPM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeinitReason {
    /// The node is no longer the Designated Subnet Bandwidth Manager.
    Demotion,
    /// The system, or the PCM's program, shuts down.
    Shutdown,
    /// The LPM is no longer configured, or is configured differently.
    Reconfiguration,
}

impl DeinitReason {
    /// The reason in one lower-case word, as in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Demotion => "demotion",
            Self::Shutdown => "shutdown",
            Self::Reconfiguration => "reconfiguration",
        }
    }
}

impl fmt::Display for DeinitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something went wrong in [`deinitialize`](crate::Lpm::deinitialize). The LPM is gone all the
/// same; the PCM records status and message in the event log with the library's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DeinitError {
    status: NonZeroU32,
    message: String,
}

impl DeinitError {
    /// An error with a status of the LPM's own and a message for the operator.
    #[must_use]
    pub fn new(status: NonZeroU32, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// The status, never [`LpmStatus::OK`].
    #[must_use]
    pub const fn status(&self) -> LpmStatus {
        LpmStatus(self.status.get())
    }
}
