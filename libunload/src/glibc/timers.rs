//! Timers that a library set up (`timer_create`).
//!
//! Those that call a function when they go off do so by way of [`calls`](super::calls). Others send
//! a signal, which ends most processes once the library's handler is gone.

use std::ffi::c_int;
use std::ptr;

use super::calls::{self, Event};
use super::entries::{Timer, TimerId};
use super::ledger::{self, Ledger};

/// Timers that were stopped. Dropping this leaves them so.
#[must_use]
pub(super) struct Stopped(Vec<(TimerId, libc::itimerspec)>);

/// Stops the timers of an object.
pub(super) fn stop(ledger: &Ledger) -> Stopped {
    let timers = ledger.with(|entries| entries.timers.clone());
    let stopped = timers.into_iter().filter_map(|Timer { id, .. }| {
        let (never, mut before) = (NEVER, NEVER);
        // SAFETY: the ledger has the timer, so it was not deleted.
        let failed = unsafe { libc::timer_settime(id.0, 0, &raw const never, &raw mut before) };
        (failed == 0).then_some((id, before))
    });
    Stopped(stopped.collect())
}

impl Stopped {
    /// Lets them go on.
    pub(super) fn resume(self) {
        for (id, before) in self.0 {
            // SAFETY: the library, which goes on as well, has not deleted it meanwhile: nobody is
            // in it.
            unsafe { libc::timer_settime(id.0, 0, &raw const before, ptr::null_mut()) };
        }
    }
}

/// Deletes the timers of an object, and returns how many there were. What has begun already is in
/// its ledger.
pub(super) fn delete(ledger: &Ledger) -> usize {
    let timers = ledger.with(|entries| std::mem::take(&mut entries.timers));
    for Timer { id, call } in &timers {
        // SAFETY: the ledger had the timer, so it was not deleted.
        unsafe { libc::timer_delete(id.0) };
        call.map(calls::forget);
    }
    timers.len()
}

const NEVER: libc::itimerspec = libc::itimerspec {
    it_interval: ZERO,
    it_value: ZERO,
};
const ZERO: libc::timespec = libc::timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Stands in for `timer_create`.
///
/// # Safety
///
/// As for `timer_create`.
pub(super) unsafe extern "C" fn create(
    clock: libc::clockid_t,
    event: *mut libc::sigevent,
    timer: *mut libc::timer_t,
) -> c_int {
    // SAFETY: the caller passes an event or null.
    let mut event = unsafe { event.cast::<Event>().as_ref() }.copied();
    let ledger = event
        .and_then(|event| event.owner())
        .or_else(ledger::of_caller);
    let call = match (&mut event, &ledger) {
        (Some(event), Some(ledger)) => event.redirect(ledger),
        _ => None,
    };
    let event = event
        .as_mut()
        .map_or(ptr::null_mut(), |event| ptr::from_mut(event).cast());
    // SAFETY: the event is the caller's but for the function, which expects this value.
    let failed = unsafe { libc::timer_create(clock, event, timer) };
    match ledger {
        Some(ledger) if failed == 0 => {
            let timer = Timer {
                // SAFETY: `timer_create` has just written there.
                id: TimerId(unsafe { timer.read() }),
                call,
            };
            ledger.with(|entries| entries.timers.push(timer));
        }
        _ => drop(call.map(calls::forget)),
    }
    failed
}

/// Stands in for `timer_delete`.
///
/// # Safety
///
/// As for `timer_delete`.
pub(super) unsafe extern "C" fn delete_one(timer: libc::timer_t) -> c_int {
    // Before the number can be given to somebody else.
    for ledger in ledger::all() {
        ledger.with(|entries| {
            entries.timers.retain(|other| {
                let same = other.id == TimerId(timer);
                if let (true, Some(call)) = (same, other.call) {
                    calls::forget(call);
                }
                !same
            });
        });
    }
    // SAFETY: the caller's promise.
    unsafe { libc::timer_delete(timer) }
}
