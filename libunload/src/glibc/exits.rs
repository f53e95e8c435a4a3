//! Functions of a library that are to be called when the process exits.
//!
//! Those that `atexit` and C++ statics register belong to an object, by the address of a variable in it
//! (its *handle*), and glibc calls them when told that the object goes. Usually the C runtime in the
//! library does so, in its finalizers; here it is done in any case. Functions that belong to no object
//! stay for ever, and so must the library.

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use super::ledger::{self, Ledger};

/// Calls the exit handlers of these objects that were not called yet, the last registered first.
pub(super) fn run(ledgers: &[Arc<Ledger>]) {
    for ledger in ledgers {
        for handle in ledger.with(|entries| std::mem::take(&mut entries.exits.handles)) {
            // SAFETY: the handle is one of a mapped library, whose functions the caller of
            // `Library::open` vouches for.
            unsafe { __cxa_finalize(handle as *mut c_void) };
        }
    }
}

unsafe extern "C" {
    fn __cxa_atexit(
        function: unsafe extern "C" fn(*mut c_void),
        argument: *mut c_void,
        handle: *mut c_void,
    ) -> c_int;
    fn __cxa_at_quick_exit(
        function: unsafe extern "C" fn(*mut c_void),
        handle: *mut c_void,
    ) -> c_int;
    fn __cxa_finalize(handle: *mut c_void);
    fn on_exit(function: unsafe extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
}

/// Stands in for `__cxa_atexit`.
///
/// # Safety
///
/// As for `__cxa_atexit`.
pub(super) unsafe extern "C" fn register_at_exit(
    function: unsafe extern "C" fn(*mut c_void),
    argument: *mut c_void,
    handle: *mut c_void,
) -> c_int {
    note(function as *const () as usize, handle as usize);
    // SAFETY: the caller's promise.
    unsafe { __cxa_atexit(function, argument, handle) }
}

/// Stands in for `on_exit`, whose functions belong to no object.
///
/// # Safety
///
/// As for `on_exit`.
pub(super) unsafe extern "C" fn register_on_exit(
    function: unsafe extern "C" fn(c_int, *mut c_void),
    argument: *mut c_void,
) -> c_int {
    note_stuck(function as *const () as usize);
    // SAFETY: the caller's promise.
    unsafe { on_exit(function, argument) }
}

/// Stands in for `__cxa_at_quick_exit`, whose functions glibc forgets, without a call, with those for a common exit.
///
/// # Safety
///
/// As for `__cxa_at_quick_exit`.
pub(super) unsafe extern "C" fn register_at_quick_exit(
    function: unsafe extern "C" fn(*mut c_void),
    handle: *mut c_void,
) -> c_int {
    note(function as *const () as usize, handle as usize);
    // SAFETY: the caller's promise.
    unsafe { __cxa_at_quick_exit(function, handle) }
}

/// Notes a function that was registered under this handle.
fn note(function: usize, handle: usize) {
    match ledger::of_address(handle) {
        Some(ledger) => ledger.with(|entries| {
            let handles = &mut entries.exits.handles;
            if !handles.contains(&handle) {
                handles.push(handle);
            }
        }),
        None => note_stuck(function),
    }
}

fn note_stuck(function: usize) {
    if let Some(ledger) = ledger::of_address(function) {
        ledger.with(|entries| entries.exits.stuck += 1);
    }
}
