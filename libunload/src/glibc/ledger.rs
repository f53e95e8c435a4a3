//! What each library did that outlasts a call: one ledger per mapped object.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockWriteGuard};

use super::entries::{Entries, Running};
use super::loader;
use super::object::Object;
use super::origin::Origin;
use super::search::wanted::Baseline;
use super::signals::former::{Former, Formers};
use super::signals::in_force;
use super::{frames, memory, owners};
use crate::lock::lock;

/// The ledger of one object. It is shared by the libraries that need the object.
pub(super) struct Ledger {
    pub(super) object: Object,
    /// Whether this is a library that was opened, and not one that such a library needs.
    pub(super) library: bool,
    /// Whether the loader never unmaps it.
    pub(super) is_permanent: bool,
    /// Where its file lies, if it is such a library.
    pub(super) origin: OnceLock<Origin>,
    /// What looked like addresses of it before any of it ran.
    pub(super) baseline: OnceLock<Arc<Baseline>>,
    /// What signals did before it was loaded, and libraries before it.
    pub(super) formers: OnceLock<Arc<Formers>>,
    entries: Mutex<Entries>,
    /// How many opened libraries this object belongs to.
    users: AtomicUsize,
}

/// An object of which no thread-local destructor and no timer function begins, until this is
/// dropped. Those of threads that end meanwhile are leaked.
#[must_use]
pub(super) struct HeldBack<'a>(&'a Arc<Ledger>);

impl<'a> HeldBack<'a> {
    pub(super) fn new(object: &'a Arc<Ledger>) -> Self {
        object.with(|entries| entries.held_back = true);
        Self(object)
    }

    /// Leaves it so for ever.
    pub(super) fn for_good(self) {
        std::mem::forget(self);
    }
}

impl Drop for HeldBack<'_> {
    fn drop(&mut self) {
        self.0.with(|entries| entries.held_back = false);
    }
}

/// All ledgers. Read by the redirected imports, so it is locked only for moments.
static LEDGERS: RwLock<Vec<Arc<Ledger>>> = RwLock::new(Vec::new());

impl Ledger {
    /// Looks at or changes the entries.
    pub(super) fn with<R>(&self, change: impl FnOnce(&mut Entries) -> R) -> R {
        change(&mut lock(&self.entries))
    }

    /// Notes that a thread is about to run some of the object's code; `false` if it must not.
    pub(super) fn begin(&self, thread: libc::pid_t, what: Running) -> bool {
        self.with(|entries| {
            if !entries.held_back {
                entries.running.push((thread, what));
            }
            !entries.held_back
        })
    }

    /// The same for the thread that unloads the object, which is always free to.
    pub(super) fn begin_anyway(&self, thread: libc::pid_t, what: Running) -> bool {
        self.with(|entries| entries.running.push((thread, what)));
        true
    }

    /// Notes that the thread has done so.
    pub(super) fn end(&self, thread: libc::pid_t, what: Running) {
        self.with(|entries| {
            let running = &mut entries.running;
            if let Some(index) = running.iter().position(|&other| other == (thread, what)) {
                running.swap_remove(index);
            }
        });
    }

    /// Whether the object is about to go.
    pub(super) fn is_held_back(&self) -> bool {
        self.with(|entries| entries.held_back)
    }

    /// Notes that a library that needs the object is gone.
    pub(super) fn leave(&self) {
        self.users.fetch_sub(1, Ordering::AcqRel);
    }

    /// Notes that another opened library needs the object.
    fn join(&self) {
        self.users.fetch_add(1, Ordering::AcqRel);
    }

    /// What looked like addresses of it before any of it ran.
    pub(super) fn baseline(&self) -> Option<&Baseline> {
        self.baseline.get().map(Arc::as_ref)
    }

    /// What this signal did before it was loaded, and libraries before it.
    pub(super) fn former_action(&self, signal: c_int) -> Option<&Former> {
        let mut formers = self.formers.get()?.iter();
        Some(&formers.find(|(other, _)| *other == signal)?.1)
    }

    /// Whether exactly one opened library uses the object.
    pub(super) fn has_one_user(&self) -> bool {
        self.users.load(Ordering::Acquire) == 1
    }
}

/// The ledger of the object that has this address.
pub(super) fn of_address(address: usize) -> Option<Arc<Ledger>> {
    let ledgers = LEDGERS.read().unwrap_or_else(PoisonError::into_inner);
    ledgers
        .iter()
        .find(|ledger| ledger.object.range().contains(&address))
        .cloned()
}

