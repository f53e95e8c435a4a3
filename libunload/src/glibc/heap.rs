//! The memory that a library takes in the first and the last call into it.
//!
//! Goal: a host does not grow, however often it loads and unloads. Without this a cycle leaves a
//! kibibyte behind, and the subscriber.
//!
//! The first call makes what stays for the library's life: the subscriber that its `tracing` never
//! lets go of. It is taken from a place of the host's, which is free again once the library is
//! unmapped.
//!
//! The last call flushes the library's stdout. Where the library never printed, flushing makes the
//! buffer first, and Rust's standard library never frees that: a kibibyte lost with each load. What
//! the library allocates in its last call, and has not freed by the time it is unmapped, is freed
//! here.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::ffi::c_void;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a thread is, for `malloc`.
#[derive(Clone, Copy)]
enum Call {
    /// In the first call into a library; these addresses of its place are free.
    First { next: usize, end: usize },
    /// In the last.
    Last,
    /// In neither.
    Other,
}

thread_local! {
    static CALL: Cell<Call> = const { Cell::new(Call::Other) };
    /// Whether `BLOCKS` is kept up to date: from that call until the library is unmapped.
    static WATCHES: Cell<bool> = const { Cell::new(false) };
    /// What was allocated in that call and is not freed yet.
    static BLOCKS: RefCell<Vec<*mut c_void>> = const { RefCell::new(Vec::new()) };
}

/// Makes the first call into a library; what the library allocates in it is in `place`, as far as
/// there is room.
pub(super) fn first_call<R>(place: Option<&Place>, call: impl FnOnce() -> R) -> R {
    if let Some(place) = place {
        let Range { start, end } = place.range();
        CALL.set(Call::First { next: start, end });
    }
    let result = call();
    CALL.set(Call::Other);
    result
}

/// Makes the last call into a library, which is unmapped, or kept, by this thread.
pub(crate) fn last_call<R>(call: impl FnOnce() -> R) -> R {
    WATCHES.set(true);
    CALL.set(Call::Last);
    let result = call();
    CALL.set(Call::Other);
    result
}

/// Frees what is left, now that the library is unmapped.
pub(super) fn give_back() {
    WATCHES.set(false);
    for block in BLOCKS.take() {
        // SAFETY: the library got it from `malloc` and has not freed it. Only the library, which is
        // gone, knew of it: in its last call it hands nothing to anybody.
        unsafe { libc::free(block) };
    }
}

/// Leaves everything to the library, which stays.
pub(super) fn keep() {
    WATCHES.set(false);
    drop(BLOCKS.take());
}

/// Stands in for `malloc`.
///
/// # Safety
///
/// As for that.
pub(super) unsafe extern "C" fn malloc(size: libc::size_t) -> *mut c_void {
    let call = CALL.get();
    if let Call::First { next, end } = call {
        if let Some(after) = next_block(next, size).filter(|after| *after <= end) {
            CALL.set(Call::First { next: after, end });
            return next as *mut c_void;
        }
    }
    // SAFETY: the caller's promise.
    let block = unsafe { libc::malloc(size) };
    if matches!(call, Call::Last) && !block.is_null() {
        BLOCKS.with_borrow_mut(|blocks| blocks.push(block));
    }
    block
}

/// Where the block after one of this size begins.
fn next_block(address: usize, size: usize) -> Option<usize> {
    address
        .checked_add(size.max(1))?
        .checked_next_multiple_of(ALIGNMENT)
}

/// Stands in for `realloc`.
///
/// # Safety
///
/// As for that.
pub(super) unsafe extern "C" fn realloc(block: *mut c_void, size: libc::size_t) -> *mut c_void {
    if let Some(room) = Place::room_from(block) {
        // SAFETY: as for `malloc`.
        let larger = unsafe { malloc(size) };
        if !larger.is_null() {
            // SAFETY: so much may be read from the old block on, which is in a place, and written
            // to the new one, which is another.
            unsafe { ptr::copy_nonoverlapping(block.cast::<u8>(), larger.cast(), size.min(room)) };
        }
        return larger;
    }
    if WATCHES.get() {
        forget(block);
    }
    // SAFETY: the caller's promise.
    unsafe { libc::realloc(block, size) }
}

