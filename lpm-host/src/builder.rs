//! Configuring a PCM.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libunload::Copies;
use libunload::NoDelete;

use crate::clock::Clock;
use crate::config::{self, LpmConfig};
use crate::error::BuildError;
use crate::event::{EventLog, PanicsCaught, TracingEventLog};
use crate::event_limit::Limited;
use crate::life::lifecycle::Lifecycle;
use crate::life::renew;
use crate::lpm::trace::TraceLimit;
use crate::lpm::visits::VisitLimit;
use crate::manual_clock::ManualClock;
use crate::pcm::Pcm;
use crate::serving::Serving;

/// Configures a [`Pcm`].
#[must_use]
pub struct PcmBuilder {
    configs: Vec<LpmConfig>,
    events: Arc<dyn EventLog>,
    staging_dir: Option<PathBuf>,
    runner: Option<PathBuf>,
    no_delete: NoDelete,
    debuggable: bool,
    trace_limit: TraceLimit,
    visit_limit: VisitLimit,
    drain_limit: Duration,
    clock: Option<ManualClock>,
}

impl PcmBuilder {
    pub(crate) fn new() -> Self {
        Self {
            configs: Vec::new(),
            events: Arc::new(TracingEventLog),
            staging_dir: None,
            runner: None,
            no_delete: NoDelete::default(),
            debuggable: false,
            trace_limit: TraceLimit::default(),
            visit_limit: VisitLimit::default(),
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

    /// The program that runs LPMs in [processes of their own](crate::Isolation::Process), of the
    /// same version: `pcm`, or another one that calls
    /// [`run_if_asked`](crate::isolated::run_if_asked). Default: this program, if it does.
    pub fn runner(mut self, program: impl Into<PathBuf>) -> Self {
        self.runner = Some(program.into());
        self
    }

    /// Whether debuggers and profilers find the source of the libraries' code; default `false`. The
    /// private copies are then files, with debugging information, that bear the names of the
    /// libraries and stay until these are unloaded.
    pub const fn debuggable(mut self, debuggable: bool) -> Self {
        self.debuggable = debuggable;
        self
    }

    /// What to do with libraries that are linked as not to be unloaded; default
    /// [`NoDelete::Clear`].
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

    /// How long a library that goes waits for the threads that called its LPMs. Each destroys what
    /// the library keeps in it (`thread_local!`) when it next asks a PCM, calls
    /// [`visit_thread`](crate::visit_thread), or ends. What threads keep that do not come in time
    /// is lost, and counted in [`LeftBehind::thread_locals`](crate::libunload::LeftBehind).
    ///
    /// By default threads that are asking are waited for, up to 10 ms, and others are not.
    pub const fn visit_limit(mut self, limit: Duration) -> Self {
        self.visit_limit = VisitLimit::for_all(limit);
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
    /// No LPM, two of the same name, a configuration directory that is not UTF-8, one of this
    /// program that is to run in a process of its own, or one that is to come
    /// [after](LpmConfig::after) one that is not configured before it.
    pub fn build(self) -> Result<Pcm, BuildError> {
        config::check(&self.configs)?;
        let staging = self
            .staging_dir
            .map_or_else(Copies::new, Copies::in_directory);
        let staging = match self.debuggable {
            true => staging.debuggable(),
            false => staging,
        };
        let events: Arc<dyn EventLog> = Arc::new(PanicsCaught(self.events));
        let clock = self.clock.as_ref().map(ManualClock::clock);
        let serving = Arc::new(Serving::new(
            Arc::new(Limited::new(events)),
            clock.unwrap_or_else(|| Arc::new(Clock::of_the_system())),
        ));
        if let Some(clock) = &self.clock {
            clock.drives(&serving);
        }
        let lifecycle = Lifecycle::new(
            Arc::clone(&serving),
            self.configs,
            staging.no_delete(self.no_delete),
            self.runner,
            self.trace_limit,
            self.visit_limit,
            self.drain_limit,
        );
        let lifecycle = Arc::new(lifecycle);
        renew::arrange(&lifecycle);
        Ok(Pcm::new(serving, lifecycle))
    }
}

impl Pcm {
    /// Starts to configure a PCM.
    pub fn builder() -> PcmBuilder {
        PcmBuilder::new()
    }
}
