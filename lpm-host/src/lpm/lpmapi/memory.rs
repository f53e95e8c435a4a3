//! What LPMs allocate with the PCM's functions (`AllocMemory`, `FreeMemory`): objects that they
//! hand over. Who frees what is known here, so that what is handed over can be looked at without
//! trust, and nothing is freed that was not allocated here.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, Weak};

use super::library::{self, CLibrary};
use crate::lock::lock;

/// A block, by its address.
struct Block {
    /// Bytes that were asked for; a fence is behind them.
    length: usize,
    layout: Layout,
    /// Whose code asked for it, where that is known.
    owner: Option<Weak<CLibrary>>,
}

static BLOCKS: Mutex<BTreeMap<usize, Block>> = Mutex::new(BTreeMap::new());

/// As of `malloc`.
const ALIGNMENT: usize = 16;
/// What is behind each block.
const FENCE: [u8; 16] = [0xA5; 16];

/// `AllocMemory`: null where there is no memory.
pub(super) unsafe extern "system" fn allocate(length: u32) -> *mut c_void {
    let Some(length) = usize::try_from(length).ok() else {
        return ptr::null_mut();
    };
    let whole = length.checked_add(FENCE.len());
    let layout = whole.and_then(|whole| Layout::from_size_align(whole, ALIGNMENT).ok());
    let Some(layout) = layout else {
        return ptr::null_mut();
    };
    // SAFETY: the layout is not empty, since it has a fence.
    let Some(start) = NonNull::new(unsafe { alloc_zeroed(layout) }) else {
        return ptr::null_mut();
    };
    // SAFETY: the layout has room for the fence behind the block.
    unsafe {
        start
            .as_ptr()
            .add(length)
            .cast::<[u8; 16]>()
            .write_unaligned(FENCE);
    }
    let block = Block {
        length,
        layout,
        owner: library::under_way(),
    };
    lock(&BLOCKS).insert(start.as_ptr().addr(), block);
    start.as_ptr().cast()
}

/// `FreeMemory`: null is nothing, and what was not allocated here stays as it is.
pub(super) unsafe extern "system" fn free(start: *mut c_void) {
    if !start.is_null() && !take_back(start.cast()) {
        let what = "freed memory that it did not allocate with AllocMemory, or freed before";
        library::complain(library::under_way().as_ref(), what);
    }
}

/// Frees the block that begins here; whether there is one.
fn take_back(start: *mut u8) -> bool {
    let Some(block) = lock(&BLOCKS).remove(&start.addr()) else {
        return false;
    };
    // SAFETY: the block is `allocate`'s, so that there is a fence behind it, and nobody else frees
    // it, since it is off the list.
    let fence = unsafe { start.add(block.length).cast::<[u8; 16]>().read_unaligned() };
    if fence != FENCE {
        let what = format!(
            "wrote beyond {} bytes of memory from AllocMemory",
            block.length
        );
        library::overstep(block.owner.or_else(library::under_way).as_ref(), what);
    }
    // SAFETY: it was allocated with this layout, as above.
    unsafe { dealloc(start, block.layout) };
    true
}

/// Frees the blocks that these addresses lie in, each once.
pub(super) fn free_all(addresses: impl IntoIterator<Item = *mut u8>) {
    let starts: std::collections::BTreeSet<_> = {
        let blocks = lock(&BLOCKS);
        let start = |address: *mut u8| {
            let (start, _) = block_of(&blocks, address.addr())?;
            Some(address.with_addr(start).expose_provenance())
        };
        addresses.into_iter().filter_map(start).collect()
    };
    for start in starts {
        take_back(ptr::with_exposed_provenance_mut(start));
    }
}

/// Copies so many bytes from a block; `None` where they do not lie in one.
pub(super) fn copy(address: *const u8, length: usize) -> Option<Vec<u8>> {
    // Held meanwhile, so that nobody frees the block.
    let blocks = lock(&BLOCKS);
    let (start, block) = block_of(&blocks, address.addr())?;
    let end = address.addr().checked_add(length)?;
    if end > start + block.length {
        return None;
    }
    let mut bytes = Vec::with_capacity(length);
    // SAFETY: they lie in the block, as was just seen, and are allocated as long as it is on the
    // list.
    unsafe {
        ptr::copy_nonoverlapping(address, bytes.as_mut_ptr(), length);
        bytes.set_len(length);
    }
    Some(bytes)
}

/// The block that an address lies in, with its start.
fn block_of(blocks: &BTreeMap<usize, Block>, address: usize) -> Option<(usize, &Block)> {
    let (start, block) = blocks.range(..=address).next_back()?;
    (address - start <= block.length).then_some((*start, block))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_block_can_be_copied_and_is_freed_once() {
        // SAFETY: it may be called anywhere.
        let block = unsafe { allocate(8) }.cast::<u8>();
        // SAFETY: a block of eight bytes.
        unsafe { block.copy_from_nonoverlapping([1, 2, 3, 4, 5, 6, 7, 8].as_ptr(), 8) };
        assert_eq!(copy(block, 8).unwrap(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(copy(block.wrapping_add(6), 2).unwrap(), [7, 8]);
        assert_eq!(copy(block.wrapping_add(6), 3), None);
        assert_eq!(copy(block.wrapping_add(8), 0), Some(Vec::new()));
        assert_eq!(copy(block.wrapping_sub(1), 1), None);
        assert_eq!(copy(ptr::null(), 0), None);
        free_all([
            block.wrapping_add(4),
            block,
            block.wrapping_sub(1),
            ptr::null_mut(),
        ]);
        assert_eq!(copy(block, 1), None);
        assert!(!take_back(block));
        // SAFETY: the same; and there is nobody whom it could be told of.
        unsafe { free(block.cast()) };
    }

    #[test]
    fn no_memory_is_null_and_no_bytes_are_a_block() {
        // SAFETY: it may be called anywhere.
        let empty = unsafe { allocate(0) };
        assert!(!empty.is_null());
        // SAFETY: the same.
        unsafe {
            free(empty);
            free(ptr::null_mut());
        }
    }
}
