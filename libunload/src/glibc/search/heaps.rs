//! Where `malloc` has given memory out, as its own records say.
//!
//! A number in front of an address may be a remnant: memory that was divided otherwise before. From
//! a heap's first chunk on, each says where the next one begins and whether it is itself in use, up
//! to the heap's end. To go along that takes the longer the more there is, so it is done once
//! something was found. Where the way does not lead to the end (another thread allocates at this
//! very moment; somebody else moves the program's break), nothing is known.
//!
//! glibc has two kinds of heap: that of the program, which ends at its break, and those of threads,
//! which begin at multiples of their greatest size. Large memory is in none.

use std::ops::Range;

use super::super::maps::Maps;
use super::super::memory::{self, Reader};

const WORD: usize = size_of::<usize>();
/// In front of what is given out.
const HEADER: usize = 2 * WORD;

/// The heaps that were looked at.
pub(super) struct Heaps {
    known: Vec<Heap>,
    reader: Reader,
}

struct Heap {
    range: Range<usize>,
    /// Where memory begins that is in use, in order; `None` where that cannot be told.
    in_use: Option<Vec<usize>>,
}

impl Heaps {
    pub(super) fn new() -> Self {
        Self {
            known: Vec::new(),
            reader: Reader::new(),
        }
    }

    /// Whether nobody has memory of `malloc` that begins here: `false` in doubt.
    pub(super) fn is_remnant(&mut self, start: usize) -> bool {
        let is_known = |heap: &Heap| heap.range.contains(&start);
        let index = self.known.iter().position(is_known).or_else(|| {
            let heap = self.heap_of(start)?;
            self.known.push(heap);
            Some(self.known.len() - 1)
        });
        let in_use = index.and_then(|index| self.known[index].in_use.as_ref());
        in_use.is_some_and(|in_use| in_use.binary_search(&start).is_err())
    }

    fn heap_of(&mut self, address: usize) -> Option<Heap> {
        /// More is not looked at.
        const MOST: usize = 1 << 30;
        /// Another thread may have been at it.
        const ATTEMPTS: usize = 3;
        let (range, first) = of_program(address).or_else(|| of_threads(address))?;
        let mut attempts = 0..if range.len() > MOST { 0 } else { ATTEMPTS };
        let in_use = attempts.find_map(|_| in_use(first..range.end, &mut self.reader));
        Some(Heap { range, in_use })
    }
}

/// The heap of the program, if it has this address, and where its first chunk is.
fn of_program(address: usize) -> Option<(Range<usize>, usize)> {
    // SAFETY: this asks where the break is.
    let end = unsafe { libc::sbrk(0) } as usize;
    let mapping = Maps::open().ok()?.at(end.checked_sub(1)?).ok()??;
    let range = mapping.range.start..end;
    let first = range.start;
    range.contains(&address).then_some((range, first))
}

/// The heap of threads, if it has this address, and where its first chunk is.
fn of_threads(address: usize) -> Option<(Range<usize>, usize)> {
    /// `HEAP_MAX_SIZE`
    const GREATEST: usize = 64 << 20;
    /// Whose chunks these are, `struct malloc_state`, is in the first of several.
    const ROOM_FOR_RECORDS: usize = 4096;
    /// That the chunk before is in use, which is not there, and that this is a heap of threads.
    const FLAGS: usize = 0b101;
    let start = address & !(GREATEST - 1);
    // `struct heap_info`: whose, the one before, how much of it is used.
    let mut words = [0; ROOM_FOR_RECORDS / WORD];
    let read = memory::read(start, &mut words).ok()?;
    let [records, _, size, ..] = words;
    let range = start..start.checked_add(size)?;
    if read != words.len() || records % WORD != 0 || !range.contains(&address) || size > GREATEST {
        return None;
    }
    // The lists in the records are addresses: none is odd.
    let mut places = (HEADER / WORD..words.len() - 1).step_by(2);
    let leads_on = |place: &usize| {
        let header = words[place + 1];
        let next = (place * WORD).checked_add(header & !7);
        header & 7 == FLAGS && header >= HEADER && next.is_some_and(|next| next <= size)
    };
    let first = places.find(leads_on)?;
    Some((range, start + first * WORD))
}

/// Goes from the first chunk to the end of the heap.
fn in_use(chunks: Range<usize>, reader: &mut Reader) -> Option<Vec<usize>> {
    const BEFORE_IS_IN_USE: usize = 1;
    const FLAGS: usize = 7;
    let mut in_use = Vec::new();
    let (mut before, mut next, mut leads_on) = (None, chunks.start, true);
    let read = reader.read(std::slice::from_ref(&chunks), |start, words| {
        while leads_on && (next + WORD).wrapping_sub(start) < size_of_val(words) {
            let header = words[(next + WORD - start) / WORD];
            in_use.extend(before.filter(|_| header & BEFORE_IS_IN_USE != 0));
            // What closes a heap that others continue has none.
            let size = (header & !FLAGS).max(HEADER);
            before = Some(next + HEADER);
            next = next.wrapping_add(size);
            leads_on = next < chunks.end;
        }
    });
    (read.is_ok() && next == chunks.end).then_some(in_use)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::tests::fixture::in_process_of;

    /// Memory that is in use, and what only looks so inside of it; where no other test changes the
    /// heap.
    #[test]
    fn memory_in_use_is_told_from_remnants() {
        let name = "glibc::search::heaps::tests::memory_in_use_is_told_from_remnants";
        in_process_of(name, || {
            const SIZE: usize = 4 * HEADER;
            let mut outer = vec![0_usize; 64];
            outer[11] = SIZE | 1;
            outer[15] = SIZE | 1;
            let inner = &raw const outer[12] as usize;
            let (address, mut heaps) = (outer.as_ptr() as usize, Heaps::new());
            let told = [inner, address].map(|start| heaps.is_remnant(start));
            assert_eq!(told, [true, false]);
        });
    }

    #[test]
    fn what_is_no_heap() {
        static DATA: [usize; 64] = [33; 64];
        assert!(!Heaps::new().is_remnant(&raw const DATA[12] as usize));
        assert!(!Heaps::new().is_remnant(16));
        assert!(!Heaps::new().is_remnant(usize::MAX & !15));
    }
}
