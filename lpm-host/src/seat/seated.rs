//! An LPM's place in the PCM: the gate that calls pass, and what is known about it outside.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use libunload::gate::Gate;
use lpm_api::{LpmHandle, LpmStatus, RequestHandle};

use super::backlog::Backlog;
use super::restarts::Restarts;
use super::told::Tellings;
use super::watched::Watched;
use super::worker::Worker;
use crate::clock::{Clock, milliseconds};
use crate::config::{CallMode, LpmConfig};
use crate::event::EventLog;
use crate::initialized::InitializedLpm;
use crate::known::KnownLpms;

use crate::lpm::instance::Instance;
use crate::lpm::isolated::process::Process;
use crate::lpm::loaded::{Module, Stamp};
use crate::lpm::lpmapi::conduct::Conduct;
use crate::lpm::module::LoadedModule;
use crate::requests::asked::{Asked, Requests};
use crate::tally::Tally;

/// What stands behind an LPM's gate.
#[expect(
    clippy::large_enum_variant,
    reason = "the gate has it in a box of its own"
)]
pub(crate) enum Slot {
    /// It may be asked.
    Running(Instance),
    /// It was stopped, or is being stopped.
    Closed,
}

/// An LPM of a PCM, in a gate of its own, so that one from which a call does not return keeps no
/// other from being stopped.
pub(crate) struct Seat {
    pub(crate) gate: Gate<Slot>,
    /// Where calls go: a [`Route`]; with [`TIMED`], the next one is timed.
    route: AtomicU8,
    pub(crate) handle: LpmHandle,
    pub(crate) requests: Arc<Requests>,
    pub(crate) about: Arc<InitializedLpm>,
    pub(crate) config: LpmConfig,
    /// Milliseconds that an answer may take.
    pub(crate) limit: u32,
    pub(crate) events: Arc<dyn EventLog>,
    /// Its library, and the file that was loaded; that of no LPM where it is built in.
    pub(crate) module: Weak<LoadedModule>,
    pub(crate) stamp: Stamp,
    /// The version of that library's package.
    pub(crate) version: Option<Arc<str>>,
    /// What is counted of it.
    pub(crate) tally: Arc<Tally>,
    /// There for LPMs that are called on threads of their own.
    pub(crate) worker: Option<Worker>,
    /// What it is told at this moment.
    pub(crate) tellings: Arc<Tellings>,
    /// What it is still to be told.
    pub(crate) backlog: Backlog,
    /// Calls that were not made in quarantine.
    skipped: AtomicU64,
    pub(crate) watched: Mutex<Watched>,
    /// The one that takes its place and takes over its state, once that is in the list.
    pub(crate) successor: OnceLock<Arc<Self>>,
    /// Held while the LPM is let in again that took over.
    pub(super) entrance: Mutex<Instant>,
    pub(super) opened: Condvar,
    /// There for an LPM in a process of its own.
    pub(crate) process: Option<Arc<Process>>,
    pub(crate) restarts: Option<Arc<Restarts>>,
    /// There for LPMs in C: whether it kept to its memory.
    pub(super) conduct: Option<Arc<Conduct>>,
    /// Whether it was put on record that it did not.
    pub(super) is_put_away: AtomicBool,
}

/// Where calls into an LPM go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Route {
    /// Into the LPM, on the caller's thread.
    Inline = 0,
    /// To the LPM's own threads.
    Worker = 1,
    /// Nowhere: a call hangs in it.
    Quarantine = 2,
}

impl Route {
    /// In place of a route: whoever comes waits.
    pub(super) const TAKING_OVER: u8 = 3;
}

/// Added to a [`Route`]: the next call that asks is timed. So it is none of the usual ones, which
/// look at nothing but the route.
const TIMED: u8 = 0x80;

