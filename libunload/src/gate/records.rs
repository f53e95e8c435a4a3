//! Which thread is inside which value: the records that entering threads write and drainers read.
//!
//! A thread claims a record at its first entry and gives it back when it exits; records are never
//! freed, so a drainer may look at any of them at any time, and there are as many as there were
//! ever threads at once.
//!
//! Two cases are rare and slower, and served alike: a thread that enters while its thread-locals
//! are being destroyed, after it gave its record back, and passes that nest deeper than a record
//! has slots. Such a pass takes a record for itself alone, which is free again once it is empty.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::ptr;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;

use super::barrier::Barrier;
use super::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use super::sync::{Mutex, MutexGuard, thread_local};

/// Holds the address of the value that a pass is inside, or null. Written by one thread at a time.
pub(super) struct Slot {
    value: AtomicPtr<()>,
    /// How many passes it was used for, which tells a long pass from many short ones. For watching
    /// only, so the model checker need not look at it.
    entries: AtomicU64,
}

impl Slot {
    const fn holding(value: AtomicPtr<()>) -> Self {
        Self {
            value,
            entries: AtomicU64::new(0),
        }
    }

    /// Counts one more pass; only the thread that enters does.
    #[inline]
    pub(super) fn count_entry(&self) {
        let entries = self.entries.load(Ordering::Relaxed);
        self.entries
            .store(entries.wrapping_add(1), Ordering::Relaxed);
    }
}

impl Deref for Slot {
    type Target = AtomicPtr<()>;

    #[inline]
    fn deref(&self) -> &AtomicPtr<()> {
        &self.value
    }
}

/// A thread that is inside a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadInside {
    /// The system's number of the thread (`gettid`), where the standard library or libc tells it:
    /// Linux.
    pub os_id: Option<u32>,
}

impl fmt::Display for ThreadInside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.os_id {
            Some(id) => write!(f, "thread {id}"),
            None => f.write_str("a thread of unknown number"),
        }
    }
}

/// "thread 17, thread 18"
pub(super) fn list(threads: &[ThreadInside]) -> impl fmt::Display + '_ {
    struct List<'a>(&'a [ThreadInside]);
    impl fmt::Display for List<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            for (i, thread) in self.0.iter().enumerate() {
                let comma = if i == 0 { "" } else { ", " };
                write!(f, "{comma}{thread}")?;
            }
            Ok(())
        }
    }
    List(threads)
}

/// Whether this thread is inside any value of any gate.
#[must_use]
pub fn inside_any_pass() -> bool {
    let thread = this_thread();
    thread != NO_THREAD
        && registry()
            .entries
            .iter()
            .any(|entry| entry.thread == thread && !entry.record.is_empty())
}

/// One pass, as seen from outside: two that are equal are the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassSeen {
    slot: usize,
    entry: u64,
    /// Who is inside.
    pub thread: ThreadInside,
}

/// The passes that are inside `value` now, or were a moment ago.
pub(super) fn passes(value: *mut ()) -> Vec<PassSeen> {
    let mut passes = Vec::new();
    for entry in &registry().entries {
        for slot in &entry.record.slots {
            // Read before the value: a pass that begins in between then looks like another one.
            let number = slot.entries.load(Ordering::Acquire);
            if ptr::eq(slot.load(Ordering::Acquire), value) {
                passes.push(PassSeen {
                    slot: ptr::from_ref(slot).addr(),
                    entry: number,
                    thread: entry.inside,
                });
            }
        }
    }
    passes
}

/// Who is inside a value.
pub(super) struct Inside {
    pub(super) this_thread: bool,
    pub(super) threads: Vec<ThreadInside>,
}

/// Looks through all slots for `value`.
pub(super) fn inside(value: *mut ()) -> Inside {
    let this_thread = this_thread();
    let mut inside = Inside {
        this_thread: false,
        threads: Vec::new(),
    };
    for entry in &registry().entries {
        if entry.record.names(value) {
            inside.this_thread |= entry.thread == this_thread;
            if !inside.threads.contains(&entry.inside) || entry.inside.os_id.is_none() {
                inside.threads.push(entry.inside);
            }
        }
    }
    inside
}

/// How many records there are.
#[cfg(all(test, not(loom)))]
pub(super) fn count() -> usize {
    registry().entries.len()
}

