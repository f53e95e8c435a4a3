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
use super::super::remnants::Concealed;
use super::wanted::Wanted;

/// An address of what leaves, in code that nobody has loaded.
pub(super) struct Lead {
    pub(super) place: usize,
    pub(super) word: Concealed,
    /// The mapping that the code is in.
    pub(super) code: Range<usize>,
}

/// All of them.
pub(super) fn find(wanted: &Wanted, loaded: &[Object]) -> io::Result<Vec<Lead>> {
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
    let (mut leads, mut reader) = (Vec::new(), None);
    for code in made.map(|mapping| mapping.range) {
        let mut before = None;
        // Most processes have none.
        let reader = reader.get_or_insert_with(Reader::new);
        reader.read(std::slice::from_ref(&code), |start, words| {
            let mut note = |start: usize, words: &[usize]| {
                for (offset, word) in wanted.anywhere_in(words) {
                    leads.push(Lead {
                        place: start + offset,
                        word: Concealed::new(word),
                        code: code.clone(),
                    });
                }
            };
            // In code, an address may begin anywhere, and go on in the next piece.
            if let Some((last, first)) = before.zip(words.first()) {
                note(start - size_of_val(&last), &[last, *first]);
            }
            note(start, words);
            before = words.last().copied();
        })?;
    }
    Ok(leads)
}
