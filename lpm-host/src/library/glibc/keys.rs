//! Keys of thread-specific data (`pthread_key_create`).
//!
//! Rust's standard library makes one for itself in each library as soon as `thread::current` is called.
//! glibc does not connect keys with libraries: once the library is gone, a thread that ends calls a
//! destructor that is not there, and since nobody deletes the key, the process runs out of its 1024.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Arc;

use super::ledger::{self, Ledger};

type Destructor = unsafe extern "C" fn(*mut c_void);

/// A key that a library made and has not deleted.
#[derive(Clone, Copy)]
pub(super) struct Key {
    number: libc::pthread_key_t,
    destructor: Option<Destructor>,
}

/// Does for the current thread what its end would do: runs the destructors of the values that these
/// objects keep in it.
pub(super) fn run_on_current_thread(ledgers: &[Arc<Ledger>]) {
    /// As glibc does: destructors that set values again are not humoured for ever.
    const ROUNDS: usize = 4;
    for _ in 0..ROUNDS {
        let mut found = false;
        for key in ledgers
            .iter()
            .flat_map(|ledger| ledger.with(|entries| entries.keys.clone()))
        {
            let Some(destructor) = key.destructor else {
                continue;
            };
            // SAFETY: the ledger has the key, so it was not deleted.
            let value = unsafe { libc::pthread_getspecific(key.number) };
            if value.is_null() {
                continue;
            }
            found = true;
            // SAFETY: as above.
            unsafe { libc::pthread_setspecific(key.number, ptr::null()) };
            // SAFETY: the library set the value on this thread for this destructor, and is mapped.
            unsafe { destructor(value) };
        }
        if !found {
            return;
        }
    }
}

/// Deletes the keys of these objects, so that no thread that ends calls their destructors; returns how
/// many there were. The values that other threads have are leaked.
pub(super) fn delete(ledgers: &[Arc<Ledger>]) -> usize {
    let keys = ledgers
        .iter()
        .map(|ledger| ledger.with(|entries| std::mem::take(&mut entries.keys)));
    let mut deleted = 0;
    for key in keys.flatten() {
        // SAFETY: the ledger had the key, so it was not deleted; the library does not use it any more.
        unsafe { libc::pthread_key_delete(key.number) };
        deleted += 1;
    }
    deleted
}

/// Stands in for `pthread_key_create`.
///
/// # Safety
///
/// As for `pthread_key_create`.
pub(super) unsafe extern "C" fn create(
    key: *mut libc::pthread_key_t,
    destructor: Option<Destructor>,
) -> c_int {
    // SAFETY: the caller's promise.
    let error = unsafe { libc::pthread_key_create(key, destructor) };
    if error == 0 {
        // A key without destructor harms nobody, but where it lies may tell whose it is.
        let origin = destructor.map_or(key as usize, |destructor| destructor as *const () as usize);
        if let Some(ledger) = ledger::of_address(origin) {
            // SAFETY: `pthread_key_create` has just written there.
            let number = unsafe { key.read() };
            ledger.with(|entries| entries.keys.push(Key { number, destructor }));
        }
    }
    error
}

/// Stands in for `pthread_key_delete`.
///
/// # Safety
///
/// As for `pthread_key_delete`.
pub(super) unsafe extern "C" fn delete_one(key: libc::pthread_key_t) -> c_int {
    // Before the number can be given to somebody else.
    for ledger in ledger::all() {
        ledger.with(|entries| entries.keys.retain(|other| other.number != key));
    }
    // SAFETY: the caller's promise.
    unsafe { libc::pthread_key_delete(key) }
}
