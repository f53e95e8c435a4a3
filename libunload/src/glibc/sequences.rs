//! Restartable sequences (`rseq`): a thread tells the kernel where one is described, and the kernel
//! looks that up whenever the thread loses its processor, until it finds it outside.
//!
//! What the thread that unloads has told is taken back. Of others it cannot be, since they may be
//! telling something else; what is left there is found by the search.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::search::threads::own_pointer;
use super::search::wanted::symbol;

/// Takes back what this thread, which is outside these ranges, has told of sequences in them.
pub(super) fn take_back(ranges: &[Range<usize>]) {
    /// Of the description's address in `struct rseq`.
    const OFFSET: usize = 8;
    let (Some(distance), Some(size), Some(pointer)) = (
        symbol(c"__rseq_offset"),
        symbol(c"__rseq_size"),
        own_pointer(),
    ) else {
        return;
    };
    // SAFETY: variables of glibc of these names have these types.
    let (distance, size) = unsafe {
        (
            (distance as *const isize).read(),
            (size as *const u32).read(),
        )
    };
    if size == 0 {
        // The kernel was not told where this thread tells it.
        return;
    }
    let place = pointer.wrapping_add_signed(distance).wrapping_add(OFFSET);
    // SAFETY: glibc has registered it with the kernel for this thread.
    let told = unsafe { &*(place as *const AtomicUsize) };
    let is_theirs = |address: usize| ranges.iter().any(|range| range.contains(&address));
    if is_theirs(told.load(Ordering::Relaxed)) {
        told.store(0, Ordering::Relaxed);
    }
}
