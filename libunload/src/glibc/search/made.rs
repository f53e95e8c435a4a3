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

const WORD: usize = size_of::<usize>();

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
    // Where stacks are executable, what may be written to may be one, in use or kept for the next
    // thread.
    let on_stack = &raw const executable as usize;
    let is_stack = executable
        .iter()
        .any(|mapping| mapping.range.contains(&on_stack));
    let made = executable
        .into_iter()
        .filter(|mapping| !(is_loaded(&mapping.range) || is_stack && mapping.writable));
    let mut leads = Vec::new();
    for range in made.map(|mapping| mapping.range) {
        let (mut before, mut is_found) = (0, false);
        reader.read(std::slice::from_ref(&range), |_, words| {
            for &word in words {
                // In code, an address may stand anywhere.
                let is = |shift: usize| wanted.has(shifted(before, word, shift));
                is_found |= (0..WORD).any(is);
                before = word;
            }
        })?;
        if is_found {
            leads.push(range);
        }
    }
    Ok(leads)
}

/// The word that begins so many bytes before this one, of which the last ones are in `before`.
fn shifted(before: usize, word: usize, bytes: usize) -> usize {
    match bytes {
        0 => word,
        _ => word << (8 * bytes) | before >> (8 * (WORD - bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_begin_anywhere() {
        let bytes: Vec<u8> = (1..=16).collect();
        let word = |start: usize| {
            let bytes = bytes[start..start + WORD].try_into().expect("a word");
            usize::from_le_bytes(bytes)
        };
        for shift in 0..WORD {
            assert_eq!(shifted(word(0), word(8), shift), word(8 - shift));
        }
    }
}
