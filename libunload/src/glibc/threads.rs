//! Threads that a library started and that may still be running.
//!
//! A thread counts from the call that starts it until the kernel forgets it: after its function has
//! returned, destructors of the library may still run on it.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::fs;
use std::sync::Arc;

use super::ledger::{self, Ledger};
use crate::outcome::ThreadLabel;

/// A thread of this process, told from a later one that gets the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Thread {
    id: libc::pid_t,
    /// In clock ticks since the system was started; 0 if that could not be read.
    started: u64,
}

/// The threads of one library.
#[derive(Default)]
pub(super) struct Started {
    threads: BTreeMap<libc::pid_t, u64>,
    /// Threads whose start was asked for and that have not got as far as telling who they are.
    starting: usize,
    /// When there are more threads than this, those that ended are forgotten.
    next_cleaning: usize,
}

impl Thread {
    /// The thread that asks.
    fn current() -> Self {
        let id = current_id();
        Self {
            id,
            started: start_time(id).unwrap_or(0),
        }
    }

    /// Whether the kernel still knows the thread.
    fn is_alive(self) -> bool {
        match start_time(self.id) {
            Some(started) => self.started == 0 || self.started == started,
            // Without /proc one can only ask whether somebody has the number.
            None => exists(self.id),
        }
    }

    pub(super) fn label(self) -> ThreadLabel {
        label(self.id)
    }
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

    fn add(&mut self, thread: Thread) {
        // A library that starts a thread per request must not fill the memory.
        if self.threads.len() >= self.next_cleaning {
            let alive = self.alive().len();
            self.next_cleaning = (2 * alive).max(64);
        }
        self.threads.insert(thread.id, thread.started);
    }
}

/// The number of the thread that asks.
pub(super) fn current_id() -> libc::pid_t {
    // SAFETY: no preconditions.
    unsafe { libc::gettid() }
}

/// How an operator finds the thread of this number.
pub(super) fn label(id: libc::pid_t) -> ThreadLabel {
    let name = fs::read(format!("/proc/self/task/{id}/comm")).unwrap_or_default();
    let name = String::from_utf8_lossy(name.trim_ascii_end()).into_owned();
    ThreadLabel {
        id: u64::try_from(id).unwrap_or_default(),
        name,
    }
}

