//! What an LPM in a test is given.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lpm_api::Lpm;

use crate::config::LpmConfig;
use crate::source::LpmSource;

/// How long lifecycle calls may take, in real time: longer than any machine takes.
const PATIENCE: Duration = Duration::from_secs(3600);

/// How a [`TestPcm`](super::TestPcm) initializes its LPM.
#[derive(Clone, Debug)]
#[must_use]
pub struct TestPcmBuilder<L> {
    name: String,
    config: String,
    config_source: String,
    config_dir: Option<PathBuf>,
    result_time_limit: Duration,
    now: SystemTime,
    lpm: PhantomData<fn() -> L>,
}

impl<L: Lpm> TestPcmBuilder<L> {
    pub(super) fn new() -> Self {
        Self {
            name: String::from("test"),
            config: String::new(),
            config_source: String::from("configuration"),
            config_dir: None,
            result_time_limit: Duration::from_secs(5),
            now: UNIX_EPOCH + Duration::from_secs(1_767_268_800),
            lpm: PhantomData,
        }
    }

    /// The name that the configuration gives the LPM; default `test`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The LPM's configuration; default empty.
    pub fn config(mut self, text: impl Into<String>) -> Self {
        self.config = text.into();
        self
    }

    /// Where that comes from, for the LPM's error messages; default `configuration`.
    pub fn config_source(mut self, source: impl Into<String>) -> Self {
        self.config_source = source.into();
        self
    }

    /// The directory from which relative paths in the configuration are meant; has to be UTF-8.
    pub fn config_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.config_dir = Some(dir.into());
        self
    }

    /// How long answers that are put off may take, by the clock of the
    /// [`TestPcm`](super::TestPcm); default 5 s.
    pub const fn result_time_limit(mut self, limit: Duration) -> Self {
        self.result_time_limit = limit;
        self
    }

    /// What the clock shows at first; default noon (UTC) of 2026-01-01, a Thursday.
    pub const fn now(mut self, now: SystemTime) -> Self {
        self.now = now;
        self
    }

    /// The LPM as configured, and what the clock shows at first.
    pub(super) fn configured(self, source: LpmSource) -> (LpmConfig, SystemTime) {
        let config = LpmConfig::new(self.name, source)
            .config(self.config)
            .config_source(self.config_source)
            .result_time_limit(self.result_time_limit)
            .initialize_limit(PATIENCE)
            .deinitialize_limit(PATIENCE);
        let config = match self.config_dir {
            Some(dir) => config.config_dir(dir),
            None => config,
        };
        (config, self.now)
    }
}
