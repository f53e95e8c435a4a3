//! Configuring a PCM.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::After;
use crate::life::lifecycle::Lifecycle;
use crate::{
    BuildError, EventLog, LpmConfig, ManualClock, NoDelete, Pcm, TraceLimit, TracingEventLog,
};
use libunload::Copies;

/// Configures a [`Pcm`].
#[must_use]
pub struct PcmBuilder {
    configs: Vec<LpmConfig>,
    events: Arc<dyn EventLog>,
    staging_dir: Option<PathBuf>,
    no_delete: NoDelete,
    trace_limit: TraceLimit,
    drain_limit: Duration,
    clock: Option<ManualClock>,
}

impl PcmBuilder {
    pub(crate) fn new() -> Self {
        Self {
            configs: Vec::new(),
            events: Arc::new(TracingEventLog),
            staging_dir: None,
            no_delete: NoDelete::default(),
            trace_limit: TraceLimit::default(),
            drain_limit: Duration::from_secs(10),
            clock: None,
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

    /// How many events and spans of each library go to the host's `tracing` subscriber; default
    /// [`TraceLimit::default`].
    pub const fn trace_limit(mut self, limit: TraceLimit) -> Self {
        self.trace_limit = limit;
        self
    }

    /// How long a stop waits for the calls into LPMs that are under way; default 10 s. LPMs whose
    /// calls take longer are not deinitialized, and their libraries stay mapped.
    pub const fn drain_limit(mut self, limit: Duration) -> Self {
        self.drain_limit = limit;
        self
    }

    /// Has result time limits counted by this clock instead of the system's.
    pub fn clock(mut self, clock: &ManualClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// The PCM, with no LPM loaded yet.
    ///
    /// # Errors
    ///
    /// No LPM, two of the same name, a configuration directory that is not UTF-8, or an LPM that is
    /// to come [after](LpmConfig::after) one that is not configured before it.
    pub fn build(self) -> Result<Pcm, BuildError> {
        check(&self.configs)?;
        let staging = self
            .staging_dir
            .map_or_else(Copies::new, Copies::in_directory);
        let staging = staging.no_delete(self.no_delete);
        let lifecycle = Lifecycle::new(
            self.configs,
            self.events,
            staging,
            self.trace_limit,
            self.drain_limit,
            self.clock.as_ref(),
        );
        let lifecycle = Arc::new(lifecycle);
        if let Some(clock) = &self.clock {
            clock.drives(&lifecycle);
        }
        Ok(Pcm::new(lifecycle))
    }
}

/// Whether a PCM can run these LPMs.
pub(crate) fn check(configs: &[LpmConfig]) -> Result<(), BuildError> {
    if configs.is_empty() {
        return Err(BuildError::NoLpms);
    }
    let mut names = BTreeSet::new();
    for config in configs {
        if let After::Named(others) = &config.after {
            if let Some(other) = others.iter().find(|other| !names.contains(other)) {
                return Err(BuildError::After {
                    name: config.name.clone(),
                    other: Arc::clone(other),
                });
            }
        }
        if !names.insert(&config.name) {
            return Err(BuildError::DuplicateName {
                name: config.name.clone(),
            });
        }
        let dir = config.config_dir.as_ref();
        if let Some(path) = dir.filter(|path| path.to_str().is_none()) {
            return Err(BuildError::ConfigDir {
                name: config.name.clone(),
                path: path.clone(),
            });
        }
    }
    Ok(())
}
