//! How often somebody has opened an object by its own name.
//!
//! The loader counts that, and keeps an object as long as the count is not 0. It tells nobody; the
//! count is somewhere in its [record](super::link_maps) of the object. Where it stands is found out
//! with the C library: each time that is opened, one number in its record grows by one.

use std::ffi::c_void;
use std::sync::OnceLock;

use super::object::Object;
use super::{link_maps, memory};
use crate::os::Handle;

const WORD: usize = size_of::<usize>();

/// How often these objects were opened by their own names, in the same order; `None` where that
/// cannot be told.
pub(super) fn counts(objects: &[&Object]) -> Vec<Option<u32>> {
    let mut counts = vec![None; objects.len()];
    let Some(place) = place_of_count() else {
        return counts;
    };
    for (index, record) in link_maps::of(objects) {
        let word = memory::word(record.place + place / WORD * WORD);
        counts[index] = word.map(|word| half(word, place));
    }
    counts
}

/// The number of 32 bits at this place, of the word there.
fn half(word: usize, place: usize) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the half that is asked for"
    )]
    {
        (word >> (8 * (place % WORD))) as u32
    }
}

/// Where in its records the loader has the count.
fn place_of_count() -> Option<usize> {
    /// Others may open the C library at the same moment.
    const ATTEMPTS: usize = 5;
    static PLACE: OnceLock<Option<usize>> = OnceLock::new();
    *PLACE.get_or_init(|| (0..ATTEMPTS).find_map(|_| measure()))
}

fn measure() -> Option<usize> {
    /// Of a record's 1.1 KiB; the count stands behind the dynamic section's entries.
    const LOOKED_AT: usize = (1 << 10) / WORD;
    let mut handles = Vec::new();
    let mut records = Vec::new();
    for _ in 0..3 {
        let handle = Handle::open_again(c"libc.so.6")?;
        let record = handle.as_ptr().cast::<c_void>() as usize;
        handles.push(handle);
        let mut words = [0; LOOKED_AT];
        let read = memory::read(record, &mut words).unwrap_or(0);
        records.push(words[..read].to_vec());
    }
    for handle in handles {
        // SAFETY: opened above, in addition to whoever has it; nothing was used of it by this
        // handle.
        let _ = unsafe { handle.close() };
    }
    let at =
        |record: &Vec<usize>, place: usize| record.get(place / WORD).map(|&word| half(word, place));
    let grows = |&place: &usize| {
        let [first, second, third] = [0, 1, 2].map(|index| at(&records[index], place));
        let next = |number: Option<u32>| number.and_then(|number| number.checked_add(1));
        first.is_some() && next(first) == second && next(second) == third
    };
    let mut places = (0..LOOKED_AT * WORD).step_by(WORD / 2).filter(grows);
    let place = places.next()?;
    places.next().is_none().then_some(place)
}

#[cfg(test)]
mod tests {
    use super::super::loader;
    use super::*;

    #[test]
    fn what_is_opened_is_counted() {
        let loaded = loader::loaded();
        let is_it = |object: &&Object| object.path.to_bytes().ends_with(b"libgcc_s.so.1");
        let first = Handle::open_again(c"libgcc_s.so.1");
        let needed = loaded.iter().find(is_it).expect("the program needs it");
        let count = || counts(&[needed])[0].expect("the loader's count");
        let before = count();
        let second = Handle::open_again(c"libgcc_s.so.1").expect("it is loaded");
        assert_eq!(count(), before + 1);
        // SAFETY: nothing was used of it by these handles.
        unsafe { second.close() }.expect("closed");
        assert_eq!(count(), before);
        // SAFETY: as above.
        unsafe { first.expect("it is loaded").close() }.expect("closed");
        assert_eq!(count(), before - 1);
    }
}
