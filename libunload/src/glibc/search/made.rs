//! Code that was made at run time and leads into what leaves.
//!
//! Compilers that work at run time, and makers of callbacks such as `libffi`, write code into
//! memory of their own, which no loader knows and which goes on to a library by an address in it.
//! Whoever leads into such code leads into the library. That nobody leads into, nobody follows.

use std::io;
use std::ops::Range;

use super::super::maps::Maps;
use super::super::memory::Reader;
use super::super::object::Object;
use super::wanted::Wanted;

/// Where code is that nobody has loaded and that has an address of what leaves in it.
pub(super) fn find(
    wanted: &Wanted,
    loaded: &[Object],
    reader: &mut Reader,
) -> io::Result<Vec<Range<usize>>> {
    let is_loaded = |range: &Range<usize>| {
        let mut loaded = loaded.iter();
        loaded.any(|object| object.range().contains(&range.start))
    };
    let executable = Maps::open()?.executable()?;
    // Where stacks or the heap are executable (`-z execstack`, valgrind), what may be written to
    // may be one, in use or kept for the next thread.
    let data = [&raw const executable as usize, executable.as_ptr() as usize];
    let is_data = executable
        .iter()
        .any(|mapping| data.iter().any(|place| mapping.range.contains(place)));
    let made = executable
        .into_iter()
        .filter(|mapping| !(is_loaded(&mapping.range) || is_data && mapping.writable));
    let mut leads = Vec::new();
    for range in made.map(|mapping| mapping.range) {
        let (mut before, mut is_found) = (None, false);
        reader.read(std::slice::from_ref(&range), |_, words| {
            // In code, an address may begin anywhere, and go on in the next piece.
            let between = before.zip(words.first());
            is_found |= between.is_some_and(|(last, first)| wanted.stands_in(&[last, *first]));
            is_found |= wanted.stands_in(words);
            before = words.last().copied();
        })?;
        if is_found {
            leads.push(range);
        }
    }
    Ok(leads)
}
