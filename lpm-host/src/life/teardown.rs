//! What became of LPMs and libraries: deinitialized, then unloaded, each within a deadline.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libunload::LeftBehind;
use lpm_api::{DeinitReason, LpmHandle, LpmStatus};

use super::deadline::{self, Overdue};
use crate::event::{Event, EventId, EventLog};
use crate::initialized::InitializedLpm;
use crate::lpm::error::LpmError;
use crate::lpm::instance::Instance;
use crate::lpm::isolated::process::Process;
use crate::lpm::module::LoadedModule;
use crate::pin_reason::{PinReason, UnloadOutcome};
use crate::source::LpmSource;

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
    /// What it came from.
    pub source: LpmSource,
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
    /// What of it was left for the host to take back.
    pub left_behind: LeftBehind,
    /// How long unloading took.
    pub elapsed: Duration,
}

/// How long unloading may take: the destructors of the library's statics run in it.
const UNLOAD_LIMIT: Duration = Duration::from_secs(30);

/// Deinitializes one LPM within its limit. One that does not return holds its library: the reason
/// is the second result.
pub(crate) fn deinitialize(
    instance: Instance,
    reason: DeinitReason,
    limit: Duration,
    events: &dyn EventLog,
) -> (DeinitializedLpm, Option<PinReason>) {
    let InitializedLpm {
        name,
        handle,
        source,
        ..
    } = instance.about();
    let started = Instant::now();
    let called = deadline::call("lpm-deinitialize", limit, move || {
        instance.deinitialize(reason)
    });
    let elapsed = started.elapsed();
    let (status, detail, holds) = match called {
        Ok(Ok(())) => (LpmStatus::OK, None, None),
        Ok(Err(LpmError { status, message })) => (status, Some(message), None),
        Err(Overdue) => {
            let overdue = PinReason::DeinitializeOverdue { limit };
            (
                LpmStatus::DEADLINE,
                Some(overdue.to_string()),
                Some(overdue),
            )
        }
    };
    let lpm = DeinitializedLpm {
        name,
        handle,
        source,
        reason,
        status,
        detail,
        elapsed,
    };
    events.record(&lpm.event());
    (lpm, holds)
}

/// Unloads a library, unless something is known to hold it.
pub(crate) fn unload(
    module: Arc<LoadedModule>,
    held: Option<PinReason>,
    events: &dyn EventLog,
) -> UnloadedLibrary {
    let library = module.path().to_path_buf();
    let started = Instant::now();
    let (outcome, left_behind) = match held {
        Some(reason) => (UnloadOutcome::pinned(reason), LeftBehind::default()),
        None => unload_in_time(module),
    };
    let elapsed = started.elapsed();
    events.record(&outcome.event(&library));
    UnloadedLibrary {
        library,
        outcome,
        left_behind,
        elapsed,
    }
}

/// Waits for the end of the process of an LPM that is deinitialized, which is the end of its
/// library; after that limit it is killed.
pub(crate) fn end(
    process: &Process,
    library: &Path,
    limit: Duration,
    events: &dyn EventLog,
) -> UnloadedLibrary {
    let started = Instant::now();
    process.end(limit);
    let outcome = UnloadOutcome::Unmapped;
    events.record(&outcome.event(library));
    UnloadedLibrary {
        library: library.to_path_buf(),
        outcome,
        left_behind: LeftBehind::default(),
        elapsed: started.elapsed(),
    }
}

fn unload_in_time(module: Arc<LoadedModule>) -> (UnloadOutcome, LeftBehind) {
    let unload = move || {
        let mut left_behind = LeftBehind::default();
        (module.unload(&mut left_behind), left_behind)
    };
    deadline::call("lpm-unload", UNLOAD_LIMIT, unload).unwrap_or_else(|Overdue| {
        let overdue = PinReason::UnloadOverdue {
            limit: UNLOAD_LIMIT,
        };
        (UnloadOutcome::pinned(overdue), LeftBehind::default())
    })
}

/// Gives up on an LPM that calls do not return from: it is not deinitialized.
pub(crate) fn abandon(
    lpm: InitializedLpm,
    reason: DeinitReason,
    why: &PinReason,
    events: &dyn EventLog,
) -> DeinitializedLpm {
    let abandoned = DeinitializedLpm {
        name: lpm.name,
        handle: lpm.handle,
        source: lpm.source,
        reason,
        status: LpmStatus::DEADLINE,
        detail: Some(format!("not deinitialized: {why}")),
        elapsed: Duration::ZERO,
    };
    events.record(&abandoned.event());
    abandoned
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
        let event = event
            .lpm(Arc::clone(&self.name))
            .handle(self.handle)
            .status(self.status);
        self.source.put_on(event)
    }
}
