//! Taking LPMs down: deinitialize, then unload.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lpm_api::{DeinitReason, LpmHandle, LpmStatus};

use crate::deadline::{self, NoResult};
use crate::library::{Instance, LoadedModule};
use crate::{Event, EventId, EventLog, InitializedLpm, PinReason, UnloadOutcome};

/// What became of the LPMs and their libraries.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Teardown {
    /// Every initialization, in the order of deinitialization: the reverse of the configured one.
    pub lpms: Vec<DeinitializedLpm>,
    /// Every library, in the order of unloading.
    pub libraries: Vec<UnloadedLibrary>,
}

/// An LPM that was deinitialized.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeinitializedLpm {
    /// Its configured name.
    pub name: Arc<str>,
    /// Its handle, which names nothing any more.
    pub handle: LpmHandle,
    /// Its library, as configured.
    pub library: PathBuf,
    /// Why it was deinitialized.
    pub reason: DeinitReason,
    /// What `deinitialize` returned; [`LpmStatus::DEADLINE`] where it did not return in time.
    pub status: LpmStatus,
    /// What the LPM said about a status other than `LPM_OK`.
    pub detail: Option<String>,
    /// How long `deinitialize` took.
    pub elapsed: Duration,
}

/// A library that was unloaded, or could not be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnloadedLibrary {
    /// The library, as configured.
    pub library: PathBuf,
    /// Whether it is still mapped, and why.
    pub outcome: UnloadOutcome,
    /// How long unloading took.
    pub elapsed: Duration,
}

/// How long unloading may take: the destructors of the library's statics run in it.
const UNLOAD_LIMIT: Duration = Duration::from_secs(30);

/// Deinitializes one LPM within its limit. One that does not return holds on to its library.
pub(crate) fn deinitialize(
    instance: Instance,
    reason: DeinitReason,
    limit: Duration,
    events: &dyn EventLog,
) -> DeinitializedLpm {
    let (name, handle) = (instance.name.clone(), instance.handle);
    let library = instance.module.path().to_path_buf();
    let started = Instant::now();
    let called = deadline::call("lpm-deinitialize", limit, move || {
        instance.deinitialize(reason)
    });
    let elapsed = started.elapsed();
    let (status, detail) = match called {
        Ok(Ok(())) => (LpmStatus::OK, None),
        Ok(Err((status, message))) => (status, Some(message)),
        Err(NoResult::Deadline) => (
            LpmStatus::DEADLINE,
            Some(format!("deinitialize did not return within {limit:?}")),
        ),
        Err(NoResult::Thread(error)) => (
            LpmStatus::DEADLINE,
            Some(format!("no thread to deinitialize on: {error}")),
        ),
    };
    let lpm = DeinitializedLpm {
        name,
        handle,
        library,
        reason,
        status,
        detail,
        elapsed,
    };
    events.record(&lpm.event());
    lpm
}

/// Unloads a library, unless one of its LPMs is `overdue`: still in `deinitialize` after that time.
pub(crate) fn unload(
    module: Arc<LoadedModule>,
    overdue: Option<Duration>,
    events: &dyn EventLog,
) -> UnloadedLibrary {
    let library = module.path().to_path_buf();
    let started = Instant::now();
    let outcome = match overdue {
        Some(limit) => pinned(PinReason::DeinitializeOverdue { limit }),
        None => unload_in_time(module),
    };
    let unloaded = UnloadedLibrary {
        library,
        outcome,
        elapsed: started.elapsed(),
    };
    events.record(&unloaded.event());
    unloaded
}

fn unload_in_time(module: Arc<LoadedModule>) -> UnloadOutcome {
    match deadline::call("lpm-unload", UNLOAD_LIMIT, move || module.unload()) {
        Ok(outcome) => outcome,
        Err(NoResult::Deadline) => pinned(PinReason::UnloadOverdue {
            limit: UNLOAD_LIMIT,
        }),
        Err(NoResult::Thread(error)) => pinned(PinReason::CannotVerify {
            what: format!("no thread to unload on: {error}"),
        }),
    }
}

/// Gives up on LPMs that calls do not return from: they are not deinitialized, and their libraries
/// stay mapped.
pub(crate) fn abandon(
    lpms: Vec<InitializedLpm>,
    modules: Vec<Arc<LoadedModule>>,
    reason: DeinitReason,
    why: &PinReason,
    events: &dyn EventLog,
) -> Teardown {
    let lpms = lpms.into_iter().rev().map(|lpm| DeinitializedLpm {
        name: lpm.name,
        handle: lpm.handle,
        library: lpm.library,
        reason,
        status: LpmStatus::DEADLINE,
        detail: Some(format!("not deinitialized: {why}")),
        elapsed: Duration::ZERO,
    });
    let libraries = modules.into_iter().rev().map(|module| UnloadedLibrary {
        library: module.path().to_path_buf(),
        outcome: pinned(why.clone()),
        elapsed: Duration::ZERO,
    });
    let teardown = Teardown {
        lpms: lpms.collect(),
        libraries: libraries.collect(),
    };
    for lpm in &teardown.lpms {
        events.record(&lpm.event());
    }
    for library in &teardown.libraries {
        events.record(&library.event());
    }
    teardown
}

impl DeinitializedLpm {
    fn event(&self) -> Event {
        let event = match &self.detail {
            None => Event::new(
                EventId::LpmDeinitialized,
                format!("deinitialized: {}", self.reason),
            ),
            Some(detail) => Event::new(EventId::LpmDeinitializeFailed, detail),
        };
        event
            .lpm(Arc::clone(&self.name))
            .handle(self.handle)
            .library(&self.library)
            .status(self.status)
    }
}

impl UnloadedLibrary {
    fn event(&self) -> Event {
        let id = match self.outcome {
            UnloadOutcome::Unmapped => EventId::LibraryUnmapped,
            UnloadOutcome::Pinned { .. } => EventId::LibraryPinned,
        };
        Event::new(id, self.outcome.to_string()).library(&self.library)
    }
}

fn pinned(reason: PinReason) -> UnloadOutcome {
    UnloadOutcome::Pinned {
        reasons: vec![reason],
    }
}