/// A slot that is null, and that only this thread writes until it is null again.
#[inline]
pub(super) fn vacant_slot() -> &'static Slot {
    let record = this_record();
    // A call passes two gates, that of the list of LPMs and that of the LPM.
    let [first, _, second, ..] = &record.slots;
    for slot in [first, second] {
        if slot.load(Ordering::Relaxed).is_null() {
            return slot;
        }
    }
    nested_slot(record)
}

/// The slot of a pass, where this thread is in none, and all gates have the
/// [usual](super::Barrier::USUAL) barrier; and the record with that of one [look](Record::look) at
/// a time inside it.
#[inline]
pub(super) fn first_slots() -> Option<(&'static Slot, &'static Record)> {
    let record = LOCAL.try_with(|local| local.usual.get()).ok()?;
    // SAFETY: whatever sets the cell sets it to a `&'static Record`.
    let record = unsafe { &*record };
    let first = &record.slots[0];
    let is_vacant = first.load(Ordering::Relaxed).is_null();
    is_vacant.then_some((first, record))
}

/// For passes inside those, or for a thread that has no record. Not inlined, so that the usual ones
/// stay short.
#[inline(never)]
fn nested_slot(record: &'static Record) -> &'static Slot {
    for slot in record.slots.iter().skip(3) {
        if slot.load(Ordering::Relaxed).is_null() {
            return slot;
        }
    }
    claim_slot()
}

#[cold]
#[inline(never)]
fn claim_slot() -> &'static Slot {
    // Fails once this thread's thread-locals are being destroyed.
    if let Ok(Some(record)) = OWNER.try_with(Owner::claim_first) {
        return &record.slots[0];
    }
    let mut registry = registry();
    let entry = registry.vacant_entry();
    let slot = &entry.record.slots[0];
    // Not empty from here on, so nobody claims it; not claimed, so whoever finds it empty may.
    slot.store(ptr::dangling_mut(), Ordering::Relaxed);
    slot
}

#[cfg(not(all(test, loom)))]
const SLOTS: usize = 7;
#[cfg(all(test, loom))]
const SLOTS: usize = 3;

/// How many numbers a thread has for itself: [`Look::lane`](super::Look::lane).
pub const LANE: usize = 128 / size_of::<u64>();

/// The slots of one thread. The alignment keeps threads from sharing cache lines, also the
/// neighbouring line that x86 fetches along.
#[repr(align(128))]
pub(super) struct Record {
    slots: [Slot; SLOTS],
    /// The first of as many numbers as there are words in two cache lines, which no other record
    /// has.
    lane: u32,
    /// A thread has it for its own use until it exits.
    claimed: AtomicBool,
}

impl Record {
    /// Takes the place of a record where there is none: one test then tells both that this thread
    /// has a record and that its slot is vacant.
    #[cfg(not(all(test, loom)))]
    fn none() -> &'static Self {
        &NONE
    }

    /// Loom has no statics that outlive the main thread.
    #[cfg(all(test, loom))]
    fn none() -> &'static Self {
        Box::leak(Box::new(Self::new(ptr::dangling_mut(), u32::MAX)))
    }

    fn new(slot: *mut (), lane: u32) -> Self {
        Self {
            slots: std::array::from_fn(|_| Slot::holding(AtomicPtr::new(slot))),
            lane,
            claimed: AtomicBool::new(false),
        }
    }

    /// The slot of one look at a time. It is for nothing else, so it is vacant.
    #[inline]
    pub(super) fn look(&self) -> &Slot {
        &self.slots[1]
    }

    #[inline]
    pub(super) const fn lane(&self) -> u32 {
        self.lane
    }

    fn is_empty(&self) -> bool {
        self.slots
            .iter()
            .all(|slot| slot.load(Ordering::Acquire).is_null())
    }

    fn names(&self, value: *mut ()) -> bool {
        self.slots
            .iter()
            .any(|slot| ptr::eq(slot.load(Ordering::Acquire), value))
    }
}

/// All records, and who uses them.
struct Registry {
    entries: Vec<Entry>,
    threads: u64,
}

struct Entry {
    record: &'static Record,
    /// The thread that used it last.
    thread: u64,
    inside: ThreadInside,
}

impl Registry {
    const fn new() -> Self {
        Self {
            entries: Vec::new(),
            threads: NO_THREAD,
        }
    }

