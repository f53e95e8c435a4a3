//! An LPM's place in the PCM: the gate that calls pass, and what is known about it outside.

pub(crate) mod worker;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use lpm_api::abi::AbiDecision;
use lpm_api::{Decision, LpmHandle, LpmStatus, PeType, RequestHandle};

use crate::clock::milliseconds;
use crate::life::startup::{Module, Stamp};
use crate::life::watch::Watched;
use crate::lpm::{Instance, LoadedModule};
use crate::requests::{Asked, Requests};
use crate::seat::worker::Worker;
use crate::{CallMode, Event, EventId, LpmConfig};
use libunload::gate::Gate;

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

impl InitializedLpm {
    /// An event about this LPM.
    pub(crate) fn about(&self, id: EventId, detail: impl Into<String>) -> Event {
        Event::new(id, detail)
            .lpm(Arc::clone(&self.name))
            .handle(self.handle)
            .library(&self.library)
    }
}

/// What stands behind an LPM's gate.
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
    /// Where calls go: a [`Route`].
    route: AtomicU8,
    pub(crate) handle: LpmHandle,
    pub(crate) requests: Arc<Requests>,
    pub(crate) about: Arc<InitializedLpm>,
    pub(crate) config: LpmConfig,
    /// Its library, and the file that was loaded.
    pub(crate) module: Weak<LoadedModule>,
    pub(crate) stamp: Stamp,
    /// There for LPMs that are called on threads of their own.
    pub(crate) worker: Option<Worker>,
    /// Calls that were not made in quarantine.
    skipped: AtomicU64,
    pub(crate) watched: Mutex<Watched>,
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

impl Seat {
    pub(crate) fn new(instance: Instance, config: LpmConfig, module: &Module) -> Self {
        let about = Arc::new(instance.about());
        let worker = match config.call_mode {
            CallMode::Inline => None,
            CallMode::Worker { .. } => Some(Worker::default()),
        };
        let limit = milliseconds(config.result_time_limit);
        let seat = Self {
            gate: Gate::new(Box::new(Slot::Running(instance))),
            route: AtomicU8::new(0),
            handle: about.handle,
            requests: Arc::new(Requests::new(about.handle, limit)),
            about,
            config,
            module: Arc::downgrade(&module.loaded),
            stamp: module.stamp,
            worker,
            skipped: AtomicU64::new(0),
            watched: Mutex::default(),
        };
        seat.release();
        seat
    }

    #[inline]
    pub(crate) fn route(&self) -> Route {
        match self.route.load(Ordering::Relaxed) {
            0 => Route::Inline,
            1 => Route::Worker,
            _ => Route::Quarantine,
        }
    }

    /// Keeps further calls out.
    pub(crate) fn quarantine(&self) {
        self.route.store(Route::Quarantine as u8, Ordering::Relaxed);
    }

    /// Lets calls in, as configured; returns how many were missed.
    pub(crate) fn release(&self) -> u64 {
        let route = match self.config.call_mode {
            CallMode::Inline => Route::Inline,
            CallMode::Worker { .. } => Route::Worker,
        };
        self.route.store(route as u8, Ordering::Relaxed);
        self.skipped.swap(0, Ordering::Relaxed)
    }

    /// Puts a request on the LPM's table, from the coarse time `now` on. Where the LPM is being stopped the
    /// request fails, and its handle is 0.
    pub(crate) fn issue(&self, asked: Asked, now: u32) -> u64 {
        match self.requests.issue(asked, now) {
            Ok(handle) => handle.number(),
            Err(asked) => {
                asked.fail(self.handle);
                0
            }
        }
    }

    /// Ends a request without an answer of the LPM.
    pub(crate) fn fail(&self, request: u64) {
        if let Ok(asked) = self.requests.take(RequestHandle::new(request)) {
            asked.fail(self.handle);
        }
    }

    /// Counts a call that is not made.
    #[cold]
    pub(crate) fn skip(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }

    /// That a call failed.
    #[cold]
    pub(crate) fn call_failed(&self, function: &str, status: LpmStatus) -> Event {
        let consequence = match function {
            "admit" => ": its flows are rejected",
            _ => "",
        };
        let detail = format!("{function} failed ({status}){consequence}");
        self.about
            .about(EventId::LpmCallFailed, detail)
            .status(status)
    }
}

/// That a decision is none.
#[cold]
pub(crate) fn invalid_decision(about: &InitializedLpm, found: AbiDecision) -> Event {
    let AbiDecision {
        lpv,
        error_code,
        error_value,
    } = found;
    let counts_as = match lpv {
        Decision::LPV_REJECT => "a rejection",
        _ => "don't care",
    };
    let detail = format!(
        "invalid decision: LPV {lpv:#x}, error code {error_code}, value {error_value}; \
         it counts as {counts_as}"
    );
    about
        .about(EventId::LpmInvalidDecision, detail)
        .status(LpmStatus::INVALID_RESULTS)
}
