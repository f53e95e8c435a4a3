//! Which threads may still have code of a library on their stacks?
//!
//! The caller promises that nobody *enters* the library any more, so a thread that is seen outside
//! stays outside, and the threads can be looked at one after the other while they run.
//!
//! 1. A thread that waits in the kernel is left alone: the kernel tells where its stack begins, and
//!    every word from there on is looked at. If none of them looks like an address to return to in
//!    the library, it is outside. (x86-64 only: there a call always writes that address to the
//!    stack. Elsewhere it may be in a register.)
//! 2. Other threads, and those with a suspicious word, which may be a remnant of an earlier call,
//!    are interrupted by a signal and walk their own stack by its unwind tables. A thread is
//!    outside if it gets to the very end, the start of the thread, without meeting the library.
//!
//! Where a thread is in doubt, it is looked at again a few times; one that gets no processor
//! meanwhile, and so cannot leave the library or answer, is given more time.
//!
//! 3. A thread that the tables do not lead out of, as in code that was made at run time, or that
//!    may not use them (glibc older than 2.35), looks at each word of its stack as in 1 (x86-64).
//! 4. Where none gives an answer, the answer is "perhaps inside": a thread that runs, or on aarch64
//!    any thread, and holds back even the signals that glibc keeps to itself ([`hidden`]); on
//!    aarch64, one in code without unwind tables.
//!
//! Threads that the kernel runs for an io_uring are outside.
//!
//! The signal is a real-time signal that nobody uses. It may interrupt a system call, as any signal
//! may; glibc does the same to every thread when the process changes its user.

mod hidden;
mod interrupt;
mod stack;

use std::fs;
use std::io;
use std::ops::Range;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::maps::Maps;
use super::tasks::{self, Progress};
use crate::lock::lock;
use crate::outcome::PinReason;
use interrupt::Walk;
use stack::{Stacks, Waiting};

/// What is known of one thread.
enum Position {
    Outside,
    Inside,
    Unknown,
}

/// Threads that were seen outside.
pub(super) struct Outside {
    threads: Vec<libc::pid_t>,
    seen: Instant,
}

/// Looks for threads that may be inside, the current one included. Threads of which that is not
/// certain are looked at again a few times.
///
/// # Errors
///
/// The threads that may be inside.
pub(super) fn threads_outside(text: &[Range<usize>]) -> Result<Outside, Vec<PinReason>> {
    look(text, Vec::new())
}

impl Outside {
    /// Looks at the threads that have come since, if the code is still the same. Those that were
    /// outside then are outside now.
    ///
    /// # Errors
    ///
    /// The threads that may be inside.
    pub(super) fn still(self, text: &[Range<usize>]) -> Result<Self, Vec<PinReason>> {
        /// After a while the number of a thread may be another's.
        const VALID: Duration = Duration::from_millis(100);
        let known = if self.seen.elapsed() < VALID {
            self.threads
        } else {
            Vec::new()
        };
        look(text, known)
    }
}

fn look(text: &[Range<usize>], known: Vec<libc::pid_t>) -> Result<Outside, Vec<PinReason>> {
    const ATTEMPTS: u32 = 8;
    /// How long threads are waited for that get no processor, from the beginning.
    const STARVED: Duration = Duration::from_secs(5);
    // One scan at a time: they share a signal.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = lock(&ONE);
    let seen = Instant::now();
    let cannot = |what: &str, error: &io::Error| vec![unreadable(what, error)];
    // One that is missed because it starts meanwhile was started by a thread outside the library,
    // and is outside.
    let threads = tasks::numbers().map_err(|error| cannot("/proc/self/task", &error))?;
    let mut doubtful: Vec<_> = threads
        .iter()
        .copied()
        .filter(|thread| !known.contains(thread))
        .collect();
    if doubtful.is_empty() {
        return Ok(Outside { threads, seen });
    }
    let maps = Maps::open().map_err(|error| cannot("/proc/self/maps", &error))?;
    let mut stacks = Stacks::new(maps, text);
    let mut progress = Progress::default();
    let mut attempts = 0;
    for round in 0.. {
        let reasons: Vec<_> = doubtful
            .iter()
            .filter_map(|&thread| Some((thread, doubt(thread, &mut stacks)?)))
            .collect();
        if reasons.is_empty() {
            return Ok(Outside { threads, seen });
        }
        doubtful = reasons.iter().map(|(thread, _)| *thread).collect();
        // One that goes on at last is given time to answer, too.
        let are_starved = progress.stands_still(&doubtful) && seen.elapsed() < STARVED;
        attempts += u32::from(!are_starved);
        if attempts > ATTEMPTS {
            return Err(reasons.into_iter().map(|(_, reason)| reason).collect());
        }
        // Up to 128 ms, a quarter of a second together.
        thread::sleep(Duration::from_millis(1 << round.min(ATTEMPTS - 1)));
    }
    unreachable!("rounds do not run out")
}

/// Why the thread may be inside; `None` if it is not.
fn doubt(thread: libc::pid_t, stacks: &mut Stacks<'_>) -> Option<PinReason> {
    match position(thread, stacks) {
        Position::Outside => None,
        Position::Inside => Some(PinReason::CodeOnStack(tasks::label(thread))),
        Position::Unknown => Some(PinReason::StackUnknown(tasks::label(thread))),
    }
}

fn position(thread: libc::pid_t, stacks: &mut Stacks<'_>) -> Position {
    let walk = if thread == tasks::current_id() {
        interrupt::walk_own_stack(stacks.text())
    } else {
        match stacks.waiting(thread) {
            Some(Waiting::Outside) => return Position::Outside,
            Some(Waiting::InTheCode) => return Position::Inside,
            None => interrupt::walk_stack_of(thread, stacks.text(), |address| stacks.at(address)),
        }
    };
    match walk {
        Walk::Outside => Position::Outside,
        Walk::Inside => Position::Inside,
        Walk::Unknown if has_ended(thread) || is_of_the_kernel(thread) => Position::Outside,
        Walk::Unknown => Position::Unknown,
    }
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

/// Whether the thread runs in the kernel only, as those of an io_uring do. They belong to no
/// library.
fn is_of_the_kernel(thread: libc::pid_t) -> bool {
    /// `PF_IO_WORKER` and `PF_USER_WORKER` of Linux's `sched.h`.
    const KERNEL_ONLY: u64 = 0x10 | 0x4000;
    let Ok(status) = fs::read(format!("/proc/self/task/{thread}/stat")) else {
        return false;
    };
    let after_name = status.iter().rposition(|&byte| byte == b')');
    let after_name = after_name.and_then(|end| std::str::from_utf8(status.get(end + 1..)?).ok());
    let flags = after_name.and_then(|fields| fields.split_ascii_whitespace().nth(6)?.parse().ok());
    flags.is_some_and(|flags: u64| flags & KERNEL_ONLY != 0)
}

fn unreadable(what: &str, error: &io::Error) -> PinReason {
    PinReason::CannotVerify {
        what: format!("{what}: {error}"),
    }
}
