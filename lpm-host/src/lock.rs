//! Locking.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; what another thread did before it panicked is taken as it is, since no lock here is held
/// across a call of foreign code.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
