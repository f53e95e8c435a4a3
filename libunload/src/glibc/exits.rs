//! Functions of a library that are to be called when the process exits, or forks.
//!
//! Those that `atexit` and C++ statics register belong to an object, by the address of a variable
//! in it (its *handle*), and glibc calls them when told that the object goes. Usually the C runtime
//! in the library does so, in its finalizers; here it is done in any case. Functions for the exit
//! that belong to no object stay for ever, and so must the library; those around `fork` are made
//! the library's.

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use super::ledger::{self, Ledger};
use super::remnants::Concealed;

/// Calls the exit handlers of these objects that were not called yet, the last registered first.
pub(super) fn run(ledgers: &[Arc<Ledger>]) {
    for ledger in ledgers {
        for handle in ledger.with(|entries| std::mem::take(&mut entries.exits.handles)) {
            // SAFETY: the handle is one of a mapped library, whose functions the caller of
            // `Library::open` vouches for.
            unsafe { __cxa_finalize(handle.get() as *mut c_void) };
        }
    }
}

type ForkFunction = Option<unsafe extern "C" fn()>;

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
    fn __register_atfork(
        before: ForkFunction,
        in_parent: ForkFunction,
        in_child: ForkFunction,
        handle: *mut c_void,
    ) -> c_int;
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

/// Stands in for `__cxa_at_quick_exit`, whose functions glibc forgets, without a call, with those
/// for a common exit.
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

/// Stands in for `__register_atfork`, which is what `pthread_atfork` calls: without the compiler's
/// start files there is no handle.
///
/// # Safety
///
/// As for `pthread_atfork`.
pub(super) unsafe extern "C" fn register_at_fork(
    before: ForkFunction,
    in_parent: ForkFunction,
    in_child: ForkFunction,
    handle: *mut c_void,
) -> c_int {
    let functions = [before, in_parent, in_child].into_iter().flatten();
    let mut owners = functions.filter_map(|function| ledger::of_address(function as usize));
    let handle = match owners.next() {
        Some(ledger) if handle.is_null() => ledger.object.range().start as *mut c_void,
        _ => handle,
    };
    note_handle(handle as usize);
    // SAFETY: the caller's promise. glibc takes the handle for a number.
    unsafe { __register_atfork(before, in_parent, in_child, handle) }
}

/// Notes a function that was registered under this handle.
fn note(function: usize, handle: usize) {
    if !note_handle(handle) {
        note_stuck(function);
    }
}

/// Notes a handle; whether it is a library's.
fn note_handle(handle: usize) -> bool {
    let ledger = ledger::of_address(handle);
    if let Some(ledger) = &ledger {
        ledger.with(|entries| {
            let handles = &mut entries.exits.handles;
            let handle = Concealed::new(handle);
            if !handles.contains(&handle) {
                handles.push(handle);
            }
        });
    }
    ledger.is_some()
}

fn note_stuck(function: usize) {
    if let Some(ledger) = ledger::of_address(function) {
        ledger.with(|entries| entries.exits.stuck += 1);
    }
}
