//! Files that a library mapped to read them, and forgot.
//!
//! A backtrace with names does so: the standard library inside maps each program and library on the stack, the private
//! copy too, and keeps them. Nothing but the library knows of such a mapping, so it goes when the library goes. Mappings
//! of other kinds are left alone: memory may have been given away, and what is shared or written to is meant to stay.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::entries::Mapped;
use super::ledger::{self, Ledger};
use super::maps::Maps;

/// How many there are in all ledgers, so that memory is given back without a look at them where there are none.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Unmaps what this object forgot, which is gone; returns how many bytes that were.
pub(super) fn unmap(ledger: &Ledger) -> usize {
    let mut bytes = 0;
    for Mapped { range, file } in ledger.with(|entries| std::mem::take(&mut entries.files)) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
        // What was put in its place unseen is somebody else's.
        let is_there = Maps::open().and_then(|maps| maps.of_file(file, &range));
        let covers = |found: Range<usize>| found.start <= range.start && range.end <= found.end;
        if is_there.is_ok_and(|found| found.is_some_and(|mapping| covers(mapping.range))) {
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
        note(mapped as usize, length);
    }
    mapped
}

#[cold]
fn note(start: usize, length: usize) {
    // SAFETY: no preconditions.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let range = start..start + length.next_multiple_of(page);
    let file = Maps::open().and_then(|maps| maps.at(start));
    let file = file.ok().flatten().and_then(|mapping| mapping.file);
    if let (Some(ledger), Some(file)) = (ledger::of_caller(), file) {
        COUNT.fetch_add(1, Ordering::Relaxed);
        ledger.with(|entries| entries.files.push(Mapped { range, file }));
    }
}

/// Stands in for `munmap`.
///
/// # Safety
///
/// As for `munmap`.
pub(super) unsafe extern "C" fn unmap_one(address: *mut c_void, length: libc::size_t) -> c_int {
    if COUNT.load(Ordering::Relaxed) != 0 {
        let start = address as usize;
        forget(&(start..start.saturating_add(length)));
    }
    // SAFETY: the caller's promise.
    unsafe { libc::munmap(address, length) }
}

/// Forgets what is in this range, before something else may be there; of a part, the whole: the rest is lost at worst.
#[cold]
fn forget(range: &Range<usize>) {
    for ledger in ledger::all() {
        ledger.with(|entries| {
            let before = entries.files.len();
            let overlaps =
                |mapped: &Mapped| mapped.range.start < range.end && range.start < mapped.range.end;
            entries.files.retain(|mapped| !overlaps(mapped));
            COUNT.fetch_sub(before - entries.files.len(), Ordering::Relaxed);
        });
    }
}
