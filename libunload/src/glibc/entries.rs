//! What a ledger has entries of.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, c_void};

use super::remnants::Concealed;
use super::tasks::Thread;

/// What the object did and has not undone.
#[derive(Default)]
pub(super) struct Entries {
    /// Thread-specific data keys.
    pub(super) keys: Vec<Key>,
    /// Threads that it started.
    pub(super) threads: Started,
    /// Processes that it started and that share the memory.
    pub(super) processes: Vec<libc::pid_t>,
    /// Timers that it set up.
    pub(super) timers: Vec<Timer>,
    /// Threads that this host has run some of its code.
    pub(super) running: Vec<(libc::pid_t, Running)>,
    /// Whether no more of its code is to be run in this way.
    pub(super) held_back: bool,
    /// Threads whose system calls the kernel hands to it.
    pub(super) dispatched: Vec<Thread>,
    /// Functions to be called at exit.
    pub(super) exits: Exits,
    /// Requests that it made, by their places, which may be done.
    pub(super) requests: BTreeMap<Concealed, Request>,
    /// When there are more than this, those that are done are forgotten.
    pub(super) next_look_at_requests: usize,
    /// Where in the object there are, or were, requests.
    pub(super) places_of_requests: BTreeSet<Concealed>,
    /// Functions that have addresses of it, and that it has not told to forget them.
    pub(super) lent: BTreeSet<&'static str>,
    /// Queues whose messages it is told of.
    pub(super) queues: Vec<libc::mqd_t>,
    /// What it called libraries that it opened, and where they are.
    pub(super) names: BTreeMap<CString, CString>,
    /// What is left to be called before it is unmapped, or when the process exits.
    pub(super) finalizers: Finalizers,
}

/// Code of an object that the host runs when a thread ends or a timer goes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Running {
    /// The destructor of a thread-local.
    Destructor,
    /// The function of a timer.
    TimerFunction,
}

/// The threads of one library.
#[derive(Default)]
pub(super) struct Started {
    pub(super) threads: BTreeMap<libc::pid_t, u64>,
    /// Threads whose start was asked for and that have not got as far as telling who they are.
    pub(super) starting: usize,
    /// When there are more threads than this, those that ended are forgotten.
    pub(super) next_cleaning: usize,
}

impl Started {
    /// The threads that have not ended.
    pub(super) fn alive(&mut self) -> Vec<Thread> {
        self.threads
            .retain(|&id, &mut started| Thread { id, started }.is_alive());
        self.threads
            .iter()
            .map(|(&id, &started)| Thread { id, started })
            .collect()
    }

    /// How many threads are on their way into being.
    pub(super) fn starting(&self) -> usize {
        self.starting
    }

    pub(super) fn add(&mut self, thread: Thread) {
        // A library that starts a thread per request must not fill the memory.
        if self.threads.len() >= self.next_cleaning {
            let alive = self.alive().len();
            self.next_cleaning = (2 * alive).max(64);
        }
        self.threads.insert(thread.id, thread.started);
    }
}

pub(super) type Destructor = unsafe extern "C" fn(*mut c_void);

/// A key that a library made and has not deleted.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) number: libc::pthread_key_t,
    pub(super) destructor: Concealed<Option<Destructor>>,
}

impl Key {
    /// Whether it has this number.
    pub(super) fn is(self, number: usize) -> bool {
        usize::try_from(self.number) == Ok(number)
    }
}

/// A timer that a library set up and has not deleted.
#[derive(Clone, Copy)]
pub(super) struct Timer {
    pub(super) id: TimerId,
    /// The number of the call, if it makes one.
    pub(super) call: Option<usize>,
}

/// What glibc names a timer with: a number, or an address that only glibc uses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct TimerId(pub(super) libc::timer_t);

// SAFETY: POSIX lets every thread use a timer.
unsafe impl Send for TimerId {}

/// The exit handlers of one library.
#[derive(Default)]
pub(super) struct Exits {
    /// The handles under which functions were registered.
    pub(super) handles: Vec<Concealed>,
    /// How many functions were registered under no handle of the library.
    pub(super) stuck: usize,
}

impl Exits {
    /// How many functions cannot be taken back.
    pub(super) fn stuck(&self) -> usize {
        self.stuck
    }
}

/// What was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// Input or output (`struct aiocb`).
    Transfer,
    /// To look a name up (`struct gaicb`).
    Name,
}

pub(super) type Finalizer = unsafe extern "C" fn();

/// What is left to be called before the library is unmapped, in order.
#[derive(Default)]
pub(super) struct Finalizers(pub(super) Vec<Concealed<Finalizer>>);

impl Finalizers {
    /// Calls them.
    ///
    /// # Safety
    ///
    /// The library is mapped, and nothing in it is used by anybody else.
    pub(super) unsafe fn run(self) {
        for finalizer in self.0 {
            // SAFETY: the caller's promise; who loaded the library vouched for its code.
            unsafe { finalizer.get()() };
        }
    }
}
