//! What the loader has of each object (`struct link_map`), whose first fields are public.

use super::memory;
use super::object::Object;
use super::remnants::Wiped;
use super::search::wanted::FOR_DEBUGGERS;

const WORD: usize = size_of::<usize>();

/// Longer lists are none.
const MOST: usize = 1 << 16;

/// The loader's record of an object.
pub(super) struct Record {
    /// Where it is.
    pub(super) place: usize,
    /// What is added to the object's addresses.
    pub(super) base: usize,
    /// Where its dynamic section is.
    pub(super) dynamic: usize,
}

impl Record {
    /// All words of it, as long as the memory is that the loader took for it.
    pub(super) fn words(&self) -> Wiped<usize> {
        /// A longer one is none.
        const LONGEST: usize = 4096;
        let size = memory::word(self.place - WORD).map_or(0, |size| size & !7);
        let mut words = Wiped::zeros(size.min(LONGEST) / WORD);
        // What cannot be read is 0.
        let _ = memory::read(self.place, &mut words);
        words
    }
}

/// The records of these objects, each with the object's index.
pub(super) fn of(objects: &[&Object]) -> impl Iterator<Item = (usize, Record)> {
    // `struct r_debug`: version, first record.
    let first = FOR_DEBUGGERS.address().map(|list| list + WORD);
    let first = first.and_then(memory::word).unwrap_or(0);
    let records = from(first).take(MOST).filter_map(|record| {
        let is_it =
            |object: &&Object| object.dynamic() == record.dynamic && object.base() == record.base;
        Some((objects.iter().position(is_it)?, record))
    });
    records.take(objects.len())
}

/// The record at this place, and those that follow it.
pub(super) fn from(first: usize) -> impl Iterator<Item = Record> {
    let mut next = first;
    std::iter::from_fn(move || {
        let place = next;
        if place == 0 {
            return None;
        }
        // Base, path, dynamic section, the next record.
        let [base, _, dynamic, following] = memory::words(place)?;
        next = following;
        Some(Record {
            place,
            base,
            dynamic,
        })
    })
}
