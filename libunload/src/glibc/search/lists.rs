//! What the C library finds by way of lists on the heap: the environment, the open streams.

use std::io;

use super::super::memory;
use super::{Find, Wanted, objects, symbol};

const WORD: usize = size_of::<usize>();

pub(super) fn search(wanted: &Wanted, finds: &mut Vec<Find>) -> io::Result<()> {
    search_environment(wanted, finds)?;
    search_streams(wanted, finds)
}

/// The array of variables, and where each stands. One that a library put there (`putenv`) was replaced
/// before (`environment`), so what is found here is an array of its own.
fn search_environment(wanted: &Wanted, finds: &mut Vec<Find>) -> io::Result<()> {
    /// More are not looked at.
    const MOST: usize = 1 << 16;
    let Some(environ) = symbol(c"environ") else {
        return Ok(());
    };
    let array = memory::word(environ).unwrap_or(0);
    let mut words = [0; 128];
    let mut place = array;
    while array != 0 && place < array + MOST * WORD {
        let read = memory::read(place, &mut words)?;
        for (index, &word) in words[..read].iter().enumerate() {
            if word == 0 {
                return Ok(());
            }
            if wanted.has(word) {
                finds.push(Find {
                    place: place + index * WORD,
                    word,
                    of: array,
                    holder: "a variable of the environment".to_owned(),
                });
            }
        }
        if read == 0 {
            break;
        }
        place += read * WORD;
    }
    Ok(())
}

/// Each open stream: its buffers, and the functions of those that call some (`fopencookie`).
fn search_streams(wanted: &Wanted, finds: &mut Vec<Find>) -> io::Result<()> {
    /// The index of the next stream in the list (`_chain`).
    const NEXT: usize = 13;
    /// A stream with four functions of its own, `struct _IO_cookie_file`.
    const LENGTH: usize = 0x108 / WORD;
    /// More are not looked at.
    const MOST: usize = 1 << 16;
    let Some(list) = symbol(c"_IO_list_all") else {
        return Ok(());
    };
    let mut stream = memory::word(list).unwrap_or(0);
    for _ in 0..MOST {
        let mut words = [0; LENGTH];
        if stream == 0 || memory::read(stream, &mut words)? <= NEXT {
            break;
        }
        // Those of the C library itself are among its data.
        let is_found_there = || objects::object_of(stream).is_some();
        wanted.find_in(&words, |index| {
            if is_found_there() {
                return;
            }
            finds.push(Find {
                place: stream + index * WORD,
                word: words[index],
                of: stream,
                holder: format!("an open stream (FILE at {stream:#x})"),
            });
        });
        stream = words[NEXT];
    }
    Ok(())
}
