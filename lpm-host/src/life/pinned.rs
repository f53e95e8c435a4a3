//! The libraries that stay mapped, for whoever asks later.

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
        let mut pinned = self.lock();
        for library in &teardown.libraries {
            if let UnloadOutcome::Pinned { reasons } = &library.outcome {
                pinned.push(PinnedLibrary {
                    library: library.library.clone(),
                    reasons: reasons.clone(),
                });
            }
        }
        drop(pinned);
        teardown
    }

    /// Notes one.
    pub(super) fn add(&self, library: PinnedLibrary) {
        self.lock().push(library);
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<PinnedLibrary> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<PinnedLibrary>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