/// The ledger of the library that answers for what the function at this address does with its
/// argument. Where the function is in a library that several use, such as that of C++, and is
/// handed something of one of them, this is the one.
pub(super) fn answering_for(function: usize, argument: usize) -> Option<Arc<Ledger>> {
    /// C++'s standard library puts the address of a table first, Rust's second, GLib a function
    /// third.
    const FIRST_WORDS: usize = 8;
    let ledger = of_address(function)?;
    if ledger.library {
        return Some(ledger);
    }
    let mut words = [0; FIRST_WORDS];
    let read = memory::read(argument, &mut words).unwrap_or(0);
    let mut handed = std::iter::once(argument).chain(words.into_iter().take(read));
    let library = handed.find_map(|word| of_address(word).filter(|ledger| ledger.library));
    Some(library.unwrap_or(ledger))
}

/// The ledger of the object whose code called the host.
pub(super) fn of_caller() -> Option<Arc<Ledger>> {
    let mut caller = None;
    frames::walk(&mut |address| {
        if caller.is_none() {
            caller = of_address(address);
        }
    });
    caller
}

/// All ledgers that are open.
pub(super) fn all() -> Vec<Arc<Ledger>> {
    LEDGERS
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// Opens a ledger for a library that was just loaded and for every object that was loaded for its
/// sake. Those that already have one are joined.
///
/// `before` is what was loaded before.
pub(super) fn open(main: &Object, before: &[Object]) -> Opened {
    let mut opened = Opened::default();
    for object in loader::closure(main) {
        let known = of_address(object.dynamic());
        if known.is_none() && before.contains(&object) {
            // It was here before any library was: it belongs to the host, and stays.
            opened.of_host.push(object);
            continue;
        }
        let ledger = known.unwrap_or_else(|| {
            let ledger = Arc::new(Ledger {
                library: object.dynamic() == main.dynamic(),
                origin: OnceLock::new(),
                baseline: OnceLock::new(),
                formers: OnceLock::new(),
                is_permanent: object.is_permanent(),
                object,
                entries: Mutex::default(),
                users: AtomicUsize::new(0),
            });
            let mut ledgers = LEDGERS.write().unwrap_or_else(PoisonError::into_inner);
            ledgers.push(Arc::clone(&ledger));
            let Range { start, end } = ledger.object.range();
            owners::add(start, end);
            drop(ledgers);
            opened.new.push(Arc::clone(&ledger));
            ledger
        });
        ledger.join();
        opened.all.push(ledger);
    }
    opened
}

/// The ledgers of a library that was just loaded.
#[derive(Default)]
pub(super) struct Opened {
    /// All of them, the library's own first.
    pub(super) all: Vec<Arc<Ledger>>,
    /// Those that were not there before.
    pub(super) new: Vec<Arc<Ledger>>,
    /// What it needs that was loaded before any library: it has no ledger.
    pub(super) of_host: Vec<Object>,
}

/// Closes the ledger of an object that is not loaded any more.
pub(super) fn close(ledger: &Arc<Ledger>) {
    retain(|other| !Arc::ptr_eq(other, ledger));
}

fn retain(is_loaded: impl Fn(&Arc<Ledger>) -> bool) {
    let mut ledgers = LEDGERS.write().unwrap_or_else(PoisonError::into_inner);
    ledgers.retain(|ledger| {
        let is_loaded = is_loaded(ledger);
        if !is_loaded {
            let start = ledger.object.range().start;
            owners::remove(start);
            in_force::forget(start);
        }
        is_loaded
    });
}

/// Closes the ledgers of objects that are not among these. A dependency that outlived the libraries
/// which needed it may be unmapped at any time, and something else be mapped in its place.
pub(super) fn close_all_but(loaded: &[Object]) {
    let by_dynamic = loaded.iter().map(|object| (object.dynamic(), object));
    // There may be a thousand of each.
    let by_dynamic: BTreeMap<usize, &Object> = by_dynamic.collect();
    let is_loaded = |object: &Object| by_dynamic.get(&object.dynamic()) == Some(&object);
    retain(|ledger| is_loaded(&ledger.object));
}

/// The list of ledgers, kept from changing and from being read.
pub(super) struct Locked(RwLockWriteGuard<'static, Vec<Arc<Ledger>>>);

/// The entries of all ledgers in the list, which has to be locked longer.
pub(super) struct LockedEntries {
    _entries: Vec<MutexGuard<'static, Entries>>,
}

/// Locks the list.
pub(super) fn lock_all() -> Locked {
    Locked(LEDGERS.write().unwrap_or_else(PoisonError::into_inner))
}

impl Locked {
    /// Locks the entries of all.
    pub(super) fn lock_entries(&self) -> LockedEntries {
        let ledgers = self.0.iter();
        let entries = ledgers.map(|ledger| {
            let entries = lock(&ledger.entries);
            // SAFETY: the ledger is in the list, which is locked longer, as who has the result
            // vouches.
            unsafe { std::mem::transmute::<MutexGuard<'_, _>, MutexGuard<'static, _>>(entries) }
        });
        LockedEntries {
            _entries: entries.collect(),
        }
    }
}