/// Stands in for `free`.
///
/// # Safety
///
/// As for that.
pub(super) unsafe extern "C" fn free(block: *mut c_void) {
    if Place::room_from(block).is_some() {
        // It goes with the rest of its place.
        return;
    }
    if WATCHES.get() {
        forget(block);
    }
    // SAFETY: the caller's promise.
    unsafe { libc::free(block) };
}

fn forget(block: *mut c_void) {
    BLOCKS.with_borrow_mut(|blocks| blocks.retain(|known| *known != block));
}

/// What `malloc` promises.
const ALIGNMENT: usize = 16;
/// Bytes in a place.
const SIZE: usize = 1024;
/// How many libraries can have a place at a time; others do without, and what they take is lost.
const COUNT: usize = 64;

/// Memory of the host for what a library takes in its first call.
pub(super) struct Place(usize);

#[repr(C, align(16))]
struct Places(UnsafeCell<[u8; SIZE * COUNT]>);

// SAFETY: who has a `Place` alone uses that part; the library that got it shares it as its own
// memory.
unsafe impl Sync for Places {}

static PLACES: Places = Places(UnsafeCell::new([0; SIZE * COUNT]));

/// Where the places are.
pub(super) fn places() -> Range<usize> {
    let start = PLACES.0.get() as usize;
    start..start + SIZE * COUNT
}

/// A bit for each place that is in use.
static IN_USE: AtomicU64 = AtomicU64::new(0);

impl Place {
    /// Takes a free place.
    pub(super) fn take() -> Option<Self> {
        let taken = IN_USE.fetch_update(Ordering::AcqRel, Ordering::Acquire, |in_use| {
            (in_use != u64::MAX).then(|| in_use | (in_use + 1))
        });
        let index = taken.ok()?.trailing_ones();
        Some(Self(usize::try_from(index).ok()?))
    }

    /// Gives the place back; nobody uses anything in it any more.
    pub(super) fn give_back(self) {
        IN_USE.fetch_and(!(1 << self.0), Ordering::AcqRel);
    }

    fn range(&self) -> Range<usize> {
        let start = PLACES.0.get() as usize + self.0 * SIZE;
        start..start + SIZE
    }

    /// How many bytes there are from this address to the end of its place, if it is in one.
    fn room_from(address: *const c_void) -> Option<usize> {
        let offset = (address as usize).wrapping_sub(PLACES.0.get() as usize);
        (offset < SIZE * COUNT).then(|| SIZE - offset % SIZE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_call_takes_from_the_place_and_the_rest_from_the_heap() {
        let place = Place::take().expect("a free place");
        let range = place.range();
        first_call(Some(&place), || {
            // SAFETY: what is allocated is used within its size, and freed.
            unsafe {
                let small = malloc(3).cast::<u8>();
                assert!(range.contains(&(small as usize)));
                small.copy_from(b"abc".as_ptr(), 3);
                let aligned = malloc(40);
                assert_eq!(aligned as usize - small as usize, ALIGNMENT);
                let grown = realloc(small.cast(), 4_000).cast::<u8>();
                assert!(!range.contains(&(grown as usize)));
                assert_eq!(std::slice::from_raw_parts(grown, 3), b"abc");
                free(grown.cast());
                free(aligned);
                let rest = malloc(SIZE);
                assert!(!range.contains(&(rest as usize)));
                free(rest);
            }
        });
        // SAFETY: freed at once.
        unsafe {
            let after = malloc(3);
            assert!(!range.contains(&(after as usize)));
            free(after);
        }
        place.give_back();
    }

    #[test]
    fn places_are_different_until_they_run_out() {
        let places: Vec<_> = std::iter::from_fn(Place::take).collect();
        let mut starts: Vec<_> = places.iter().map(|place| place.range().start).collect();
        starts.sort_unstable();
        starts.dedup();
        assert_eq!(starts.len(), places.len());
        // Other tests of the process may have some.
        assert!(places.len() <= COUNT);
        assert!(Place::take().is_none());
        places.into_iter().for_each(Place::give_back);
    }
}
