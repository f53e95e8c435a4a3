//! Threads that a library started and that may still be running, and processes that share the
//! memory.
//!
//! A thread counts from the call that starts it until the kernel forgets it: after its function has
//! returned, destructors of the library may still run on it.

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use super::ledger::{self, Ledger};
use super::remnants::Concealed;
use super::tasks::Thread;
use crate::outcome::PinReason;

/// Functions with which one waits for threads to end, or has them end.
const STOPPING: [&[u8]; 7] = [
    b"pthread_join",
    b"pthread_timedjoin_np",
    b"pthread_clockjoin_np",
    b"pthread_tryjoin_np",
    b"pthread_cancel",
    b"thrd_join",
    b"_ZNSt6thread4joinEv",
];

/// Whether finalizers may stop the threads that are the only `reasons` not to unmap these, the
/// library first and what goes with it: whose threads they are has finalizers or exit handlers of
/// its own, and uses functions with which one stops threads. A thread that is seen in code may be
/// one that the initializer of a library which this one needs has started: these nobody watches.
pub(super) fn may_be_stopped(leaving: &[Arc<Ledger>], reasons: &[PinReason]) -> bool {
    /// `DT_FINI`, and one entry of `DT_FINI_ARRAY`.
    const OF_THE_C_RUNTIME: usize = 2;
    let is_seen = |reason: &PinReason| matches!(reason, PinReason::CodeOnStack(_));
    let is_thread = |reason: &PinReason| {
        matches!(
            reason,
            PinReason::ThreadRunning(_) | PinReason::ThreadsStarting { .. }
        )
    };
    let has_threads = |library: &Ledger| {
        library
            .with(|entries| entries.threads.starting() > 0 || !entries.threads.alive().is_empty())
    };
    // What a library that this one needs registered in its initializers is not known.
    let has_own = |library: &Ledger| {
        !library.library
            || library.with(|entries| {
                entries.finalizers.0.len() > OF_THE_C_RUNTIME || !entries.exits.handles.is_empty()
            })
    };
    let may_stop = |library: &Arc<Ledger>| has_own(library) && can_stop(library);
    let mut needed = leaving.iter().filter(|library| !library.library);
    let mut with_threads = leaving.iter().filter(|library| has_threads(library));
    reasons
        .iter()
        .all(|reason| is_thread(reason) || is_seen(reason))
        && with_threads.all(may_stop)
        && (!reasons.iter().any(is_seen) || needed.any(may_stop))
}

/// Whether it uses functions with which one stops threads.
fn can_stop(library: &Ledger) -> bool {
    let mut relocations = library.object.relocations();
    relocations.any(|relocation| {
        let name = library.object.import_name(relocation);
        name.is_some_and(|name| STOPPING.contains(&name))
    })
}

/// A thread's function. A thread that is cancelled, or that calls `pthread_exit`, unwinds out of
/// it.
pub(super) type Function = unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void;

/// The same for threads of C11.
pub(super) type FunctionC11 = unsafe extern "C-unwind" fn(*mut c_void) -> c_int;

/// What the new thread has to know; `F` is the type of its function.
struct Start<F> {
    function: Concealed<F>,
    argument: Concealed<*mut c_void>,
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

/// Stands in for `clone`. A process that it starts and that shares the memory is none of the
/// threads that the kernel lists.
///
/// # Safety
///
/// As for `clone`.
pub(super) unsafe extern "C" fn clone(
    function: extern "C" fn(*mut c_void) -> c_int,
    stack: *mut c_void,
    flags: c_int,
    argument: *mut c_void,
    parent: *mut c_void,
    thread_locals: *mut c_void,
    child: *mut c_void,
) -> c_int {
    // Before any of it runs.
    let owner = ledger::of_address(function as *const () as usize).or_else(ledger::of_caller);
    // SAFETY: the caller's promise; what he did not pass is not looked at.
    let process = unsafe {
        libc::clone(
            function,
            stack,
            flags,
            argument,
            parent,
            thread_locals,
            child,
        )
    };
    let shares = flags & libc::CLONE_VM != 0 && flags & libc::CLONE_THREAD == 0;
    if let Some(ledger) = owner.filter(|_| shares && process > 0) {
        ledger.with(|entries| entries.processes.push(process));
    }
    process
}

/// The processes of this object that share the memory.
pub(super) fn sharing_processes(ledger: &Ledger) -> Vec<PinReason> {
    let processes = ledger.with(|entries| {
        entries.processes.retain(|&process| shares_memory(process));
        entries.processes.clone()
    });
    let reason = |process| PinReason::AddressKept {
        holder: format!("process {process}, which shares the memory,"),
    };
    processes.into_iter().map(reason).collect()
}

/// Whether this process is still there and has the same memory.
fn shares_memory(process: libc::pid_t) -> bool {
    const KCMP_VM: c_int = 1;
    // SAFETY: this compares, and changes nothing.
    let differs = unsafe { libc::syscall(libc::SYS_kcmp, libc::getpid(), process, KCMP_VM, 0, 0) };
    // Where it may not be asked, a process that is there counts.
    // SAFETY: signal 0 is not sent.
    differs == 0 || differs < 0 && unsafe { libc::kill(process, 0) } == 0
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

/// Stands in for `pthread_create` in libraries of the host, which may start a thread for who called
/// them.
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
fn start<F: Copy>(
    ledger: Arc<Ledger>,
    function: F,
    argument: *mut c_void,
    create: impl FnOnce(*mut c_void) -> c_int,
) -> c_int {
    ledger.with(|entries| entries.threads.starting += 1);
    let start = Start {
        function: Concealed::new(function),
        argument: Concealed::new(argument),
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

/// Enters the current thread in the ledger; returns what it is to run. Leaves nothing to drop in
/// the caller, through which the thread may unwind.
///
/// # Safety
///
/// `start` is what [`start`] handed over, for a function of this type.
unsafe fn announce<F: Copy>(start: *mut c_void) -> (F, *mut c_void) {
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
    (function.get(), argument.get())
}
