//! Signal handlers that a library left behind.
//!
//! No import needs redirecting for these: the kernel tells what each signal does. What a library changed
//! is put back to what it was when the library was loaded, rather than to the default, which for many
//! signals is to end the process.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;

use super::ledger;

/// What each signal did at some moment.
pub(super) struct Actions(Vec<(libc::c_int, libc::sigaction)>);

impl Actions {
    /// What they do now. The handlers of other libraries do not count, since these may be unloaded
    /// earlier: instead of theirs, the default is remembered.
    pub(super) fn current() -> Self {
        let mut actions = Vec::new();
        for signal in 1..=libc::SIGRTMAX() {
            if let Some(mut action) = current(signal) {
                if ledger::of_address(action.sa_sigaction).is_some() {
                    action.sa_sigaction = libc::SIG_DFL;
                    action.sa_flags = 0;
                }
                actions.push((signal, action));
            }
        }
        Self(actions)
    }

    /// Puts back the signals whose handlers are in these ranges; returns which they were.
    pub(super) fn put_back(&self, ranges: &[Range<usize>]) -> Vec<libc::c_int> {
        let mut changed = Vec::new();
        for (signal, before) in &self.0 {
            let handler = current(*signal).map_or(libc::SIG_DFL, |action| action.sa_sigaction);
            if ranges.iter().any(|range| range.contains(&handler)) {
                // SAFETY: this action was in force before, and its handler is not in a library that
                // may have been unloaded.
                unsafe { libc::sigaction(*signal, before, ptr::null_mut()) };
                changed.push(*signal);
            }
        }
        changed
    }
}

fn current(signal: libc::c_int) -> Option<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: this only asks, and writes the answer into `action`.
    match unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } {
        // SAFETY: it was written.
        0 => Some(unsafe { action.assume_init() }),
        // Numbers that the C library keeps to itself.
        _ => None,
    }
}
