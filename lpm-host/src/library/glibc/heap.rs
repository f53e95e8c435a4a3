//! The memory that a library takes in the last call into it.
//!
//! That call flushes the library's stdout. Where the library never printed, flushing makes the buffer
//! first, and Rust's standard library never frees that: a kibibyte lost with each load. What the library
//! allocates in its last call, and has not freed by the time it is unmapped, is freed here.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;

thread_local! {
    /// Whether this thread is in the last call into a library.
    static IN_LAST_CALL: Cell<bool> = const { Cell::new(false) };
    /// Whether `BLOCKS` is kept up to date: from that call until the library is unmapped.
    static WATCHES: Cell<bool> = const { Cell::new(false) };
    /// What was allocated in that call and is not freed yet.
    static BLOCKS: RefCell<Vec<*mut c_void>> = const { RefCell::new(Vec::new()) };
}

/// Makes the last call into a library, which is unmapped, or kept, by this thread.
pub(in crate::library) fn last_call<R>(call: impl FnOnce() -> R) -> R {
    WATCHES.set(true);
    IN_LAST_CALL.set(true);
    let result = call();
    IN_LAST_CALL.set(false);
    result
}

/// Frees what is left, now that the library is unmapped.
pub(super) fn give_back() {
    WATCHES.set(false);
    for block in BLOCKS.take() {
        // SAFETY: the library got it from `malloc` and has not freed it. Only the library, which is
        // gone, knew of it: in its last call it hands nothing to anybody.
        unsafe { libc::free(block) };
    }
}

/// Leaves everything to the library, which stays.
pub(super) fn keep() {
    WATCHES.set(false);
    drop(BLOCKS.take());
}

/// Stands in for `malloc`.
///
/// # Safety
///
/// As for that.
pub(super) unsafe extern "C" fn malloc(size: libc::size_t) -> *mut c_void {
    // SAFETY: the caller's promise.
    let block = unsafe { libc::malloc(size) };
    if IN_LAST_CALL.get() && !block.is_null() {
        BLOCKS.with_borrow_mut(|blocks| blocks.push(block));
    }
    block
}

/// Stands in for `realloc`.
///
/// # Safety
///
/// As for that.
pub(super) unsafe extern "C" fn realloc(block: *mut c_void, size: libc::size_t) -> *mut c_void {
    if WATCHES.get() {
        forget(block);
    }
    // SAFETY: the caller's promise.
    unsafe { libc::realloc(block, size) }
}

/// Stands in for `free`.
///
/// # Safety
///
/// As for that.
pub(super) unsafe extern "C" fn free(block: *mut c_void) {
    if WATCHES.get() {
        forget(block);
    }
    // SAFETY: the caller's promise.
    unsafe { libc::free(block) };
}

fn forget(block: *mut c_void) {
    BLOCKS.with_borrow_mut(|blocks| blocks.retain(|known| *known != block));
}
