//! Bringing LPMs up: load, then initialize.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use libunload::Copies;
use lpm_abi::{API_VERSION, AbiInit};
use lpm_api::{LpmHandle, LpmStatus, PeType};

use super::deadline::{self, Overdue};
use crate::config::LpmConfig;
use crate::error::{LpmFailure, LpmStartError};
use crate::event::{Event, EventId, EventLog};
use crate::initialized::InitializedLpm;
use crate::lpm::instance::Instance;
use crate::lpm::module::LoadedModule;
use crate::lpm::trace::TraceLimit;
use crate::pin_reason::{PinReason, UnloadOutcome};
use crate::requests::results::CALLBACKS;
use crate::seat::Seat;
use crate::source::{Module, Stamp};

/// The LPMs that a PCM started with.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Startup {
    /// Those that are initialized, in configured order.
    pub lpms: Vec<InitializedLpm>,
    /// Optional ones that failed.
    pub failed: Vec<LpmFailure>,
}

/// LPMs and libraries on their way up.
pub(crate) struct Starting<'a> {
    pub(crate) staging: &'a Copies,
    pub(crate) trace_limit: TraceLimit,
    pub(crate) events: &'a Arc<dyn EventLog>,
    pub(crate) lpm_count: usize,
    /// Libraries that are there already.
    pub(crate) present: Vec<Module>,
    /// Initialized, in configured order.
    pub(crate) seats: Vec<Arc<Seat>>,
    /// Loaded, in the order of loading.
    pub(crate) modules: Vec<Module>,
}

impl Starting<'_> {
    /// Initializes one more LPM, loading its library unless an earlier one did.
    pub(crate) fn start(&mut self, config: &LpmConfig) -> Result<InitializedLpm, LpmStartError> {
        let loaded = self.loaded(config);
        let is_new = loaded.is_none();
        let limit = config.initialize_limit;
        let call = {
            let (config, staging, trace_limit, events, lpm_count) = (
                config.clone(),
                self.staging.clone(),
                self.trace_limit,
                Arc::clone(self.events),
                self.lpm_count,
            );
            move || {
                let module = match loaded {
                    Some(module) => module,
                    None => Module {
                        stamp: Stamp::of(config.library.path()),
                        loaded: LoadedModule::load(
                            &config.library,
                            &staging,
                            trace_limit,
                            &events,
                        )?,
                    },
                };
                let instance = initialize(&config, lpm_count, &module.loaded);
                Ok((module, instance))
            }
        };
        let (module, instance) = match deadline::call("lpm-initialize", limit, call) {
            Ok(started) => started.map_err(LpmStartError::Load)?,
            Err(Overdue) => {
                let stays = UnloadOutcome::pinned(PinReason::InitializeOverdue { limit });
                self.events.record(&stays.event(config.library.path()));
                return Err(LpmStartError::Deadline { limit });
            }
        };
        if is_new {
            for hazard in module.loaded.hazards() {
                self.events.record(
                    &Event::new(EventId::LibraryHindersUnloading, hazard.to_string())
                        .library(module.loaded.path()),
                );
            }
            self.modules.push(module.clone());
        }
        let seat = Seat::new(instance?, config.clone(), &module);
        let initialized = (*seat.about).clone();
        self.seats.push(Arc::new(seat));
        Ok(initialized)
    }

    fn loaded(&self, config: &LpmConfig) -> Option<Module> {
        let is_same = |module: &&Module| same_file(module.loaded.path(), config.library.path());
        let mut modules = self.present.iter().chain(&self.modules);
        modules.find(is_same).cloned()
    }
}

impl InitializedLpm {
    pub(crate) fn event(&self) -> Event {
        let detail = format!("initialized, PE type {}", self.pe_type);
        self.about(EventId::LpmInitialized, detail)
            .status(LpmStatus::OK)
    }

    /// That the LPM serves a policy element type that another one serves as well. Both are asked
    /// about every message, and the objects that both supply go out.
    pub(crate) fn shares_pe_type(&self, others: &[Arc<Seat>]) -> Option<Event> {
        if self.pe_type == PeType::ALL {
            return None;
        }
        let other = others
            .iter()
            .map(|seat| &seat.about)
            .find(|other| other.pe_type == self.pe_type && other.handle != self.handle)?;
        let detail = if other.library == self.library {
            format!(
                "serves {} as `{}` from the same library does; a library that is initialized \
                 several times is to serve another type each time",
                self.pe_type, other.name
            )
        } else {
            format!("serves {} as `{}` does", self.pe_type, other.name)
        };
        Some(self.about(EventId::LpmPeTypeShared, detail))
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
        .initialize(
            &config.name,
            AbiInit {
                handle: handle.number(),
                result_time_limit: u64::try_from(time_limit).unwrap_or(u64::MAX),
                lpm_count: u32::try_from(lpm_count).unwrap_or(u32::MAX),
                pcm_version: API_VERSION,
                name: (*config.name).into(),
                config: config.config.as_str().into(),
                config_source: config.config_source.as_str().into(),
                config_dir: config_dir.map(Into::into).into(),
                callbacks: CALLBACKS,
            },
        )
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
fn same_file(one: &Path, other: &Path) -> bool {
    one == other
        || match (one.canonicalize(), other.canonicalize()) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}
