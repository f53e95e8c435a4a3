//! What signals carry: values that lead into a library, for a handler to follow.
//!
//! The kernel does not tell what a signal that waits carries. So it is noted of which signals a
//! library has one sent with an address of a library. As long as one of these signals waits, it may
//! be that one. The functions for that may be called in signal handlers and in children of `fork`,
//! and so take no locks.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::owners;
use super::super::tasks::{self, Status};
use super::action::COUNT;

/// For each signal the objects that one led into: the complements of where they begin, so that
/// nobody takes these for addresses; 0 for none.
static NOTED: [[AtomicUsize; PLACES]; COUNT] =
    [const { [const { AtomicUsize::new(0) }; PLACES] }; COUNT];

const PLACES: usize = 4;
/// In the last place where there are more: any object.
const ANY: usize = !0;

/// Notes that a signal is sent, or may be, with this value.
pub(in super::super) fn note(signal: c_int, value: usize) {
    let Some((_, start)) = owners::of(value) else {
        return;
    };
    let Some(noted) = usize::try_from(signal)
        .ok()
        .and_then(|signal| NOTED.get(signal))
    else {
        return;
    };
    let is_noted = |place: &AtomicUsize| {
        let (relaxed, all) = (Ordering::Relaxed, Ordering::SeqCst);
        let before = place.compare_exchange(0, !start, all, relaxed);
        before.map_or_else(|noted| may_be(noted, start), |_| true)
    };
    if !noted.iter().any(is_noted) {
        noted[PLACES - 1].store(ANY, Ordering::SeqCst);
    }
}

/// Signals that wait, and may carry an address of the object in this range.
pub(in super::super) fn leading_into(range: &Range<usize>) -> Vec<c_int> {
    let may_lead = |place: &AtomicUsize| may_be(place.load(Ordering::SeqCst), range.start);
    let noted = (1..).zip(&NOTED[1..]);
    let noted = noted.filter(|(_, noted)| noted.iter().any(may_lead));
    let noted: Vec<c_int> = noted.map(|(signal, _)| signal).collect();
    if noted.is_empty() {
        return noted;
    }
    let waiting = waiting();
    let waits = |signal: &c_int| waiting & 1 << (signal - 1) != 0;
    noted.into_iter().filter(waits).collect()
}

/// Whether what is noted may be an object that begins there.
const fn may_be(noted: usize, start: usize) -> bool {
    noted == !start || noted == ANY
}

/// To be called when an object that began there is not mapped any more.
pub(super) fn forget(start: usize) {
    for place in NOTED.iter().flatten() {
        // Whether it was noted at all.
        let _ = place.compare_exchange(!start, 0, Ordering::SeqCst, Ordering::Relaxed);
    }
}

/// The signals that wait for this process or one of its threads, a bit each; all of them where that
/// cannot be read.
fn waiting() -> u64 {
    let Ok(threads) = tasks::numbers() else {
        return !0;
    };
    threads.into_iter().map(Status::of).fold(0, |all, status| {
        let masks = ["SigPnd:", "ShdPnd:"].map(|name| status.field(name));
        let masks = masks.into_iter().flatten();
        masks.fold(all, |all, mask| {
            all | u64::from_str_radix(mask, 16).unwrap_or(!0)
        })
    })
}

unsafe extern "C" {
    // `libc` declares the value as something else than a word.
    fn sigqueue(process: libc::pid_t, signal: c_int, value: *mut c_void) -> c_int;
    fn pthread_sigqueue(thread: libc::pthread_t, signal: c_int, value: *mut c_void) -> c_int;
}

/// Stands in for `sigqueue`.
///
/// # Safety
///
/// As for `sigqueue`.
pub(in super::super) unsafe extern "C" fn send(
    process: libc::pid_t,
    signal: c_int,
    value: *mut c_void,
) -> c_int {
    note(signal, value as usize);
    // SAFETY: the caller's promise.
    unsafe { sigqueue(process, signal, value) }
}

/// Stands in for `pthread_sigqueue`.
///
/// # Safety
///
/// As for `pthread_sigqueue`.
pub(in super::super) unsafe extern "C" fn send_to_thread(
    thread: libc::pthread_t,
    signal: c_int,
    value: *mut c_void,
) -> c_int {
    note(signal, value as usize);
    // SAFETY: the caller's promise.
    unsafe { pthread_sigqueue(thread, signal, value) }
}
