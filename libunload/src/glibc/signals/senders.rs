//! What sends signals without being asked again.
//!
//! A library's handler goes with the library. By default most signals end the process, so what the
//! library had set up to send them is stopped: the interval timer, descriptors that tell of
//! themselves (`O_ASYNC`, leases, `F_NOTIFY`), and the death of the parent. A filter of system
//! calls (`seccomp`) that sends `SIGSYS` cannot be stopped.

use std::ffi::c_int;
use std::fs;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;

use super::super::tasks;
use super::action::current;

/// What was stopped.
pub(super) enum Sender {
    /// An interval timer, and what was left of it.
    Timer(c_int, libc::itimerval),
    /// A descriptor with these flags.
    Descriptor(c_int, c_int),
    /// A lease of this kind.
    Lease(c_int, c_int),
    /// The end of the thread that started this process.
    Parent(c_int),
}

impl Sender {
    /// Has it go on.
    pub(super) fn resume(self) {
        match self {
            Self::Timer(which, before) => {
                // SAFETY: this reads a variable of this function.
                unsafe { setitimer(which, &raw const before, ptr::null_mut()) };
            }
            Self::Descriptor(number, flags) => {
                control(number, libc::F_SETFL, flags);
            }
            Self::Lease(number, kind) => {
                control(number, libc::F_SETLEASE, kind);
            }
            Self::Parent(signal) => {
                // SAFETY: this hands over a number.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) };
            }
        }
    }
}

/// Stops what sends this signal to this process.
pub(super) fn stop(signal: c_int) -> Vec<Sender> {
    let mut stopped = Vec::from_iter(stop_timer(signal));
    stopped.extend(stop_parent(signal));
    for number in descriptors_that_send(signal) {
        let flags = control(number, libc::F_GETFL, 0);
        if flags >= 0 && flags & libc::O_ASYNC != 0 {
            control(number, libc::F_SETFL, flags & !libc::O_ASYNC);
            stopped.push(Sender::Descriptor(number, flags));
        }
        let lease = control(number, libc::F_GETLEASE, 0);
        let none = libc::F_UNLCK;
        if lease >= 0 && lease != none {
            control(number, libc::F_SETLEASE, none);
            stopped.push(Sender::Lease(number, lease));
        }
    }
    stopped
}

fn stop_timer(signal: c_int) -> Option<Sender> {
    let which = match signal {
        libc::SIGALRM => libc::ITIMER_REAL as c_int,
        libc::SIGVTALRM => libc::ITIMER_VIRTUAL as c_int,
        libc::SIGPROF => libc::ITIMER_PROF as c_int,
        _ => return None,
    };
    // SAFETY: all zeros is a value of this plain structure, and means never.
    let never = unsafe { MaybeUninit::<libc::itimerval>::zeroed().assume_init() };
    let mut before = never;
    // SAFETY: this reads and writes variables of this function.
    match unsafe { setitimer(which, &raw const never, &raw mut before) } {
        0 => Some(Sender::Timer(which, before)),
        _ => None,
    }
}

fn stop_parent(signal: c_int) -> Option<Sender> {
    let mut sent: c_int = 0;
    // SAFETY: this writes to a variable of this function.
    unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut sent) };
    if sent != signal {
        return None;
    }
    // SAFETY: this hands over a number.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) };
    Some(Sender::Parent(signal))
}

/// Has no directory send this signal any more when something in it changes. The kernel does not
/// tell which do, so this cannot be undone.
pub(super) fn forget_directories(signal: c_int) {
    for number in descriptors_that_send(signal) {
        // Refused for all that is no directory.
        control(number, libc::F_NOTIFY, 0);
    }
}

/// Descriptors that may send this signal to this process.
fn descriptors_that_send(signal: c_int) -> Vec<c_int> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names
        .filter_map(|name| name.parse().ok())
        .filter(|&number| signal_of(number) == signal && tells_this_process(number))
        .collect()
}

/// The signal that this descriptor sends, if it sends one.
fn signal_of(number: c_int) -> c_int {
    const F_GETSIG: c_int = 11;
    match control(number, F_GETSIG, 0) {
        0 => libc::SIGIO,
        signal => signal,
    }
}

/// Whether it does so to this process, its group, or one of its threads.
fn tells_this_process(number: c_int) -> bool {
    let owner = control(number, libc::F_GETOWN, 0);
    // SAFETY: no preconditions.
    let group = unsafe { libc::getpgrp() };
    owner == -group || owner > 0 && tasks::exists(owner)
}

fn control(number: c_int, command: c_int, argument: c_int) -> c_int {
    // SAFETY: these commands touch no memory; a number that is no descriptor is refused.
    unsafe { libc::fcntl(number, command, argument) }
}

/// Whether a filter of system calls may send a signal whose handler is in this range: without it,
/// the process would end.
pub(in super::super) fn filters_lead_into(range: &Range<usize>) -> bool {
    let handler = current(libc::SIGSYS).map_or(0, |action| action.sa_sigaction);
    range.contains(&handler) && is_filtered()
}

/// Whether a thread has such a filter, whoever set it up.
fn is_filtered() -> bool {
    let threads = tasks::numbers().unwrap_or_default();
    threads.into_iter().any(|thread| {
        let status = tasks::Status::of(thread);
        status.field("Seccomp:").is_some_and(|mode| mode != "0")
    })
}

unsafe extern "C" {
    // `libc` declares it for some platforms only.
    fn setitimer(
        which: c_int,
        value: *const libc::itimerval,
        before: *mut libc::itimerval,
    ) -> c_int;
}
