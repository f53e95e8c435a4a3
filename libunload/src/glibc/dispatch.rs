//! System calls that the kernel hands to a library instead of making them
//! (`PR_SET_SYSCALL_USER_DISPATCH`).
//!
//! At each system call of such a thread the kernel reads a byte of the library's. Only the thread
//! itself can have that end.

use std::ffi::c_int;
use std::sync::Arc;

use super::ledger::{self, Ledger};
use super::tasks::Thread;
use crate::outcome::PinReason;

/// What the kernel leads threads into this object by.
pub(super) fn holders(ledger: &Ledger) -> Vec<PinReason> {
    let threads = ledger.with(|entries| {
        entries.dispatched.retain(|thread| thread.is_alive());
        entries.dispatched.clone()
    });
    let holder = |thread: Thread| PinReason::AddressKept {
        holder: format!(
            "the kernel, which asks at each system call of {},",
            thread.label()
        ),
    };
    threads.into_iter().map(holder).collect()
}

/// Stands in for `prctl`.
///
/// # Safety
///
/// As for `prctl`.
pub(super) unsafe extern "C" fn control(
    option: c_int,
    first: usize,
    second: usize,
    third: usize,
    fourth: usize,
) -> c_int {
    const PR_SET_SYSCALL_USER_DISPATCH: c_int = 59;
    const ON: usize = 1;
    if option != PR_SET_SYSCALL_USER_DISPATCH {
        // SAFETY: the caller's promise.
        return unsafe { libc::prctl(option, first, second, third, fourth) };
    }
    // Noted first: afterwards each system call of this thread may be handed on.
    let thread = Thread::current();
    let owner = ledger::of_address(fourth).filter(|_| first == ON);
    let note = |owner: Option<Arc<Ledger>>| {
        for ledger in ledger::all() {
            ledger.with(|entries| entries.dispatched.retain(|other| *other != thread));
        }
        if let Some(ledger) = owner {
            ledger.with(|entries| entries.dispatched.push(thread));
        }
    };
    let is_asked = owner.is_some();
    if is_asked {
        note(owner);
    }
    // SAFETY: the caller's promise.
    let failed = unsafe { libc::prctl(option, first, second, third, fourth) };
    if is_asked == (failed != 0) {
        note(None);
    }
    failed
}
