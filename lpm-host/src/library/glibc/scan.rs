//! Which threads may still have code of a library on their stacks?
//!
//! The caller promises that nobody *enters* the library any more, so a thread that is seen outside stays
//! outside, and the threads can be looked at one after the other while they run.
//!
//! 1. A thread that waits in the kernel is left alone: the kernel tells where its stack begins, and every
//!    word from there on is looked at. If none of them looks like an address to return to in the library,
//!    it is outside. (x86-64 only: there a call always writes that address to the stack. Elsewhere it
//!    may be in a register.)
//! 2. Other threads, and those with a suspicious word, which may be a remnant of an earlier call, are
//!    interrupted by a signal and walk their own stack by its unwind tables. A thread is outside if it
//!    gets to the very end, the start of the thread, without meeting the library.
//! 3. Where neither gives an answer, the answer is "perhaps inside": a thread that runs, or on aarch64 any
//!    thread, and holds the signal back; one in code without unwind tables; any thread that 1 does not
//!    clear where glibc is older than 2.35, whose unwinder must not be used in a signal handler.
//!
//! The signal is a real-time signal that nobody uses. It may interrupt a system call, as any signal may;
//! glibc does the same to every thread when the process changes its user.

mod interrupt;
mod stack;

use std::fs;
use std::io;
use std::ops::Range;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use super::super::{PinReason, lock};
use super::threads;
use interrupt::Walk;

/// What is known of one thread.
enum Position {
    Outside,
    Inside,
    Unknown,
}

/// Looks for threads that may be inside, the current one included. Threads of which that is not certain
/// are looked at again a few times.
pub(super) fn threads_inside(text: &[Range<usize>]) -> Vec<PinReason> {
    const ATTEMPTS: u32 = 8;
    // One scan at a time: they share a signal.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = lock(&ONE);
    let mut reasons = match thread_numbers() {
        Ok(threads) => positions(&threads, text),
        Err(error) => return vec![unreadable("/proc/self/task", &error)],
    };
    for attempt in 0..ATTEMPTS {
        if reasons.is_empty() {
            break;
        }
        // Up to 128 ms, a quarter of a second together.
        thread::sleep(Duration::from_millis(1 << attempt));
        let again: Vec<_> = reasons.into_iter().map(|(thread, _)| thread).collect();
        reasons = positions(&again, text);
    }
    reasons.into_iter().map(|(_, reason)| reason).collect()
}

/// Those of the threads that are not outside.
fn positions(threads: &[libc::pid_t], text: &[Range<usize>]) -> Vec<(libc::pid_t, PinReason)> {
    let inside = |&thread: &libc::pid_t| {
        let label = || threads::label(thread);
        match position(thread, text) {
            Position::Outside => None,
            Position::Inside => Some((thread, PinReason::CodeOnStack(label()))),
            Position::Unknown => Some((thread, PinReason::StackUnknown(label()))),
        }
    };
    threads.iter().filter_map(inside).collect()
}

fn position(thread: libc::pid_t, text: &[Range<usize>]) -> Position {
    // SAFETY: no preconditions.
    let walk = if thread == unsafe { libc::gettid() } {
        interrupt::walk_own_stack(text)
    } else {
        if stack::waits_outside(thread, text) {
            return Position::Outside;
        }
        interrupt::walk_stack_of(thread, text)
    };
    match walk {
        Walk::Outside => Position::Outside,
        Walk::Inside => Position::Inside,
        Walk::Unknown if has_ended(thread) => Position::Outside,
        Walk::Unknown => Position::Unknown,
    }
}

/// The threads of this process. One that is missed because it starts meanwhile was started by a
/// thread outside the library, and is outside.
fn thread_numbers() -> io::Result<Vec<libc::pid_t>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let name = entry?.file_name();
        numbers.extend(
            name.to_str()
                .and_then(|name| name.parse::<libc::pid_t>().ok()),
        );
    }
    Ok(numbers)
}

/// Whether the thread is gone, or has run its last instruction outside the kernel.
fn has_ended(thread: libc::pid_t) -> bool {
    let Ok(status) = fs::read(format!("/proc/self/task/{thread}/stat")) else {
        return true;
    };
    let state = status
        .iter()
        .rposition(|&byte| byte == b')')
        .and_then(|end| status.get(end + 2));
    matches!(state, Some(b'Z' | b'X'))
}

fn unreadable(what: &str, error: &io::Error) -> PinReason {
    PinReason::CannotVerify {
        what: format!("{what}: {error}"),
    }
}
