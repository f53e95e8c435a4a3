//! Files that a library mapped to read them, and forgot.
//!
//! A backtrace with names does so: the standard library inside maps each program and library on the
//! stack, the private copy too, and keeps them. Nothing but the library knows of such a mapping, so
//! it goes when the library goes. Mappings of other kinds are left alone: memory may have been
//! given away, and what is shared or written to is meant to stay.
//!
//! `mmap` and `munmap` may be called in signal handlers, so what is mapped stands in slots that are
//! taken and left without a lock.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ledger::Ledger;
use super::maps::{FileId, Maps};
use super::object::{page_size, to_usize};
use super::owners::{self, Word};

/// A mapping of a library.
struct Slot<W = AtomicUsize> {
    /// Where it begins; 0 while nobody has the slot, 1 while it is filled.
    start: W,
    end: W,
    /// Which file it is of.
    inode: W,
    /// Where the library begins.
    owner: W,
}

impl<W: Word> Slot<W> {
    /// Takes the slot if it is free.
    fn fill(&self, range: &Range<usize>, inode: usize, owner: usize) -> bool {
        let is_free = self.start.exchange(0, 1);
        if is_free {
            self.end.set(range.end);
            self.inode.set(inode);
            self.owner.set(owner);
            self.start.set(range.start);
        }
        is_free
    }

    /// What is in it. While the mapping is there, it stays so.
    fn range(&self) -> Option<Range<usize>> {
        let start = self.start.get();
        let end = self.end.get();
        (start > 1 && self.start.get() == start).then_some(start..end)
    }

    /// Gives it up if there is something of this range in it; whether it did.
    fn forget(&self, range: &Range<usize>) -> bool {
        let known = self.range();
        let overlaps = |known: &Range<usize>| known.start < range.end && range.start < known.end;
        known
            .filter(overlaps)
            .is_some_and(|known| self.start.exchange(known.start, 0))
    }
}

/// How many there is room for; what finds none is lost when its library goes.
const COUNT: usize = 256;

static SLOTS: [Slot; COUNT] = [const {
    Slot {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        inode: AtomicUsize::new(0),
        owner: AtomicUsize::new(0),
    }
}; COUNT];

/// Where they are.
pub(super) fn place() -> Range<usize> {
    let start = &raw const SLOTS as usize;
    start..start + size_of_val(&SLOTS)
}

/// How many are taken, so that memory is given back without a look at them where none is.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Unmaps what this object forgot, which is gone; returns how many bytes that were.
pub(super) fn unmap(ledger: &Ledger) -> usize {
    let mut bytes = 0;
    for slot in &SLOTS {
        let Some(range) = slot.range() else { continue };
        // The object is gone, and so nobody empties its slots, nor fills any in its name.
        if slot.owner.get() != ledger.object.range().start {
            continue;
        }
        let inode = slot.inode.get();
        forget(&range);
        // What was put in its place unseen is somebody else's.
        let found = Maps::open().and_then(|maps| maps.at(range.start));
        let is_it = found.ok().flatten().is_some_and(|mapping| {
            let is_file = |file: FileId| to_usize(file.inode) == inode;
            mapping.range.end >= range.end
                && !mapping.writable
                && mapping.file().is_some_and(is_file)
        });
        if is_it {
            // SAFETY: the library mapped it, to read, and is gone; it is still this mapping.
            unsafe { libc::munmap(range.start as *mut c_void, range.len()) };
            bytes += range.len();
        }
    }
    bytes
}

/// Stands in for `mmap`, which is `mmap64`.
///
/// # Safety
///
/// As for `mmap`.
pub(super) unsafe extern "C" fn map(
    address: *mut c_void,
    length: libc::size_t,
    access: c_int,
    flags: c_int,
    file: c_int,
    offset: libc::off_t,
) -> *mut c_void {
    // SAFETY: the caller's promise.
    let mapped = unsafe { libc::mmap(address, length, access, flags, file, offset) };
    let to_read = file >= 0 && access == libc::PROT_READ && flags == libc::MAP_PRIVATE;
    if to_read && mapped != libc::MAP_FAILED {
        note(mapped as usize, length, file);
    }
    mapped
}

#[cold]
fn note(start: usize, length: usize, file: c_int) {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel writes to a variable of this function.
    if unsafe { libc::fstat(file, status.as_mut_ptr()) } != 0 {
        return;
    }
    // SAFETY: it was written.
    let inode = to_usize(unsafe { status.assume_init() }.st_ino);
    let range = start..start + length.next_multiple_of(page_size());
    if let Some((_, owner)) = owners::of_caller() {
        let mut slots = SLOTS.iter();
        if slots.any(|slot| slot.fill(&range, inode, owner)) {
            TAKEN.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Stands in for `munmap`.
///
/// # Safety
///
/// As for `munmap`.
pub(super) unsafe extern "C" fn unmap_one(address: *mut c_void, length: libc::size_t) -> c_int {
    if TAKEN.load(Ordering::SeqCst) != 0 {
        let start = address as usize;
        forget(&(start..start.saturating_add(length)));
    }
    // SAFETY: the caller's promise.
    unsafe { libc::munmap(address, length) }
}

/// Forgets what is in this range, before something else may be there; of a part, the whole: the
/// rest is lost at worst.
#[cold]
fn forget(range: &Range<usize>) {
    for slot in &SLOTS {
        if slot.forget(range) {
            TAKEN.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread;

    use super::Slot;

    fn free() -> Slot<AtomicUsize> {
        Slot {
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            inode: AtomicUsize::new(0),
            owner: AtomicUsize::new(0),
        }
    }

    /// One gives the slot up, and another takes it: whoever looks sees one of both whole, or
    /// nothing.
    #[test]
    fn slots_are_seen_whole() {
        loom::model(|| {
            let slot = Arc::new(free());
            assert!(slot.fill(&(10..20), 1, 100));
            let other = Arc::clone(&slot);
            let writer = thread::spawn(move || {
                assert!(other.forget(&(15..16)));
                assert!(other.fill(&(30..50), 2, 200));
            });
            let seen = slot.range();
            assert!(
                [None, Some(10..20), Some(30..50)].contains(&seen),
                "{seen:?}"
            );
            writer.join().expect("no panic");
            assert_eq!(slot.range(), Some(30..50));
        });
    }

    /// Two want the same: one gets it, and it is all hers.
    #[test]
    fn slots_are_taken_once() {
        loom::model(|| {
            let slot = Arc::new(free());
            let other = Arc::clone(&slot);
            let taker = thread::spawn(move || other.fill(&(30..50), 2, 200));
            let is_mine = slot.fill(&(10..20), 1, 100);
            let is_hers = taker.join().expect("no panic");
            assert!(is_mine != is_hers);
            let expected = if is_mine { (10..20, 1) } else { (30..50, 2) };
            assert_eq!(slot.range(), Some(expected.0));
            assert_eq!(
                slot.inode.load(std::sync::atomic::Ordering::SeqCst),
                expected.1
            );
        });
    }
}
