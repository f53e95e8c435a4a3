//! The Policy Control Module.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use lpm_api::{DeinitReason, LpmStatus};

use crate::Verdict;
use crate::admit::decide;
use crate::library::gate::{Gate, Reason, inside_any_pass};
use crate::library::{Instance, LoadedModule, Staging};
use crate::startup::Starting;
use crate::teardown::{self, Teardown};
use crate::{
    BuildError, DeinitializedLpm, InitializedLpm, LpmFailure, PcmError, StartError, Startup,
};
use crate::{
    Event, EventId, EventLog, LpmConfig, NoDelete, PinReason, ReceivedMessage, TracingEventLog,
};

/// A Policy Control Module: runs LPMs and combines their decisions.
///
/// Shared by reference between threads: any number of them may [`admit`](Self::admit) while
/// another starts or stops the LPMs. Dropping it shuts it down.
pub struct Pcm {
    active: Gate<Active>,
    /// Held while LPMs are started or stopped.
    phase: Mutex<Phase>,
    configs: Vec<LpmConfig>,
    events: Arc<dyn EventLog>,
    staging: Staging,
    drain_limit: Duration,
}

/// The LPMs that are asked, in configured order.
struct Active {
    in_charge: bool,
    lpms: Vec<Instance>,
}

/// Where the PCM is in its life.
enum Phase {
    Standby,
    InCharge { modules: Vec<Arc<LoadedModule>> },
    ShutDown,
}

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
    /// No LPM, or two of the same name.
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
        let staging = self
            .staging_dir
            .map_or_else(Staging::new, Staging::in_directory);
        Ok(Pcm {
            active: Gate::new(Box::new(Active::none())),
            phase: Mutex::new(Phase::Standby),
            configs: self.configs,
            events: self.events,
            staging: staging.no_delete(self.no_delete),
            drain_limit: self.drain_limit,
        })
    }
}

impl Pcm {
    /// Starts to configure a PCM.
    pub fn builder() -> PcmBuilder {
        PcmBuilder {
            configs: Vec::new(),
            events: Arc::new(TracingEventLog),
            staging_dir: None,
            no_delete: NoDelete::default(),
            drain_limit: Duration::from_secs(10),
        }
    }

    /// Loads and initializes the LPMs, in configured order: the node became the Designated SBM.
    ///
    /// # Errors
    ///
    /// An LPM that is not optional does not load or initialize; then none is left running, and
    /// every one that failed is named. Or the PCM is in the wrong state.
    pub fn become_dsbm(&self) -> Result<Startup, StartError> {
        let mut phase = self.lock_phase()?;
        match &*phase {
            Phase::Standby => {}
            Phase::InCharge { .. } => return Err(PcmError::AlreadyDsbm.into()),
            Phase::ShutDown => return Err(PcmError::ShutDown.into()),
        }
        let mut starting = Starting::default();
        let mut failed = Vec::new();
        for config in &self.configs {
            let lpm_count = self.configs.len();
            match starting.start(config, lpm_count, &self.staging, &self.events) {
                Ok(started) => self.events.record(&started.event()),
                Err(error) => {
                    let failure = LpmFailure::new(config, error);
                    self.events.record(&failure.event());
                    failed.push(failure);
                }
            }
        }
        let is_required = |failure: &LpmFailure| {
            self.configs
                .iter()
                .any(|config| config.name == failure.name && !config.optional)
        };
        if failed.iter().any(is_required) {
            self.take_down(starting.lpms, starting.modules, DeinitReason::Shutdown);
            return Err(StartError::Lpms { failures: failed });
        }
        self.take_down(Vec::new(), starting.take_unused(), DeinitReason::Shutdown);
        let lpms = starting.lpms.iter().map(InitializedLpm::of).collect();
        let active = Active {
            in_charge: true,
            lpms: starting.lpms,
        };
        // What it replaces is empty; whoever still looks at it sees that at once.
        let _ = self
            .active
            .replace(Box::new(active))
            .drain(self.drain_limit);
        *phase = Phase::InCharge {
            modules: starting.modules,
        };
        self.events
            .record(&Event::new(EventId::BecameDsbm, "the LPMs are initialized"));
        Ok(Startup { lpms, failed })
    }

    /// Decides on a message: asks every LPM and combines what they say.
    ///
    /// Path, Resv, PathErr and ResvErr messages are decided on, flow by flow; after a refusal of a
    /// flow of a Path or Resv, every LPM is told to forget it. PathTear and ResvTear make every
    /// LPM delete its state; their verdict, and that of any other message, is empty.
    ///
    /// # Errors
    ///
    /// [`PcmError::NotDsbm`]: the LPMs are not initialized.
    pub fn admit(&self, received: &ReceivedMessage<'_>) -> Result<Verdict, PcmError> {
        let active = self.active.enter();
        if !active.in_charge {
            return Err(PcmError::NotDsbm);
        }
        Ok(decide(&active.lpms, received, &*self.events))
    }