    /// An entry that nobody uses, with this thread put down as its user.
    fn vacant_entry(&mut self) -> &mut Entry {
        let thread = LOCAL
            .try_with(|local| {
                if local.thread.get() == NO_THREAD {
                    self.threads += 1;
                    local.thread.set(self.threads);
                }
                local.thread.get()
            })
            .unwrap_or(NO_THREAD);
        let vacant = self.entries.iter().position(|Entry { record, .. }| {
            !record.claimed.load(Ordering::Acquire) && record.is_empty()
        });
        let index = vacant.unwrap_or_else(|| {
            let lane = self.entries.len().checked_mul(LANE);
            let lane = lane.and_then(|lane| u32::try_from(lane).ok());
            let lane = lane.unwrap_or(u32::MAX);
            self.entries.push(Entry {
                record: Box::leak(Box::new(Record::new(ptr::null_mut(), lane))),
                thread,
                inside: ThreadInside { os_id: None },
            });
            self.entries.len() - 1
        });
        let entry = &mut self.entries[index];
        entry.thread = thread;
        entry.inside = ThreadInside { os_id: os_id() };
        entry
    }
}

#[cfg(not(all(test, loom)))]
static REGISTRY: Mutex<Registry> = Mutex::new(Registry::new());
#[cfg(all(test, loom))]
loom::lazy_static! {
    static ref REGISTRY: Mutex<Registry> = Mutex::new(Registry::new());
}

fn registry() -> MutexGuard<'static, Registry> {
    // Nothing panics half-way through a change, so a poisoned registry is as good as any.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the hot path needs of a thread. It has no destructor, so it works until the thread is gone.
struct Local {
    /// Only ever a `&'static Record`; constants may not hold references to statics that change.
    record: Cell<*const Record>,
    /// The same where all gates have the usual barrier.
    usual: Cell<*const Record>,
    /// Numbers of our own: the system's are reused.
    thread: Cell<u64>,
}

const NO_THREAD: u64 = 0;

/// Gives this thread's record back when the thread exits.
struct Owner {
    record: Cell<Option<&'static Record>>,
}

impl Owner {
    /// A record for this thread, if it has none.
    fn claim_first(&self) -> Option<&'static Record> {
        if self.record.get().is_some() {
            return None;
        }
        let mut registry = registry();
        let record = registry.vacant_entry().record;
        record.claimed.store(true, Ordering::Relaxed);
        self.record.set(Some(record));
        let _ = LOCAL.try_with(|local| {
            local.record.set(record);
            if Barrier::of_process() == Barrier::USUAL {
                local.usual.set(record);
            }
        });
        Some(record)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(record) = self.record.get() {
            let _ = LOCAL.try_with(|local| {
                local.record.set(Record::none());
                local.usual.set(Record::none());
            });
            record.claimed.store(false, Ordering::Release);
        }
    }
}

#[cfg(not(all(test, loom)))]
static NONE: Record = Record {
    slots: [const { Slot::holding(AtomicPtr::new(ptr::dangling_mut())) }; SLOTS],
    lane: u32::MAX,
    claimed: AtomicBool::new(true),
};

#[cfg(not(all(test, loom)))]
thread_local! {
    static LOCAL: Local = const {
        Local {
            record: Cell::new(&raw const NONE),
            usual: Cell::new(&raw const NONE),
            thread: Cell::new(NO_THREAD),
        }
    };
    static OWNER: Owner = const {
        Owner {
            record: Cell::new(None),
        }
    };
}
#[cfg(all(test, loom))]
thread_local! {
    static LOCAL: Local = Local {
        record: Cell::new(Record::none()),
        usual: Cell::new(Record::none()),
        thread: Cell::new(NO_THREAD),
    };
    static OWNER: Owner = Owner {
        record: Cell::new(None),
    };
}

#[inline]
fn this_record() -> &'static Record {
    let record = LOCAL.try_with(|local| local.record.get());
    // SAFETY: whatever sets the cell sets it to a `&'static Record`.
    record.map_or_else(|_| Record::none(), |record| unsafe { &*record })
}

fn this_thread() -> u64 {
    LOCAL
        .try_with(|local| local.thread.get())
        .unwrap_or(NO_THREAD)
}

#[cfg(all(any(target_os = "linux", target_os = "android"), not(miri)))]
fn os_id() -> Option<u32> {
    // SAFETY: libc promises that gettid takes nothing, touches nothing and cannot fail.
    u32::try_from(unsafe { libc::gettid() }).ok()
}

#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(miri))))]
fn os_id() -> Option<u32> {
    None
}
