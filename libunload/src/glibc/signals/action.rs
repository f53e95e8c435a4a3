//! What a signal does, asked of the kernel.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;

/// Signals are numbered from 1 to 64.
pub(super) const COUNT: usize = 65;

/// What it does now.
pub(super) fn current(signal: c_int) -> Option<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: this only asks, and writes the answer into `action`.
    match unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } {
        // SAFETY: it was written.
        0 => Some(unsafe { action.assume_init() }),
        // Numbers that the C library keeps to itself.
        _ => None,
    }
}