    /// Deinitializes the LPMs, in reverse of the configured order, and unloads their libraries:
    /// the node is no longer the Designated SBM. [`become_dsbm`](Self::become_dsbm) starts them
    /// again.
    ///
    /// # Errors
    ///
    /// The PCM is in the wrong state. That an LPM failed to deinitialize, or that a library stays
    /// mapped, is no error but in the result.
    pub fn demote(&self) -> Result<Teardown, PcmError> {
        let mut phase = self.lock_phase()?;
        match std::mem::replace(&mut *phase, Phase::Standby) {
            Phase::InCharge { modules } => {
                let teardown = self.stop(modules, DeinitReason::Demotion);
                self.events
                    .record(&Event::new(EventId::Demoted, "the LPMs are deinitialized"));
                Ok(teardown)
            }
            Phase::Standby => Err(PcmError::NotDsbm),
            Phase::ShutDown => {
                *phase = Phase::ShutDown;
                Err(PcmError::ShutDown)
            }
        }
    }

    /// Deinitializes the LPMs, if they are initialized, and unloads their libraries, for good.
    ///
    /// # Errors
    ///
    /// As [`demote`](Self::demote), but a PCM that is not in charge shuts down too.
    pub fn shutdown(&self) -> Result<Teardown, PcmError> {
        let mut phase = self.lock_phase()?;
        let teardown = match std::mem::replace(&mut *phase, Phase::ShutDown) {
            Phase::InCharge { modules } => self.stop(modules, DeinitReason::Shutdown),
            Phase::Standby => Teardown::default(),
            Phase::ShutDown => return Err(PcmError::ShutDown),
        };
        self.events
            .record(&Event::new(EventId::ShutDown, "the PCM is shut down"));
        Ok(teardown)
    }

    fn lock_phase(&self) -> Result<MutexGuard<'_, Phase>, PcmError> {
        if inside_any_pass() {
            return Err(PcmError::CalledFromLpm);
        }
        match self.phase.try_lock() {
            Ok(phase) => Ok(phase),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(PcmError::Busy),
        }
    }

    /// Closes the gate, waits for the calls under way, and takes the LPMs down.
    fn stop(&self, modules: Vec<Arc<LoadedModule>>, reason: DeinitReason) -> Teardown {
        let running = self
            .active
            .enter()
            .lpms
            .iter()
            .map(InitializedLpm::of)
            .collect::<Vec<_>>();
        match self
            .active
            .replace(Box::new(Active::none()))
            .drain(self.drain_limit)
        {
            Ok(active) => self.take_down(active.lpms, modules, reason),
            Err(still_inside) => {
                let why = match still_inside.reason() {
                    Reason::Threads(threads) => PinReason::CallsInside {
                        count: threads.len(),
                        waited: self.drain_limit,
                    },
                    other => PinReason::CannotVerify {
                        what: other.to_string(),
                    },
                };
                teardown::abandon(running, modules, reason, &why, &*self.events)
            }
        }
    }

    /// Deinitializes and unloads, the last started first.
    fn take_down(
        &self,
        lpms: Vec<Instance>,
        modules: Vec<Arc<LoadedModule>>,
        reason: DeinitReason,
    ) -> Teardown {
        let mut teardown = Teardown::default();
        for instance in lpms.into_iter().rev() {
            let limit = self.deinitialize_limit(&instance.name);
            teardown.lpms.push(teardown::deinitialize(
                instance,
                reason,
                limit,
                &*self.events,
            ));
        }
        for module in modules.into_iter().rev() {
            let overdue = self.overdue(&teardown.lpms, &module);
            teardown
                .libraries
                .push(teardown::unload(module, overdue, &*self.events));
        }
        teardown
    }

    /// The limit that an LPM of this library exceeded when it was deinitialized.
    fn overdue(&self, lpms: &[DeinitializedLpm], module: &LoadedModule) -> Option<Duration> {
        let is_overdue = |lpm: &&DeinitializedLpm| {
            lpm.status == LpmStatus::DEADLINE && lpm.library == module.path()
        };
        lpms.iter()
            .find(is_overdue)
            .map(|lpm| self.deinitialize_limit(&lpm.name))
    }

    fn deinitialize_limit(&self, name: &str) -> Duration {
        let config = self.configs.iter().find(|config| &*config.name == name);
        config.map_or(Duration::ZERO, |config| config.deinitialize_limit)
    }
}

impl Drop for Pcm {
    fn drop(&mut self) {
        // Fails where it was shut down before, and inside a call into an LPM: then the LPMs are
        // left to the process's end.
        let _ = self.shutdown();
    }
}

impl std::fmt::Debug for Pcm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.configs.iter().map(LpmConfig::name).collect::<Vec<_>>();
        f.debug_struct("Pcm")
            .field("lpms", &names)
            .finish_non_exhaustive()
    }
}

impl Active {
    const fn none() -> Self {
        Self {
            in_charge: false,
            lpms: Vec::new(),
        }
    }
}
