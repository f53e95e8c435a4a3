//! What is found by way of lists: the environment and the open streams, which the C library has on
//! the heap, and the timers of the kernel.

use std::fs;
use std::io;

use super::super::remnants::Concealed;
use super::super::{lent, memory};
use super::objects;
use super::wanted::{ENVIRONMENT, Find, Holder, STREAMS, Wanted};

const WORD: usize = size_of::<usize>();

pub(super) fn search(wanted: &Wanted, finds: &mut Vec<Find>) -> io::Result<()> {
    search_environment(wanted, finds);
    search_timers(wanted, finds);
    search_streams(wanted, finds)
}

/// The array of variables, if it is the library's. The variables that are were replaced before
/// ([`lent`]).
fn search_environment(wanted: &Wanted, finds: &mut Vec<Find>) {
    let array = ENVIRONMENT.address().and_then(memory::word).unwrap_or(0);
    for word in std::iter::once(array).chain(lent::variables()) {
        if wanted.has(word) {
            finds.push(Find {
                place: 0,
                word: Concealed::new(word),
                holder: Holder::other(array, "the environment".to_owned()),
            });
        }
    }
}

/// What timers hand to handlers of signals. Those of the library that are known were deleted
/// before.
fn search_timers(wanted: &Wanted, finds: &mut Vec<Find>) {
    let Ok(timers) = fs::read_to_string("/proc/self/timers") else {
        return;
    };
    // "signal: 10/00007f1a2b3c4d5e", the number of the signal and what comes with it.
    for timer in timers
        .lines()
        .filter_map(|line| line.strip_prefix("signal: "))
    {
        let Some((signal, value)) = timer.split_once('/') else {
            continue;
        };
        let value = usize::from_str_radix(value.trim_start_matches("0x"), 16);
        if let Some(word) = value.ok().filter(|&word| wanted.has(word)) {
            finds.push(Find {
                place: 0,
                word: Concealed::new(word),
                holder: Holder::other(word, format!("a timer that sends signal {signal}")),
            });
        }
    }
}

/// Each open stream: its buffers, and the functions of those that call some (`fopencookie`).
fn search_streams(wanted: &Wanted, finds: &mut Vec<Find>) -> io::Result<()> {
    /// The index of the next stream in the list (`_chain`).
    const NEXT: usize = 13;
    /// The index of what is handed to them.
    const COOKIE: usize = 0xe0 / WORD;
    /// A stream with four functions of its own, `struct _IO_cookie_file`.
    const LENGTH: usize = 0x108 / WORD;
    /// More are not looked at.
    const MOST: usize = 1 << 16;
    let Some(list) = STREAMS.address() else {
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
                word: Concealed::new(words[index]),
                holder: Holder::Stream(stream),
            });
        });
        // What the functions get: glibc's own for `fmemopen`, with the buffer.
        let cookie = words[COOKIE];
        let mut kept = [0; 8];
        let read = memory::read(cookie, &mut kept).unwrap_or(0);
        if !wanted.has(cookie) && kept[..read].iter().any(|&word| wanted.has(word)) {
            finds.push(Find {
                place: cookie,
                word: Concealed::new(kept[0]),
                holder: Holder::Stream(stream),
            });
        }
        stream = words[NEXT];
    }
    Ok(())
}
