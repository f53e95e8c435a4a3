//! Destructors of a library's thread-locals.
//!
//! Rust and C++ register, with each thread that first touches a thread-local, a destructor to be
//! run when that thread ends. glibc counts these and keeps the library while there are any, in
//! threads that may never end. Here they are kept in a list of the host instead, one per thread,
//! which runs them at the same moment glibc would.
//!
//! When a library goes, its destructors for the current thread are run. Those for other threads
//! must not run here, since the values need not be `Send`, nor later, since their code is gone:
//! they are forgotten. What such a value owns is leaked, which is safe. A thread that ended before
//! has left nothing behind.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard};

use super::entries::Running;
use super::ledger::{self, Ledger};
use super::remnants::Concealed;
use super::tasks::current_id;
use crate::lock::lock;

pub(super) type Function = unsafe extern "C" fn(*mut c_void);

/// A destructor that waits for its thread to end.
struct Destructor {
    function: Concealed<Function>,
    value: *mut c_void,
    ledger: Arc<Ledger>,
}

// SAFETY: only `Owner`, on the value's own thread, uses `value`; elsewhere it is only forgotten.
unsafe impl Send for Destructor {}

/// The destructors of one thread, the next to run last.
#[derive(Default)]
struct List(Mutex<Vec<Destructor>>);

/// Every thread's list.
static LISTS: Mutex<Vec<Arc<List>>> = Mutex::new(Vec::new());

/// A thread's hold on its list.
struct Owner(Arc<List>);

thread_local! {
    static OWNER: Owner = Owner::new();
    /// The list while it exists. Unlike `OWNER` it can be used while `OWNER` is being dropped, when
    /// destructors that run may register more.
    static LIST: Cell<*const List> = const { Cell::new(ptr::null()) };
}

impl Owner {
    fn new() -> Self {
        let list = Arc::<List>::default();
        lock(&LISTS).push(Arc::clone(&list));
        LIST.set(Arc::as_ptr(&list));
        Self(list)
    }
}

impl Drop for Owner {
    /// Runs when the thread ends.
    fn drop(&mut self) {
        run(&self.0, |destructor, thread| {
            destructor.ledger.begin(thread, Running::Destructor)
        });
        LIST.set(ptr::null());
        lock(&LISTS).retain(|list| !Arc::ptr_eq(list, &self.0));
    }
}

/// Runs, of the current thread's list, what may begin, the last registered first.
fn run(list: &List, begin: impl Fn(&Destructor, libc::pid_t) -> bool) {
    let thread = current_id();
    loop {
        let next = {
            let mut destructors = lock(&list.0);
            // It begins under the same lock, so that it is always in one of the two places.
            let next = destructors
                .iter()
                .rposition(|destructor| begin(destructor, thread));
            next.map(|index| destructors.remove(index))
        };
        let Some(Destructor {
            function,
            value,
            ledger,
        }) = next
        else {
            return;
        };
        // SAFETY: the library registered it on this thread, once, and is mapped: it is not unloaded
        // before its ledger says that no destructor is running.
        unsafe { function.get()(value) };
        ledger.end(thread, Running::Destructor);
    }
}

/// The same for those whose ledgers let them begin; whether the thread has a list.
pub(super) fn run_where_allowed(ledgers: &[Arc<Ledger>]) -> bool {
    // SAFETY: the list is this thread's own and lives until the thread ends.
    let list = unsafe { LIST.get().as_ref() };
    if let Some(list) = list {
        run(list, |destructor, thread| {
            belongs_to(destructor, ledgers) && destructor.ledger.begin(thread, Running::Destructor)
        });
    }
    list.is_some()
}

/// How many destructors of these objects wait in other threads.
pub(super) fn count_elsewhere(ledgers: &[Arc<Ledger>]) -> usize {
    let own = LIST.get();
    let lists: Vec<_> = lock(&LISTS).clone();
    let elsewhere = lists.iter().filter(|list| Arc::as_ptr(list) != own);
    let count = |list: &Arc<List>| {
        let destructors = lock(&list.0);
        let theirs = destructors
            .iter()
            .filter(|destructor| belongs_to(destructor, ledgers));
        theirs.count()
    };
    elsewhere.map(count).sum()
}

/// Runs, on the current thread, the destructors of these objects.
pub(super) fn run_on_current_thread(ledgers: &[Arc<Ledger>]) {
    // SAFETY: the list is this thread's own and lives until the thread ends.
    if let Some(list) = unsafe { LIST.get().as_ref() } {
        run(list, |destructor, thread| {
            belongs_to(destructor, ledgers)
                && destructor.ledger.begin_anyway(thread, Running::Destructor)
        });
    }
}

/// Forgets the destructors of an object on all threads; returns how many there were.
pub(super) fn forget(ledger: &Arc<Ledger>) -> usize {
    let lists: Vec<_> = lock(&LISTS).clone();
    let mut forgotten = 0;
    for list in lists {
        let mut destructors = lock(&list.0);
        let before = destructors.len();
        destructors.retain(|destructor| !Arc::ptr_eq(ledger, &destructor.ledger));
        forgotten += before - destructors.len();
    }
    forgotten
}

/// All lists, kept from changing and from being read.
pub(super) struct Locked {
    // In this order they are let go.
    _lists: Vec<MutexGuard<'static, Vec<Destructor>>>,
    _all: MutexGuard<'static, Vec<Arc<List>>>,
}

/// Locks all lists.
pub(super) fn lock_all() -> Locked {
    let all = lock(&LISTS);
    let each = |list: &Arc<List>| {
        let list = lock(&list.0);
        // SAFETY: the list is among `all`, which is locked longer.
        unsafe { std::mem::transmute::<MutexGuard<'_, _>, MutexGuard<'static, _>>(list) }
    };
    Locked {
        _lists: all.iter().map(each).collect(),
        _all: all,
    }
}

fn belongs_to(destructor: &Destructor, ledgers: &[Arc<Ledger>]) -> bool {
    ledgers
        .iter()
        .any(|ledger| Arc::ptr_eq(ledger, &destructor.ledger))
}

unsafe extern "C" {
    fn __cxa_thread_atexit_impl(
        function: Function,
        value: *mut c_void,
        object: *mut c_void,
    ) -> c_int;
}

/// Stands in for `__cxa_thread_atexit_impl` and C++'s `__cxa_thread_atexit`.
///
/// # Safety
///
/// As for these.
pub(super) unsafe extern "C" fn register(
    function: Function,
    value: *mut c_void,
    object: *mut c_void,
) -> c_int {
    // What must not run once it is gone is the function. The object is only who registered it:
    // where the standard library is a library of its own, it registers for all others.
    let owner = ledger::of_address(function as *const () as usize)
        .or_else(|| ledger::of_address(object as usize));
    let Some(ledger) = owner else {
        // Before anything of the host's own is touched here, whose destructors may come this way,
        // too.
        // SAFETY: the caller's promise.
        return unsafe { __cxa_thread_atexit_impl(function, value, object) };
    };
    // The first registration on a thread makes its list; at the very end of a thread, none can be
    // made any more.
    let _ = OWNER.try_with(|_| ());
    // Else the thread is past the moment at which glibc runs such destructors. It would keep the
    // library for the sake of this one for ever, and not run it either.
    // SAFETY: the list is this thread's own and lives until the thread ends.
    if let Some(list) = unsafe { LIST.get().as_ref() } {
        lock(&list.0).push(Destructor {
            function: Concealed::new(function),
            value,
            ledger,
        });
    }
    0
}
