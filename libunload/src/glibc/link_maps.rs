//! What the loader has of each object (`struct link_map`), whose first fields are public.

use super::memory;

/// The loader's record of an object.
pub(super) struct Record {
    /// Where it is.
    pub(super) place: usize,
    /// What is added to the object's addresses.
    pub(super) base: usize,
    /// Where its dynamic section is.
    pub(super) dynamic: usize,
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
