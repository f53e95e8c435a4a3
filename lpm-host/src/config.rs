//! Which LPMs a PCM runs, and within which limits.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::LpmLibrary;

/// One configured LPM. The same library may be configured several times: it is loaded once and
/// initialized as often.
#[derive(Clone, Debug)]
pub struct LpmConfig {
    pub(crate) name: Arc<str>,
    pub(crate) library: LpmLibrary,
    pub(crate) config: String,
    pub(crate) config_source: String,
    pub(crate) config_dir: Option<PathBuf>,
    pub(crate) optional: bool,
    pub(crate) result_time_limit: Duration,
    pub(crate) initialize_limit: Duration,
    pub(crate) deinitialize_limit: Duration,
}

impl LpmConfig {
    /// An LPM under this name, which events and verdicts show, from this library.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, library: LpmLibrary) -> Self {
        Self {
            name: name.into(),
            library,
            config: String::new(),
            config_source: String::from("configuration"),
            config_dir: None,
            optional: false,
            result_time_limit: Duration::from_secs(5),
            initialize_limit: Duration::from_secs(30),
            deinitialize_limit: Duration::from_secs(30),
        }
    }

    /// The text handed to the LPM as its configuration; default empty.
    #[must_use]
    pub fn config(mut self, text: impl Into<String>) -> Self {
        self.config = text.into();
        self
    }

    /// Where that text comes from, for the LPM's error messages; default `configuration`.
    #[must_use]
    pub fn config_source(mut self, source: impl Into<String>) -> Self {
        self.config_source = source.into();
        self
    }

    /// The directory from which relative paths in that text are meant; default: the process's
    /// working directory. Has to be UTF-8.
    #[must_use]
    pub fn config_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.config_dir = Some(dir.into());
        self
    }

    /// Whether the PCM becomes ready without this LPM where it does not load or initialize;
    /// default `false`.
    #[must_use]
    pub const fn optional(mut self, optional: bool) -> Self {
        self.optional = optional;
        self
    }

    /// The result time limit that the LPM is told; default 5 s. Answers are synchronous, and this
    /// version does not enforce it.
    #[must_use]
    pub const fn result_time_limit(mut self, limit: Duration) -> Self {
        self.result_time_limit = limit;
        self
    }

    /// How long loading the library and `initialize` may take together; default 30 s. An LPM that
    /// takes longer counts as failed, and its library stays mapped.
    #[must_use]
    pub const fn initialize_limit(mut self, limit: Duration) -> Self {
        self.initialize_limit = limit;
        self
    }

    /// How long `deinitialize` may take; default 30 s. The library of an LPM that takes longer
    /// stays mapped.
    #[must_use]
    pub const fn deinitialize_limit(mut self, limit: Duration) -> Self {
        self.deinitialize_limit = limit;
        self
    }

    /// The configured name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The configured library.
    #[must_use]
    pub const fn library(&self) -> &LpmLibrary {
        &self.library
    }
}
