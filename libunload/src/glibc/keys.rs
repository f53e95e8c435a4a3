//! Keys of thread-specific data (`pthread_key_create`, C11's `tss_create`).
//!
//! Rust's standard library makes one for itself in each library as soon as `thread::current` is
//! called. glibc does not connect keys with libraries: once the library is gone, a thread that ends
//! calls a destructor that is not there, and since nobody deletes the key, the process runs out of
//! its 1024.
//!
//! glibc is told of no destructor of a library. One key of the host's own has one, and it runs
//! those of the libraries at the same moment, so that a library that is about to go and a thread
//! that is about to end settle here who is first.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::entries::{Destructor, Key, Running};
use super::ledger::{self, Ledger};
use super::remnants::Concealed;
use super::tasks::current_id;

/// Does for the current thread what its end would do: runs the destructors of the values that these
/// objects keep in it.
pub(super) fn run_on_current_thread(ledgers: &[Arc<Ledger>]) {
    /// As glibc does: destructors that set values again are not humoured for ever.
    const ROUNDS: usize = 4;
    for _ in 0..ROUNDS {
        if !run_once(ledgers, Ledger::begin_anyway) {
            return;
        }
    }
}

/// The same for those whose ledgers let them begin.
pub(super) fn run_where_allowed(ledgers: &[Arc<Ledger>]) {
    run_once(ledgers, Ledger::begin);
}

/// Calls each destructor that has a value on this thread, if the ledger lets it begin; whether
/// there was one.
fn run_once(ledgers: &[Arc<Ledger>], begin: fn(&Ledger, libc::pid_t, Running) -> bool) -> bool {
    let thread = current_id();
    let mut found = false;
    for ledger in ledgers {
        for key in ledger.with(|entries| entries.keys.clone()) {
            let Some(destructor) = key.destructor.get() else {
                continue;
            };
            // SAFETY: asking for the value of a key that was deleted meanwhile gives null, at worst
            // that of its successor, which `take_value` does not take.
            if unsafe { libc::pthread_getspecific(key.number) }.is_null() {
                continue;
            }
            if !begin(ledger, thread, Running::Destructor) {
                continue;
            }
            if let Some(value) = take_value(ledger, key) {
                found = true;
                // SAFETY: the library set the value on this thread for this destructor, and is
                // mapped: it is not unloaded before its ledger says that no destructor is running.
                unsafe { destructor(value) };
            }
            ledger.end(thread, Running::Destructor);
        }
    }
    found
}

/// Takes what this thread keeps under a key, if the library still has the key.
fn take_value(ledger: &Ledger, key: Key) -> Option<*mut c_void> {
    ledger.with(|entries| {
        let known = entries.keys.iter().any(|other| other.number == key.number);
        if !known {
            return None;
        }
        // SAFETY: the ledger has the key, so it was not deleted.
        let value = unsafe { libc::pthread_getspecific(key.number) };
        // SAFETY: as above.
        unsafe { libc::pthread_setspecific(key.number, ptr::null()) };
        (!value.is_null()).then_some(value)
    })
}

/// Deletes the keys of an object; returns how many there were. The values that other threads have
/// are leaked.
pub(super) fn delete(ledger: &Ledger) -> usize {
    let keys = ledger.with(|entries| std::mem::take(&mut entries.keys));
    for key in &keys {
        // SAFETY: the ledger had the key, so it was not deleted; the library does not use it any
        // more.
        unsafe { libc::pthread_key_delete(key.number) };
    }
    keys.len()
}

/// The key whose destructor runs those of all libraries; `Err` with what the system says where it
/// has none to give. Nobody waits for another thread here, which a fork may have left behind.
fn host_key() -> Result<libc::pthread_key_t, c_int> {
    /// One more than the key.
    static KEY: AtomicU32 = AtomicU32::new(0);
    if let Some(key) = KEY.load(Ordering::Acquire).checked_sub(1) {
        return Ok(key);
    }
    let mut key = 0;
    // SAFETY: the key is written to a variable of this function.
    match unsafe { libc::pthread_key_create(&raw mut key, Some(at_end_of_thread)) } {
        0 => {}
        error => return Err(error),
    }
    match KEY.compare_exchange(0, key + 1, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Ok(key),
        Err(first) => {
            // SAFETY: it was made above, and nobody else knows of it.
            unsafe { libc::pthread_key_delete(key) };
            Ok(first - 1)
        }
    }
}

/// Runs when a thread ends that has a value under a key of some library, and once more if
/// destructors set values again, as often as glibc allows.
unsafe extern "C" fn at_end_of_thread(_: *mut c_void) {
    run_once(&ledger::all(), Ledger::begin);
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
    // Usually the destructor or the variable is the library's; `free`, and a place on the heap, are
    // not.
    let ledger = destructor
        .and_then(|destructor| ledger::of_address(destructor as *const () as usize))
        .or_else(|| ledger::of_address(key as usize))
        .or_else(ledger::of_caller);
    let Some(ledger) = ledger else {
        // SAFETY: the caller's promise.
        return unsafe { libc::pthread_key_create(key, destructor) };
    };
    if let (Some(_), Err(error)) = (destructor, host_key()) {
        return error;
    }
    // SAFETY: the caller's promise.
    let error = unsafe { libc::pthread_key_create(key, None) };
    if error == 0 {
        // SAFETY: `pthread_key_create` has just written there.
        let number = unsafe { key.read() };
        let destructor = Concealed::new(destructor);
        ledger.with(|entries| entries.keys.push(Key { number, destructor }));
    }
    error
}

/// Stands in for `pthread_setspecific`.
///
/// # Safety
///
/// As for `pthread_setspecific`.
pub(super) unsafe extern "C" fn set(key: libc::pthread_key_t, value: *const c_void) -> c_int {
    // SAFETY: the caller's promise.
    let error = unsafe { libc::pthread_setspecific(key, value) };
    if error == 0 && !value.is_null() {
        if let Ok(host_key) = host_key() {
            // SAFETY: the key is this host's and never deleted; any value but null has its
            // destructor called.
            unsafe { libc::pthread_setspecific(host_key, ptr::without_provenance(1)) };
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

/// `thrd_success` and `thrd_error`.
fn c11(error: c_int) -> c_int {
    if error == 0 { 0 } else { 2 }
}

/// Stands in for `tss_create`, whose keys are the same.
///
/// # Safety
///
/// As for `tss_create`.
pub(super) unsafe extern "C" fn create_c11(
    key: *mut libc::pthread_key_t,
    destructor: Option<Destructor>,
) -> c_int {
    // SAFETY: the caller's promise.
    c11(unsafe { create(key, destructor) })
}

/// Stands in for `tss_set`.
///
/// # Safety
///
/// As for `tss_set`.
pub(super) unsafe extern "C" fn set_c11(key: libc::pthread_key_t, value: *mut c_void) -> c_int {
    // SAFETY: the caller's promise.
    c11(unsafe { set(key, value) })
}

/// Stands in for `tss_delete`.
///
/// # Safety
///
/// As for `tss_delete`.
pub(super) unsafe extern "C" fn delete_one_c11(key: libc::pthread_key_t) {
    // SAFETY: the caller's promise.
    unsafe { delete_one(key) };
}
