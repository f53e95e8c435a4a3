//! Bringing LPMs up: load, then initialize.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use libunload::Copies;
use lpm_abi::{API_VERSION, AbiInit, AbiInitialized};
use lpm_api::{LpmHandle, LpmStatus, PeType};

use super::deadline::{self, Overdue};
use super::pinned::Pinned;
use crate::config::{Isolation, LpmConfig};
use crate::error::{LpmFailure, LpmStartError};
use crate::event::{Event, EventId, EventLog};
use crate::initialized::InitializedLpm;
use crate::known::KnownLpms;
use crate::lpm::built_in::BuiltIn;
use crate::lpm::instance::Instance;
use crate::lpm::isolated::Isolated;
use crate::lpm::isolated::process::Process;
use crate::lpm::loaded::{Module, Stamp};
use crate::lpm::module::{LoadError, LoadedModule};
use crate::lpm::trace::TraceLimit;
use crate::lpm::trust::LpmLibrary;
use crate::lpm::visits::VisitLimit;
use crate::pin_reason::{PinReason, UnloadOutcome};
use crate::requests::results::CALLBACKS;
use crate::seat::seated::Seat;
use crate::source::{Kind, LpmSource};

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
    pub(crate) runner: Option<&'a Path>,
    pub(crate) trace_limit: TraceLimit,
    pub(crate) visit_limit: VisitLimit,
    pub(crate) events: &'a Arc<dyn EventLog>,
    pub(crate) known: &'a KnownLpms,
    pub(crate) pinned: &'a Pinned,
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
        let limit = config.initialize_limit;
        let asked = Asked {
            config: config.clone(),
            lpm_count: self.lpm_count,
        };
        let (instance, module) = match &config.source.0 {
            Kind::Library(library) if config.isolation == Isolation::Process => {
                (self.start_isolated(asked, library)?, None)
            }
            Kind::Library(library) => {
                let loaded = self.loaded(library);
                let is_new = loaded.is_none();
                let load = self.load(library);
                let call = move || {
                    let module = loaded.map_or_else(load, Ok)?;
                    let instance = asked.initialize_in(&module.loaded);
                    Ok::<_, LoadError>((module, instance))
                };
                let started = deadline::call("lpm-initialize", limit, call);
                let (module, instance) = match started {
                    Ok(started) => started?,
                    Err(Overdue) => {
                        let stays = UnloadOutcome::pinned(PinReason::InitializeOverdue { limit });
                        self.events.record(&stays.event(library.path()));
                        self.pinned.add(library.path(), &stays);
                        return Err(LpmStartError::Deadline { limit });
                    }
                };
                if is_new {
                    self.is_loaded(&module);
                }
                (instance?, Some(module))
            }
            Kind::BuiltIn(lpm) => {
                let lpm = lpm.clone();
                let call = move || asked.initialize_built_in(&lpm);
                let started = deadline::call("lpm-initialize", limit, call);
                let overdue = |Overdue| Err(LpmStartError::Deadline { limit });
                (started.unwrap_or_else(overdue)?, None)
            }
        };
        let seat = Seat::new(
            instance,
            config.clone(),
            module.as_ref(),
            self.known,
            Arc::clone(self.events),
        );
        let initialized = (*seat.about).clone();
        self.seats.push(Arc::new(seat));
        Ok(initialized)
    }

    /// Initializes an LPM in a process of its own.
    fn start_isolated(
        &self,
        asked: Asked,
        library: &LpmLibrary,
    ) -> Result<Instance, LpmStartError> {
        let limit = asked.config.initialize_limit;
        let begun = Arc::new(OnceLock::new());
        let call = {
            let (library, begun) = (library.clone(), Arc::clone(&begun));
            let (runner, trace_limit) = (self.runner.map(Path::to_owned), self.trace_limit);
            let events = Arc::clone(self.events);
            move || {
                let isolated = Isolated {
                    library: &library,
                    confinement: &asked.config.confinement,
                    runner,
                    trace_limit,
                    events: &events,
                };
                asked.initialize_isolated(&isolated, &begun)
            }
        };
        deadline::call("lpm-initialize", limit, call).unwrap_or_else(|Overdue| {
            if let Some(process) = begun.get() {
                process.kill(format!("it was not initialized within {limit:?}"));
            }
            Err(LpmStartError::Killed { limit })
        })
    }

    /// What loads the library.
    fn load(
        &self,
        library: &LpmLibrary,
    ) -> impl FnOnce() -> Result<Module, LoadError> + Send + use<> {
        let (library, copies, trace_limit, events) = (
            library.clone(),
            self.staging.clone(),
            self.trace_limit,
            Arc::clone(self.events),
        );
        let visit_limit = self.visit_limit;
        move || {
            Ok(Module {
                stamp: Stamp::of(library.path()),
                loaded: LoadedModule::load(&library, &copies, trace_limit, visit_limit, &events)?,
            })
        }
    }

    fn is_loaded(&mut self, module: &Module) {
        for hazard in module.loaded.hazards() {
            self.events.record(
                &Event::new(EventId::LibraryHindersUnloading, hazard.to_string())
                    .library(module.loaded.path()),
            );
        }
        self.modules.push(module.clone());
    }

    fn loaded(&self, library: &LpmLibrary) -> Option<Module> {
        let is_same = |module: &&Module| same_file(module.loaded.path(), library.path());
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
        let detail = if other.source == self.source {
            format!(
                "serves {} as `{}` from the same source does; an LPM that is initialized \
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
        Self {
            name: Arc::clone(&config.name),
            source: config.source.clone(),
            error,
        }
    }

    pub(crate) fn event(&self) -> Event {
        let id = match self.error {
            LpmStartError::Load(_) => EventId::LpmLoadFailed,
            _ => EventId::LpmInitializeFailed,
        };
        let event = Event::new(id, self.error.to_string()).lpm(Arc::clone(&self.name));
        let event = self.source.put_on(event);
        match self.error.status() {
            Some(status) => event.status(status),
            None => event,
        }
    }
}

/// An LPM that is to be initialized.
struct Asked {
    config: LpmConfig,
    lpm_count: usize,
}

impl Asked {
    /// The LPM of a library.
    fn initialize_in(&self, library: &Arc<LoadedModule>) -> Result<Instance, LpmStartError> {
        let source = LpmSource::from(library.trusted().clone());
        let initialize = |init: AbiInit<'_>| library.initialize(&self.config.name, init);
        self.initialize(initialize, source, Some(Arc::clone(library)))
    }

    /// An LPM of this program.
    fn initialize_built_in(&self, lpm: &BuiltIn) -> Result<Instance, LpmStartError> {
        let source = self.config.source.clone();
        let initialize = |init: AbiInit<'_>| lpm.initialize(&self.config.name, init);
        self.initialize(initialize, source, None)
    }

    /// The LPM of a library, in a process of its own.
    fn initialize_isolated(
        &self,
        isolated: &Isolated<'_>,
        begun: &OnceLock<Arc<Process>>,
    ) -> Result<Instance, LpmStartError> {
        let source = self.config.source.clone();
        let mut process = None;
        let initialize = |init: AbiInit<'_>| {
            let (running, lpm) = isolated.start(&init, begun)?;
            process = Some(running);
            Ok::<_, LpmStartError>(lpm)
        };
        let instance = self.initialize(initialize, source, None)?;
        Ok(match process {
            Some(process) => instance.in_process(process),
            None => instance,
        })
    }

    fn initialize<E: Into<LpmStartError>>(
        &self,
        initialize: impl FnOnce(AbiInit<'_>) -> Result<AbiInitialized, E>,
        source: LpmSource,
        library: Option<Arc<LoadedModule>>,
    ) -> Result<Instance, LpmStartError> {
        let config = &self.config;
        let handle = next_handle();
        let config_dir = config.config_dir.as_deref().and_then(|dir| dir.to_str());
        let time_limit = config.result_time_limit.as_millis();
        let initialized = initialize(AbiInit {
            handle: handle.number(),
            result_time_limit: u64::try_from(time_limit).unwrap_or(u64::MAX),
            lpm_count: u32::try_from(self.lpm_count).unwrap_or(u32::MAX),
            pcm_version: API_VERSION,
            name: (*config.name).into(),
            config: config.config.as_str().into(),
            config_source: config.config_source.as_str().into(),
            config_dir: config_dir.map(Into::into).into(),
            callbacks: CALLBACKS,
        })
        .map_err(Into::into)?;
        Instance::new(
            Arc::clone(&config.name),
            handle,
            initialized,
            source,
            library,
        )
        .map_err(|found| LpmStartError::InvalidPeType { found })
    }
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
