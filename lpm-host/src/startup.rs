//! Bringing LPMs up: load, then initialize.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lpm_api::abi::{API_VERSION, AbiInit};
use lpm_api::{LpmHandle, LpmStatus, PeType};

use crate::deadline::{self, Overdue};
use crate::library::{Instance, LoadedModule, Staging};
use crate::{
    Event, EventId, EventLog, LpmConfig, LpmFailure, LpmStartError, PinReason, UnloadOutcome,
};

/// The LPMs that a PCM started with.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Startup {
    /// Those that are initialized, in configured order.
    pub lpms: Vec<InitializedLpm>,
    /// Optional ones that failed.
    pub failed: Vec<LpmFailure>,
}

/// An LPM that was initialized.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InitializedLpm {
    /// Its configured name.
    pub name: Arc<str>,
    /// Its handle.
    pub handle: LpmHandle,
    /// The policy element type it serves.
    pub pe_type: PeType,
    /// Its library, as configured where it was first named: one file is loaded once.
    pub library: PathBuf,
}

/// LPMs and libraries on their way up.
#[derive(Default)]
pub(crate) struct Starting {
    /// Initialized, in configured order.
    pub(crate) lpms: Vec<Instance>,
    /// Loaded, in the order of loading.
    pub(crate) modules: Vec<Arc<LoadedModule>>,
}

impl Starting {
    /// Initializes one more LPM, loading its library unless an earlier one did.
    pub(crate) fn start(
        &mut self,
        config: &LpmConfig,
        lpm_count: usize,
        staging: &Staging,
        events: &Arc<dyn EventLog>,
    ) -> Result<InitializedLpm, LpmStartError> {
        let loaded = self.loaded(config);
        let is_new = loaded.is_none();
        let limit = config.initialize_limit;
        let call = {
            let (config, staging, events) = (config.clone(), staging.clone(), Arc::clone(events));
            move || {
                let module = match loaded {
                    Some(module) => module,
                    None => LoadedModule::load(&config.library, &staging, &events)?,
                };
                let instance = initialize(&config, lpm_count, &module);
                Ok((module, instance))
            }
        };
        let (module, instance) = match deadline::call("lpm-initialize", limit, call) {
            Ok(started) => started.map_err(LpmStartError::Load)?,
            Err(Overdue) => {
                let stays = UnloadOutcome::pinned(PinReason::InitializeOverdue { limit });
                events.record(&stays.event(config.library.path()));
                return Err(LpmStartError::Deadline { limit });
            }
        };
        if is_new {
            for warning in module.facts().warnings() {
                events.record(
                    &Event::new(EventId::LibraryHindersUnloading, warning).library(module.path()),
                );
            }
            self.modules.push(module);
        }
        let instance = instance?;
        let initialized = InitializedLpm::of(&instance);
        self.lpms.push(instance);
        Ok(initialized)
    }

    /// Splits off the libraries none of whose LPMs initialized.
    pub(crate) fn take_unused(&mut self) -> Vec<Arc<LoadedModule>> {
        let modules = std::mem::take(&mut self.modules);
        let (used, unused) = modules
            .into_iter()
            .partition(|module| self.lpms.iter().any(|lpm| Arc::ptr_eq(&lpm.module, module)));
        self.modules = used;
        unused
    }

    fn loaded(&self, config: &LpmConfig) -> Option<Arc<LoadedModule>> {
        let is_same = |module: &&Arc<LoadedModule>| same_file(module.path(), config.library.path());
        self.modules.iter().find(is_same).cloned()
    }
}

impl InitializedLpm {
    pub(crate) fn of(instance: &Instance) -> Self {
        Self {
            name: Arc::clone(&instance.name),
            handle: instance.handle,
            pe_type: instance.pe_type,
            library: instance.module.path().to_path_buf(),
        }
    }

    pub(crate) fn event(&self) -> Event {
        Event::new(
            EventId::LpmInitialized,
            format!("initialized, PE type {}", self.pe_type),
        )
        .lpm(Arc::clone(&self.name))
        .handle(self.handle)
        .library(&self.library)
        .status(LpmStatus::OK)
    }
}

impl LpmFailure {
    pub(crate) fn new(config: &LpmConfig, error: LpmStartError) -> Self {
        let library = config.library.path().to_path_buf();
        Self {
            name: Arc::clone(&config.name),
            library,
            error,
        }
    }

    pub(crate) fn event(&self) -> Event {
        let id = match self.error {
            LpmStartError::Load(_) => EventId::LpmLoadFailed,
            _ => EventId::LpmInitializeFailed,
        };
        let event = Event::new(id, self.error.to_string())
            .lpm(Arc::clone(&self.name))
            .library(&self.library);
        match self.error.status() {
            Some(status) => event.status(status),
            None => event,
        }
    }
}

fn initialize(
    config: &LpmConfig,
    lpm_count: usize,
    module: &Arc<LoadedModule>,
) -> Result<Instance, LpmStartError> {
    let handle = next_handle();
    let config_dir = config.config_dir.as_deref().and_then(|dir| dir.to_str());
    let time_limit = config.result_time_limit.as_millis();
    let initialized = module
        .initialize(AbiInit {
            handle: handle.number(),
            result_time_limit: u64::try_from(time_limit).unwrap_or(u64::MAX),
            lpm_count: u32::try_from(lpm_count).unwrap_or(u32::MAX),
            pcm_version: API_VERSION,
            name: (*config.name).into(),
            config: config.config.as_str().into(),
            config_source: config.config_source.as_str().into(),
            config_dir: config_dir.map(Into::into).into(),
        })
        .map_err(|(status, message)| LpmStartError::Initialize { status, message })?;
    Instance::new(
        Arc::clone(&config.name),
        handle,
        initialized,
        Arc::clone(module),
    )
    .map_err(|found| LpmStartError::InvalidPeType { found })
}

/// A handle that no LPM of this process had before.
fn next_handle() -> LpmHandle {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    LpmHandle::new(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Whether two configured paths name one file, which is then loaded once.
fn same_file(one: &std::path::Path, other: &std::path::Path) -> bool {
    one == other
        || match (one.canonicalize(), other.canonicalize()) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}