impl Seat {
    pub(crate) fn new(
        instance: Instance,
        config: LpmConfig,
        module: Option<&Module>,
        known: &KnownLpms,
        events: Arc<dyn EventLog>,
    ) -> Self {
        let about = Arc::new(instance.about());
        let conduct = instance.conduct().cloned();
        let process = instance.process().cloned();
        let restarts = process.as_ref().map(|_| known.restarts(&about.name));
        let version = match &process {
            Some(process) => process.version().map(Into::into),
            None => module.and_then(|module| Some(module.loaded.version()?.into())),
        };
        let stamp = match (module, config.source.path()) {
            (Some(module), _) => module.stamp,
            (None, Some(path)) => Stamp::of(path),
            (None, None) => Stamp::default(),
        };
        let worker = match config.call_mode {
            CallMode::Inline => None,
            CallMode::Worker { threads } => Some(Worker::new(process.as_ref().map(|_| threads))),
        };
        let limit = milliseconds(config.result_time_limit);
        let tally = known.add(about.handle, &about.name);
        let seat = Self {
            gate: Gate::new(Box::new(Slot::Running(instance))),
            route: AtomicU8::new(0),
            handle: about.handle,
            requests: Arc::new(Requests::new(about.handle, limit, Arc::clone(&tally))),
            about,
            config,
            limit,
            events,
            module: module.map_or_else(Weak::new, |module| Arc::downgrade(&module.loaded)),
            stamp,
            version,
            tally,
            worker,
            tellings: Arc::default(),
            backlog: Backlog::default(),
            skipped: AtomicU64::new(0),
            watched: Mutex::default(),
            successor: OnceLock::new(),
            entrance: Mutex::new(Instant::now()),
            opened: Condvar::new(),
            process,
            restarts,
            conduct,
            is_put_away: AtomicBool::new(false),
        };
        seat.release();
        seat.time_next();
        seat
    }

    /// Whether calls go into the LPM on the caller's thread.
    #[inline]
    pub(crate) fn is_inline(&self) -> bool {
        self.route.load(Ordering::Relaxed) == Route::Inline as u8
    }

    /// Where calls go, for whoever has one to make. Waits while the LPM
    /// [takes over](Self::begin_taking_over).
    #[inline]
    pub(crate) fn route(&self) -> Route {
        match self.standing() {
            Some(route) => route,
            None => self.wait_while_taking_over(),
        }
    }

    /// Where calls go now; `None` while the LPM takes over what its predecessor left.
    #[inline]
    pub(crate) fn standing(&self) -> Option<Route> {
        match self.route.load(Ordering::Relaxed) & !TIMED {
            0 => Some(Route::Inline),
            1 => Some(Route::Worker),
            Route::TAKING_OVER => None,
            _ => Some(Route::Quarantine),
        }
    }

    pub(super) fn set_route(&self, route: u8) {
        self.route.store(route, Ordering::Relaxed);
    }

    /// Has the next call timed that asks.
    pub(crate) fn time_next(&self) {
        self.route.fetch_or(TIMED, Ordering::Relaxed);
    }

    /// When a call begins that asks now, if it is to be timed.
    pub(crate) fn begin_timing(&self) -> Option<Instant> {
        let is_timed = self.route.load(Ordering::Relaxed) & TIMED != 0
            && self.route.fetch_and(!TIMED, Ordering::Relaxed) & TIMED != 0;
        is_timed.then(Instant::now)
    }

    /// Keeps further calls out.
    pub(crate) fn quarantine(&self) {
        self.set_route(Route::Quarantine as u8);
    }

    /// Lets calls in, as configured, unless it is put away; returns how many were missed.
    pub(crate) fn release(&self) -> u64 {
        let route = match self.config.call_mode {
            _ if self.overstep().is_some() => Route::Quarantine,
            CallMode::Inline => Route::Inline,
            CallMode::Worker { .. } => Route::Worker,
        };
        self.set_route(route as u8);
        self.skipped.swap(0, Ordering::Relaxed)
    }

    /// What an LPM in C did, if it wrote beyond what it was given.
    pub(super) fn overstep(&self) -> Option<&str> {
        self.conduct.as_ref()?.overstep()
    }

    /// Puts a request on the LPM's table, from the coarse time `now` on. Where the LPM is being
    /// stopped the request fails, and its handle is 0.
    pub(crate) fn issue(&self, asked: Asked, now: u32) -> u64 {
        match self.requests.issue(asked, now) {
            Ok(handle) => handle.number(),
            Err(asked) => {
                self.requests.fail(asked, LpmStatus::INVALID_LPM_HANDLE);
                0
            }
        }
    }

    /// Ends a request without an answer of the LPM.
    pub(crate) fn fail(&self, request: u64, why: LpmStatus) {
        if let Ok(asked) = self.requests.take(RequestHandle::new(request)) {
            self.requests.fail(asked, why);
        }
    }

    /// The limit, if it was over since `began` when a call returned.
    pub(crate) fn limit_if_over(&self, began: u32, clock: &Clock) -> Option<Duration> {
        let is_over = clock.has_passed(self.limit, began);
        is_over.then_some(self.config.result_time_limit)
    }

    /// Counts a call that is not made.
    #[cold]
    pub(crate) fn skip(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }
}
