//! Whose is an address? Asked where nobody may wait: in signal handlers, and in the children of
//! `fork`.
//!
//! Next to the list of ledgers, which is locked, the ranges of their objects stand in slots that
//! are read without a lock. Writers exclude each other by the lock of that list. A slot is empty
//! while its range begins at 0: then its end may be written. A reader takes a range whose beginning
//! is the same before and after it has read the end; if the slot was emptied and filled meanwhile
//! with a range that begins there, too, the end is that of one of both, which each was true at some
//! moment of the question.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use once_cell::race::OnceBox;

use super::frames;

/// What is written and read in one piece, by all in one order. Models have one of their own.
pub(super) trait Word {
    fn get(&self) -> usize;
    fn set(&self, value: usize);

    /// Puts `new` in the place of `old`; whether it was that.
    fn exchange(&self, old: usize, new: usize) -> bool;

    /// What was written before is seen by whoever comes to such a fence later.
    fn fence();
}

impl Word for AtomicUsize {
    fn get(&self) -> usize {
        self.load(Ordering::SeqCst)
    }

    fn set(&self, value: usize) {
        self.store(value, Ordering::SeqCst);
    }

    fn exchange(&self, old: usize, new: usize) -> bool {
        let exchanged = self.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst);
        exchanged.is_ok()
    }

    fn fence() {
        std::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// Where an object is, and whether it is about to go.
pub(super) struct Owner<W = AtomicUsize> {
    start: W,
    end: W,
    /// Not 0 while nothing new may lead into it.
    pub(super) leaves: W,
}

impl<W: Word> Owner<W> {
    fn fill(&self, start: usize, end: usize) {
        self.leaves.set(0);
        self.end.set(end);
        self.start.set(start);
    }

    fn empty(&self) {
        self.start.set(0);
    }

    /// Where the range begins, if it has this address.
    pub(super) fn start_if_has(&self, address: usize) -> Option<usize> {
        let start = self.start.get();
        let end = self.end.get();
        let is_same = self.start.get() == start;
        (start != 0 && is_same && (start..end).contains(&address)).then_some(start)
    }
}

/// So many objects, and more in the next.
struct Block {
    owners: [Owner; SIZE],
    next: OnceBox<Self>,
}

const SIZE: usize = 64;

static FIRST: Block = Block::new();

impl Block {
    const fn new() -> Self {
        Self {
            owners: [const {
                Owner {
                    start: AtomicUsize::new(0),
                    end: AtomicUsize::new(0),
                    leaves: AtomicUsize::new(0),
                }
            }; SIZE],
            next: OnceBox::new(),
        }
    }
}

fn blocks() -> impl Iterator<Item = &'static Block> {
    std::iter::successors(Some(&FIRST), |block| block.next.get())
}

fn owners() -> impl Iterator<Item = &'static Owner> {
    blocks().flat_map(|block| &block.owners)
}

/// Where the first objects are entered.
pub(super) fn place() -> Range<usize> {
    let start = &raw const FIRST as usize;
    start..start + size_of::<Block>()
}

/// The object that has this address, and where it begins.
pub(super) fn of(address: usize) -> Option<(&'static Owner, usize)> {
    owners().find_map(|owner| Some((owner, owner.start_if_has(address)?)))
}

/// The object whose code, directly or not, called the host, and where it begins.
pub(super) fn of_caller() -> Option<(&'static Owner, usize)> {
    let mut caller = None;
    frames::walk(&mut |address| caller = caller.or_else(|| of(address)));
    caller
}

/// Enters an object. Only who holds the lock of the list of ledgers may.
pub(super) fn add(start: usize, end: usize) {
    let free = || owners().find(|owner| owner.start.get() == 0);
    let owner = free().unwrap_or_else(|| {
        let last = blocks().last().unwrap_or(&FIRST);
        &last.next.get_or_init(|| Box::new(Block::new())).owners[0]
    });
    owner.fill(start, end);
}

/// Takes it out again. Only who holds that lock may.
pub(super) fn remove(start: usize) {
    owners()
        .filter(|owner| owner.start.get() == start)
        .for_each(Owner::empty);
}

#[cfg(all(test, loom))]
mod model {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicUsize, Ordering};
    use loom::thread;

    use super::{Owner, Word};

    impl Word for AtomicUsize {
        fn get(&self) -> usize {
            self.load(Ordering::SeqCst)
        }

        fn set(&self, value: usize) {
            self.store(value, Ordering::SeqCst);
        }

        fn exchange(&self, old: usize, new: usize) -> bool {
            let exchanged = self.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst);
            exchanged.is_ok()
        }

        fn fence() {
            loom::sync::atomic::fence(Ordering::SeqCst);
        }
    }

    /// Whatever a reader sees was there: 10..20, then 10..30 or 40..50, never a mixture.
    #[test]
    fn owners_are_seen_whole() {
        for next in [(10, 30), (40, 50)] {
            loom::model(move || {
                let owner = Arc::new(Owner {
                    start: AtomicUsize::new(10),
                    end: AtomicUsize::new(20),
                    leaves: AtomicUsize::new(0),
                });
                let written = Arc::clone(&owner);
                let writer = thread::spawn(move || {
                    written.empty();
                    written.fill(next.0, next.1);
                });
                assert_eq!(owner.start_if_has(35), None);
                let seen = owner.start_if_has(25);
                assert!(seen.is_none() || next == (10, 30));
                writer.join().expect("no panic");
            });
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_block_are_found_and_forgotten() {
        // Addresses that no process of Linux has.
        let start = |index: usize| (1 << 60) + index * 0x1000;
        for index in 0..3 * SIZE {
            add(start(index), start(index) + 0x800);
        }
        for index in 0..3 * SIZE {
            let found = of(start(index) + 0x7ff).map(|(_, start)| start);
            assert_eq!(found, Some(start(index)));
            assert!(of(start(index) + 0x800).is_none());
            remove(start(index));
            assert!(of(start(index)).is_none());
        }
    }
}
