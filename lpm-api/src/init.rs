//! What an LPM is told when it is initialized, and how it refuses.

use std::io;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use lpm_abi::{LpmHandle, LpmStatus};

use crate::callbacks::PcmCallbacks;

/// What the PCM tells an LPM as it initializes it (lpmapi `LPM_INIT_INFO` and the LPM's handle).
#[derive(Clone, Copy, Debug)]
pub struct InitInfo<'a> {
    pub(crate) handle: LpmHandle,
    pub(crate) name: &'a str,
    pub(crate) config: &'a str,
    pub(crate) config_source: &'a str,
    pub(crate) config_dir: Option<&'a str>,
    pub(crate) result_time_limit: Duration,
    pub(crate) lpm_count: u32,
    pub(crate) pcm_version: u32,
    pub(crate) callbacks: PcmCallbacks,
}

impl<'a> InitInfo<'a> {
    /// The handle of this initialization. A library that is configured several times is
    /// initialized as often, each time with a handle of its own.
    #[must_use]
    pub const fn handle(&self) -> LpmHandle {
        self.handle
    }

    /// The name the PCM's configuration gives this LPM.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// The LPM's configuration, a text whose form the LPM defines; empty where there is none.
    #[must_use]
    pub const fn config(&self) -> &'a str {
        self.config
    }

    /// Where [`config`](Self::config) comes from, for error messages: a file's name, say.
    #[must_use]
    pub const fn config_source(&self) -> &'a str {
        self.config_source
    }

    /// The directory from which relative paths in the configuration are meant; `None` is the
    /// process's working directory.
    #[must_use]
    pub fn config_dir(&self) -> Option<&'a Path> {
        self.config_dir.map(Path::new)
    }

    /// How long an answer may take, a [deferred](crate::AdmitRequest::defer) one included; the PCM
    /// rejects what is not answered by then.
    #[must_use]
    pub const fn result_time_limit(&self) -> Duration {
        self.result_time_limit
    }

    /// How many LPMs the PCM is configured with, this one included.
    #[must_use]
    pub const fn lpm_count(&self) -> u32 {
        self.lpm_count
    }

    /// The version of the API that the PCM speaks; 1 for this one.
    #[must_use]
    pub const fn pcm_version(&self) -> u32 {
        self.pcm_version
    }

    /// The PCM's callbacks for deferred results; adapters want them, other LPMs do not.
    #[must_use]
    pub const fn callbacks(&self) -> PcmCallbacks {
        self.callbacks
    }
}

/// Why an LPM cannot be initialized. The PCM records it in the event log and unloads the library
/// (the value other than `LPM_OK` that `LPM_Initialize` returns).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InitError {
    status: NonZeroU32,
    message: String,
}

impl InitError {
    /// An error with a status of the LPM's own and a message for the operator: what is wrong,
    /// where, and what to do.
    #[must_use]
    pub fn new(status: NonZeroU32, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// The LPM cannot use its configuration; status [`LpmStatus::BAD_CONFIGURATION`].
    ///
    /// ```
    /// use lpm_api::{InitError, InitInfo};
    ///
    /// fn max_flows(init: &InitInfo<'_>) -> Result<u32, InitError> {
    ///     let text = init.config();
    ///     text.parse().map_err(|_| {
    ///         let source = init.config_source();
    ///         InitError::config(format!("{source}: expected a number of flows, found `{text}`"))
    ///     })
    /// }
    /// ```
    #[must_use]
    pub fn config(message: impl Into<String>) -> Self {
        const BAD_CONFIGURATION: NonZeroU32 =
            NonZeroU32::new(LpmStatus::BAD_CONFIGURATION.0).unwrap();
        Self::new(BAD_CONFIGURATION, message)
    }

    /// Something that the LPM needs failed: a file, a server; status [`LpmStatus::FAILED`].
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        const FAILED: NonZeroU32 = NonZeroU32::new(LpmStatus::FAILED.0).unwrap();
        Self::new(FAILED, message)
    }

    /// The status, never [`LpmStatus::OK`].
    #[must_use]
    pub const fn status(&self) -> LpmStatus {
        LpmStatus(self.status.get())
    }
}

/// As [`InitError::failed`] with the error's own message; say which file with `failed`.
impl From<io::Error> for InitError {
    fn from(error: io::Error) -> Self {
        Self::failed(error.to_string())
    }
}