/// When the thread was started, in clock ticks since the system was.
fn start_time(id: libc::pid_t) -> Option<u64> {
    let status = fs::read(format!("/proc/self/task/{id}/stat")).ok()?;
    // The name, in parentheses, may contain anything; the start is the 20th field after it.
    let name_end = status.iter().rposition(|&byte| byte == b')')?;
    let after = std::str::from_utf8(status.get(name_end + 1..)?).ok()?;
    after.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// How far threads have got, to tell those that get no processor from those that stay where they are.
#[derive(Default)]
pub(super) struct Progress(Vec<(libc::pid_t, u64)>);

impl Progress {
    /// Whether each of these threads could go on but has had no processor since this was last asked.
    pub(super) fn stands_still(&mut self, threads: &[libc::pid_t]) -> bool {
        let times = threads.iter().map(|&id| Some((id, time_if_ready(id)?)));
        let now: Vec<_> = times.flatten().collect();
        let all = now.len() == threads.len() && now.iter().all(|thread| self.0.contains(thread));
        self.0 = now;
        all
    }
}

/// How long the thread has had a processor, in nanoseconds, if it waits for one, or for the kernel to get it
/// some memory or the like; `None` also where the kernel does not tell.
fn time_if_ready(id: libc::pid_t) -> Option<u64> {
    let status = fs::read(format!("/proc/self/task/{id}/stat")).ok()?;
    let name_end = status.iter().rposition(|&byte| byte == b')')?;
    let state = status.get(name_end + 2)?;
    let times = fs::read_to_string(format!("/proc/self/task/{id}/schedstat")).ok()?;
    let time = times.split_ascii_whitespace().next()?.parse().ok()?;
    matches!(state, b'R' | b'D').then_some(time)
}

pub(super) fn exists(id: libc::pid_t) -> bool {
    // SAFETY: signal 0 is not sent; it only asks whether it could be.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), id, 0) == 0 }
}

/// A thread's function. A thread that is cancelled, or that calls `pthread_exit`, unwinds out of it.
pub(super) type Function = unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void;

/// The same for threads of C11.
pub(super) type FunctionC11 = unsafe extern "C-unwind" fn(*mut c_void) -> c_int;

/// What the new thread has to know; `F` is the type of its function.
struct Start<F> {
    function: F,
    argument: *mut c_void,
    ledger: Arc<Ledger>,
}

unsafe extern "C" {
    // `libc` declares the function as one that does not unwind.
    fn pthread_create(
        thread: *mut libc::pthread_t,
        attributes: *const libc::pthread_attr_t,
        function: Function,
        argument: *mut c_void,
    ) -> c_int;

    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

type CreateC11 = unsafe extern "C" fn(*mut libc::pthread_t, FunctionC11, *mut c_void) -> c_int;

const PTHREAD_CANCEL_DISABLE: c_int = 1;

/// Stands in for `pthread_create`.
///
/// # Safety
///
/// As for `pthread_create`.
pub(super) unsafe extern "C" fn create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    function: Function,
    argument: *mut c_void,
) -> c_int {
    let ledger = ledger::answering_for(function as *const () as usize, argument as usize);
    // Else it is a function of the host or of the C library, handed on by the library.
    // SAFETY: the caller's promise.
    unsafe { create_for(ledger, thread, attributes, function, argument) }
}

/// Stands in for `pthread_create` in libraries of the host, which may start a thread for who called them.
///
/// # Safety
///
/// As for `pthread_create`.
pub(super) unsafe extern "C" fn create_on_behalf(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    function: Function,
    argument: *mut c_void,
) -> c_int {
    let owner = ledger::answering_for(function as *const () as usize, argument as usize);
    let ledger = owner.or_else(ledger::of_caller);
    // SAFETY: the caller's promise.
    unsafe { create_for(ledger, thread, attributes, function, argument) }
}

/// Starts a thread that is the ledger's, if there is one.
///
/// # Safety
///
/// As for `pthread_create`.
unsafe fn create_for(
    ledger: Option<Arc<Ledger>>,
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    function: Function,
    argument: *mut c_void,
) -> c_int {
    let Some(ledger) = ledger else {
        // SAFETY: the caller's promise.
        return unsafe { pthread_create(thread, attributes, function, argument) };
    };
    start(ledger, function, argument, |start| {
        // SAFETY: the caller's promise; `begin` gets what it expects.
        unsafe { pthread_create(thread, attributes, begin, start) }
    })
}

/// Stands in for C11's `thrd_create`.
///
/// # Safety
///
/// As for `thrd_create`.
pub(super) unsafe extern "C" fn create_c11(
    thread: *mut libc::pthread_t,
    function: FunctionC11,
    argument: *mut c_void,
) -> c_int {
    const THRD_ERROR: c_int = 2;
    // Not linked to, since glibc before 2.28 does not have it. There nobody calls this.
    // SAFETY: the name is a C string.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"thrd_create".as_ptr()) };
    if address.is_null() {
        return THRD_ERROR;
    }
    // SAFETY: the function of this name has this type.
    let thrd_create = unsafe { std::mem::transmute::<*mut c_void, CreateC11>(address) };
    let Some(ledger) = ledger::answering_for(function as *const () as usize, argument as usize)
    else {
        // SAFETY: the caller's promise.
        return unsafe { thrd_create(thread, function, argument) };
    };
    start(ledger, function, argument, |start| {
        // SAFETY: the caller's promise; `begin_c11` gets what it expects.
        unsafe { thrd_create(thread, begin_c11, start) }
    })
}

/// Has `create` start a thread that finds out what to do from what is handed to it.
fn start<F>(
    ledger: Arc<Ledger>,
    function: F,
    argument: *mut c_void,
    create: impl FnOnce(*mut c_void) -> c_int,
) -> c_int {
    ledger.with(|entries| entries.threads.starting += 1);
    let start = Start {
        function,
        argument,
        ledger: Arc::clone(&ledger),
    };
    let start = Box::into_raw(Box::new(start)).cast();
    let error = create(start);
    if error != 0 {
        ledger.with(|entries| entries.threads.starting -= 1);
        // SAFETY: there is no thread that got it.
        drop(unsafe { Box::from_raw(start.cast::<Start<F>>()) });
    }
    error
}

/// The first thing that runs on a thread of a library.
unsafe extern "C-unwind" fn begin(start: *mut c_void) -> *mut c_void {
    // SAFETY: `create` made it for this thread alone.
    let (function, argument) = unsafe { announce::<Function>(start) };
    // SAFETY: whoever called `pthread_create` vouches for its function and argument.
    unsafe { function(argument) }
}

/// The same for threads of C11.
unsafe extern "C-unwind" fn begin_c11(start: *mut c_void) -> c_int {
    // SAFETY: `create_c11` made it for this thread alone.
    let (function, argument) = unsafe { announce::<FunctionC11>(start) };
    // SAFETY: whoever called `thrd_create` vouches for its function and argument.
    unsafe { function(argument) }
}

/// Enters the current thread in the ledger; returns what it is to run. Leaves nothing to drop in the
/// caller, through which the thread may unwind.
///
/// # Safety
///
/// `start` is what [`start`] handed over, for a function of this type.
unsafe fn announce<F>(start: *mut c_void) -> (F, *mut c_void) {
    // SAFETY: the caller's promise.
    let start = unsafe { Box::from_raw(start.cast::<Start<F>>()) };
    let mut cancelable = 0;
    // Reading /proc would be a place to be cancelled at, which this function must not be.
    // SAFETY: the old state is written to a variable of this function.
    unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut cancelable) };
    start.ledger.with(|entries| {
        entries.threads.add(Thread::current());
        entries.threads.starting -= 1;
    });
    let Start {
        function,
        argument,
        ledger,
    } = *start;
    drop(ledger);
    // SAFETY: the state before is restored; nobody asks for the one in between.
    unsafe { pthread_setcancelstate(cancelable, std::ptr::null_mut()) };
    (function, argument)
}
