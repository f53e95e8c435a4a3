//! The libraries that stay mapped, for whoever asks later.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::teardown::Teardown;
use crate::pin_reason::UnloadOutcome;
use crate::status::PinnedLibrary;

/// The libraries of a PCM that stay mapped.
#[derive(Default)]
pub(crate) struct Pinned(Mutex<Vec<PinnedLibrary>>);

impl Pinned {
    /// Notes those that a teardown could not unload.
    pub(super) fn note(&self, teardown: Teardown) -> Teardown {
        for library in &teardown.libraries {
            self.add(&library.library, &library.outcome);
        }
        teardown
    }

    /// Notes a library if this became of it.
    pub(super) fn add(&self, library: &Path, outcome: &UnloadOutcome) {
        if let UnloadOutcome::Pinned { reasons } = outcome {
            self.lock().push(PinnedLibrary {
                library: library.to_path_buf(),
                reasons: reasons.clone(),
            });
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<PinnedLibrary> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<PinnedLibrary>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
