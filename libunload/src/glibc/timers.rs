//! Timers that a library set up (`timer_create`).
//!
//! Those that call a function when they go off (`SIGEV_THREAD`) do so on a thread of glibc's, of which the
//! library's ledger knows nothing, and may have begun when the timer is deleted. So the function is the
//! host's, which calls the library's if that is still there. Others send a signal, which ends most
//! processes once the library's handler is gone.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::ledger::{self, Ledger, Running};
use super::threads::current_id;
use crate::lock::lock;

/// What goes off with a timer: C's `void (union sigval)`, which is passed like an address.
type Function = unsafe extern "C" fn(usize);

/// A timer that a library set up and has not deleted.
#[derive(Clone, Copy)]
pub(super) struct Timer {
    id: Id,
    /// Its place among `FUNCTIONS`, if it calls one.
    function: Option<usize>,
}

/// What glibc names a timer with: a number, or an address that only glibc uses.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Id(libc::timer_t);

// SAFETY: POSIX lets every thread use a timer.
unsafe impl Send for Id {}

/// A function of a library that a timer calls.
#[derive(Clone)]
struct Call {
    function: Function,
    value: usize,
    ledger: Arc<Ledger>,
}

/// By the number that their timers hand over.
static FUNCTIONS: Mutex<BTreeMap<usize, Call>> = Mutex::new(BTreeMap::new());

/// Timers that were stopped. Dropping this leaves them so.
#[must_use]
pub(super) struct Stopped(Vec<(Id, libc::itimerspec)>);

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
            // SAFETY: the library, which goes on as well, has not deleted it meanwhile: nobody is in it.
            unsafe { libc::timer_settime(id.0, 0, &raw const before, ptr::null_mut()) };
        }
    }
}

/// Deletes the timers of an object, and returns how many there were. What has begun already is in its
/// ledger.
pub(super) fn delete(ledger: &Ledger) -> usize {
    let timers = ledger.with(|entries| std::mem::take(&mut entries.timers));
    for Timer { id, function } in &timers {
        // SAFETY: the ledger had the timer, so it was not deleted.
        unsafe { libc::timer_delete(id.0) };
        function.map(|number| lock(&FUNCTIONS).remove(&number));
    }
    timers.len()
}

/// The functions of all timers, kept from changing and from being read.
pub(super) struct Locked {
    _functions: MutexGuard<'static, BTreeMap<usize, Call>>,
}

/// Locks them.
pub(super) fn lock_all() -> Locked {
    Locked {
        _functions: lock(&FUNCTIONS),
    }
}

const NEVER: libc::itimerspec = libc::itimerspec {
    it_interval: ZERO,
    it_value: ZERO,
};
const ZERO: libc::timespec = libc::timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// glibc's `struct sigevent`, with the part that only `SIGEV_THREAD` has.
#[repr(C)]
#[derive(Clone, Copy)]
struct Event {
    value: usize,
    signal: c_int,
    kind: c_int,
    function: Option<Function>,
    attributes: *mut c_void,
    rest: [usize; 4],
}

const _: () = assert!(size_of::<Event>() == size_of::<libc::sigevent>());

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
    let event = unsafe { event.cast::<Event>().as_ref() }.copied();
    let calls = event.filter(|event| event.kind == libc::SIGEV_THREAD);
    let function = calls.and_then(|event| event.function);
    let ledger = function
        .and_then(|function| ledger::of_address(function as *const () as usize))
        .or_else(ledger::of_caller);

    let mut redirected = event;
    let mut number = None;
    if let (Some(event), Some(function), Some(ledger)) = (&mut redirected, function, &ledger) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let call = Call {
            function,
            value: event.value,
            ledger: Arc::clone(ledger),
        };
        lock(&FUNCTIONS).insert(next, call);
        event.function = Some(goes_off);
        event.value = next;
        number = Some(next);
    }
    let event = redirected
        .as_mut()
        .map_or(ptr::null_mut(), |event| ptr::from_mut(event).cast());
    // SAFETY: the event is the caller's but for the function, which expects this value.
    let failed = unsafe { libc::timer_create(clock, event, timer) };
    match ledger {
        Some(ledger) if failed == 0 => {
            let timer = Timer {
                // SAFETY: `timer_create` has just written there.
                id: Id(unsafe { timer.read() }),
                function: number,
            };
            ledger.with(|entries| entries.timers.push(timer));
        }
        _ => drop(number.map(|number| lock(&FUNCTIONS).remove(&number))),
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
                let same = other.id == Id(timer);
                if let (true, Some(number)) = (same, other.function) {
                    lock(&FUNCTIONS).remove(&number);
                }
                !same
            });
        });
    }
    // SAFETY: the caller's promise.
    unsafe { libc::timer_delete(timer) }
}

/// Called by glibc when a timer of a library goes off.
unsafe extern "C" fn goes_off(number: usize) {
    let Some(call) = lock(&FUNCTIONS).get(&number).cloned() else {
        // Deleted since.
        return;
    };
    let thread = current_id();
    if !call.ledger.begin(thread, Running::TimerFunction) {
        return;
    }
    // SAFETY: the library handed over both for this, and is mapped: it is not unloaded before its ledger
    // says that no such function is running.
    unsafe { (call.function)(call.value) };
    call.ledger.end(thread, Running::TimerFunction);
}
