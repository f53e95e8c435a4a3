//! What a signal does, asked of the kernel.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;

use super::super::remnants::Concealed;

/// Signals are numbered from 1 to 64.
pub(super) const COUNT: usize = 65;

/// What a signal did at some moment.
#[derive(Clone, Copy)]
pub(super) struct Noted {
    handler: Concealed,
    /// Without a handler.
    rest: libc::sigaction,
}

impl Noted {
    pub(super) fn new(action: libc::sigaction) -> Self {
        let rest = libc::sigaction {
            sa_sigaction: libc::SIG_DFL,
            ..action
        };
        Self {
            handler: Concealed::new(action.sa_sigaction),
            rest,
        }
    }

    /// The function that it called, if it called one.
    pub(super) fn handler(&self) -> libc::sighandler_t {
        self.handler.get()
    }

    pub(super) fn action(&self) -> libc::sigaction {
        libc::sigaction {
            sa_sigaction: self.handler(),
            ..self.rest
        }
    }
}

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
