//! Configuring a PCM.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::library::Staging;
use crate::lifecycle::Lifecycle;
use crate::{BuildError, EventLog, LpmConfig, NoDelete, Pcm, TracingEventLog};

/// Configures a [`Pcm`].
#[must_use]
pub struct PcmBuilder {
    configs: Vec<LpmConfig>,
    events: Arc<dyn EventLog>,
    staging_dir: Option<PathBuf>,
    no_delete: NoDelete,
    drain_limit: Duration,
}

impl PcmBuilder {
    pub(crate) fn new() -> Self {
        Self {
            configs: Vec::new(),
            events: Arc::new(TracingEventLog),
            staging_dir: None,
            no_delete: NoDelete::default(),
            drain_limit: Duration::from_secs(10),
        }
    }

    /// Adds an LPM; the order of addition is the configured order.
    pub fn lpm(mut self, config: LpmConfig) -> Self {
        self.configs.push(config);
        self
    }

    /// Where events go; default [`TracingEventLog`].
    pub fn event_log(mut self, events: impl EventLog + 'static) -> Self {
        self.events = Arc::new(events);
        self
    }

    /// The directory for the private copies that libraries are loaded from; default: a private
    /// directory below the system's for temporary files.
    pub fn staging_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.staging_dir = Some(dir.into());
        self
    }

    /// What to do with libraries that are linked as not to be unloaded; default [`NoDelete::Keep`].
    pub const fn no_delete(mut self, policy: NoDelete) -> Self {
        self.no_delete = policy;
        self
    }

    /// How long a stop waits for the calls into LPMs that are under way; default 10 s. LPMs whose
    /// calls take longer are not deinitialized, and their libraries stay mapped.
    pub const fn drain_limit(mut self, limit: Duration) -> Self {
        self.drain_limit = limit;
        self
    }

    /// The PCM, with no LPM loaded yet.
    ///
    /// # Errors
    ///
    /// No LPM, two of the same name, or a configuration directory that is not UTF-8.
    pub fn build(self) -> Result<Pcm, BuildError> {
        if self.configs.is_empty() {
            return Err(BuildError::NoLpms);
        }
        let mut names = BTreeSet::new();
        if let Some(twin) = self
            .configs
            .iter()
            .find(|config| !names.insert(config.name.clone()))
        {
            return Err(BuildError::DuplicateName {
                name: twin.name.clone(),
            });
        }
        let unusable = |config: &&LpmConfig| {
            let dir = config.config_dir.as_deref();
            dir.is_some_and(|dir| dir.to_str().is_none())
        };
        if let Some(config) = self.configs.iter().find(unusable) {
            return Err(BuildError::ConfigDir {
                name: config.name.clone(),
                path: config.config_dir.clone().unwrap_or_default(),
            });
        }
        let staging = self
            .staging_dir
            .map_or_else(Staging::new, Staging::in_directory);
        let staging = staging.no_delete(self.no_delete);
        Ok(Pcm::new(Lifecycle::new(
            self.configs,
            self.events,
            staging,
            self.drain_limit,
        )))
    }
}
