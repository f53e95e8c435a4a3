//! Functions of libraries that the C library calls on threads of its own (`SIGEV_THREAD`): when a
//! timer goes off, a request is done, a message comes.
//!
//! The library's ledger knows nothing of such a thread, which may be about to begin when the
//! library goes. So the C library is handed a function of the host's and a number. The number leads
//! to the library's function, if that is still there. What a signal carries that is sent instead is
//! [noted](super::signals::values).

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::sync::{Arc, Mutex, MutexGuard};

use super::entries::Running;
use super::ledger::{self, Ledger};
use super::remnants::Concealed;
use super::signals;
use super::tasks::current_id;
use crate::lock::lock;

/// C's `void (union sigval)`, which is passed like an address.
type Function = unsafe extern "C" fn(usize);

/// glibc's `struct sigevent`, with the part that only `SIGEV_THREAD` has.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Event {
    value: usize,
    signal: c_int,
    kind: c_int,
    function: Option<Function>,
    attributes: *mut c_void,
    rest: [usize; 4],
}

const _: () = assert!(size_of::<Event>() == size_of::<libc::sigevent>());

/// A function of a library.
#[derive(Clone)]
struct Call {
    function: Concealed<Function>,
    value: Concealed,
    ledger: Arc<Ledger>,
    is_for_good: bool,
}

/// By their numbers.
static CALLS: Mutex<BTreeMap<usize, Call>> = Mutex::new(BTreeMap::new());

impl Event {
    /// The function that it calls, if it calls one.
    fn function(&self) -> Option<Function> {
        let calls = self.kind == libc::SIGEV_THREAD;
        self.function.filter(|_| calls)
    }

    /// Whose function it calls.
    pub(super) fn owner(&self) -> Option<Arc<Ledger>> {
        ledger::of_address(self.function()? as *const () as usize)
    }

    /// Notes what the signal carries that it sends, if it sends one.
    fn note_value(&self) {
        // Threads and processes are told in the same way.
        if self.kind == libc::SIGEV_SIGNAL || self.kind == libc::SIGEV_THREAD_ID {
            signals::values::note(self.signal, self.value);
        }
    }

    /// Has it call the host instead of a function of this library's; returns the number of the
    /// call.
    pub(super) fn redirect(&mut self, ledger: &Arc<Ledger>) -> Option<usize> {
        self.note_value();
        let call = self.call(ledger)?;
        let mut calls = lock(&CALLS);
        let number = calls.last_key_value().map_or(0, |(last, _)| last + 1);
        calls.insert(number, call);
        self.call_instead(number);
        Some(number)
    }

    /// The same for good: who made the event may use it again as he finds it.
    pub(super) fn redirect_for_good(&mut self, ledger: &Arc<Ledger>) {
        self.note_value();
        let Some(call) = self.call(ledger) else {
            return;
        };
        let mut calls = lock(&CALLS);
        let known = calls
            .iter()
            .find(|(_, other)| other.is_for_good && other.is(&call));
        let next = calls.last_key_value().map_or(0, |(last, _)| last + 1);
        let number = known.map_or(next, |(number, _)| *number);
        calls.entry(number).or_insert(Call {
            is_for_good: true,
            ..call
        });
        self.call_instead(number);
    }

    /// What it calls of a library, and not of the host already.
    fn call(&self, ledger: &Arc<Ledger>) -> Option<Call> {
        let is_host = |function: &Function| *function as usize == begin as *const () as usize;
        Some(Call {
            function: Concealed::new(self.function().filter(|function| !is_host(function))?),
            value: Concealed::new(self.value),
            ledger: Arc::clone(ledger),
            is_for_good: false,
        })
    }

    fn call_instead(&mut self, number: usize) {
        self.function = Some(begin);
        self.value = number;
    }
}

impl Call {
    fn is(&self, other: &Self) -> bool {
        let parts = |call: &Self| (call.function, call.value);
        parts(self) == parts(other) && Arc::ptr_eq(&self.ledger, &other.ledger)
    }
}

/// Forgets a call that is not to be made any more.
pub(super) fn forget(number: usize) {
    lock(&CALLS).remove(&number);
}

/// Forgets all calls of an object that goes.
pub(super) fn forget_all(ledger: &Arc<Ledger>) {
    lock(&CALLS).retain(|_, call| !Arc::ptr_eq(&call.ledger, ledger));
}

/// All calls, kept from changing and from being read.
pub(super) struct Locked {
    _calls: MutexGuard<'static, BTreeMap<usize, Call>>,
}

/// Locks them.
pub(super) fn lock_all() -> Locked {
    Locked {
        _calls: lock(&CALLS),
    }
}

/// What the C library calls.
unsafe extern "C" fn begin(number: usize) {
    let Some(call) = lock(&CALLS).get(&number).cloned() else {
        // Forgotten since.
        return;
    };
    let thread = current_id();
    if !call.ledger.begin(thread, Running::TimerFunction) {
        return;
    }
    // SAFETY: the library handed over both for this, and is mapped: it is not unloaded before its
    // ledger says that no such function is running.
    unsafe { call.function.get()(call.value.get()) };
    call.ledger.end(thread, Running::TimerFunction);
}
