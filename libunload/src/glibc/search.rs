//! Does anything that stays lead into what leaves?
//!
//! Some functions keep an address that they are given (the name for `openlog`, the buffer for `setvbuf`),
//! libraries keep callbacks, and whoever follows such an address once the library is gone ends the
//! process. So before the point of no return, after the finalizers, the places are searched from which
//! somebody will follow addresses by himself:
//!
//! | place | file |
//! |---|---|
//! | the data of every object that stays, the program's too | `objects` |
//! | each thread's thread-locals, and what the C library keeps of it (`struct pthread`) | `threads` |
//! | the arguments of system calls that threads wait in | `threads` |
//! | the environment, the open streams | `lists` |
//! | what the data of the libraries that stay leads to on the heap | `chains` |
//!
//! glibc encodes addresses of functions that it keeps (`PTR_MANGLE`), so each word is tried decoded as
//! well. What cannot lead anywhere is left out, by rules that are exact and stand where they apply. What was
//! there before any of the library ran is not about it, although it looks so: that is the [`Baseline`].
//!
//! What no search sees: addresses that others encode, memory of foreign allocators, requests under way in
//! the kernel, the program's own heap. The book says so.

mod chains;
mod lists;
mod objects;
mod threads;

pub(super) use self::lists::variables;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use smallvec::SmallVec;

use super::lent;
use super::memory::Reader;
use super::object::Object;
use crate::outcome::PinReason;

/// What is looked for.
pub(super) struct Wanted {
    ranges: SmallVec<[Range<usize>; 2]>,
    /// What glibc encodes addresses with.
    guard: usize,
}

/// Where an address was found, and who has it there.
struct Find {
    place: usize,
    word: usize,
    /// What tells one holder from another: its address, say.
    of: usize,
    holder: String,
}

/// What looked like addresses of a library before any of it ran: the words, by their places.
#[derive(Default)]
pub(super) struct Baseline(BTreeMap<usize, usize>);

impl Baseline {
    /// Notes what there is when objects have just been mapped. Where nothing can be read, nothing is noted.
    pub(super) fn of(leaving: &[&Object], loaded: &[Object]) -> Self {
        let finds = static_places(&Wanted::new(leaving), leaving, loaded);
        let finds = finds.unwrap_or_default().into_iter();
        Self(finds.map(|find| (find.place, find.word)).collect())
    }
}

/// Looks for whatever leads into the objects that leave; `loaded` is all that is loaded.
pub(super) fn search(
    leaving: &[&Object],
    loaded: &[Object],
    baselines: &[&Baseline],
) -> Vec<PinReason> {
    /// An operator needs no more to find who it is.
    const MOST: usize = 8;
    let wanted = Wanted::new(leaving);
    let finds = match all_places(&wanted, leaving, loaded) {
        Ok(finds) => finds,
        Err(error) => {
            return vec![PinReason::CannotVerify {
                what: format!("memory of this process: {error}"),
            }];
        }
    };
    let was_there = |find: &Find| {
        let mut baselines = baselines.iter();
        baselines.any(|baseline| baseline.0.get(&find.place) == Some(&find.word))
    };
    let new = finds
        .into_iter()
        .filter(|find| !was_there(find) && !lent::was_token(find.place));
    let mut holders = BTreeMap::new();
    for Find { of, holder, .. } in new {
        holders.entry(of).or_insert(holder);
    }
    let reason = |holder| PinReason::AddressKept { holder };
    holders.into_values().take(MOST).map(reason).collect()
}

/// What is in places that are always there.
fn static_places(wanted: &Wanted, leaving: &[&Object], loaded: &[Object]) -> io::Result<Vec<Find>> {
    let mut finds = Vec::new();
    let mut reader = Reader::new();
    let staying = || loaded.iter().filter(|object| !is_among(object, leaving));
    objects::search(wanted, staying(), &mut reader, &mut finds)?;
    threads::search_thread_locals(wanted, leaving, staying(), &mut reader, &mut finds)?;
    Ok(finds)
}

fn all_places(wanted: &Wanted, leaving: &[&Object], loaded: &[Object]) -> io::Result<Vec<Find>> {
    let mut finds = static_places(wanted, leaving, loaded)?;
    lists::search(wanted, &mut finds)?;
    threads::search_system_calls(wanted, &mut finds);
    chains::search(wanted, leaving, loaded, &mut finds)?;
    Ok(finds)
}

/// Who has this address: `libc.so.6 (stdout+0x8)`.
pub(super) fn holder(address: usize) -> String {
    objects::holder(address).1
}

fn is_among(object: &Object, leaving: &[&Object]) -> bool {
    leaving.iter().any(|other| other.dynamic == object.dynamic)
}

impl Wanted {
    fn new(leaving: &[&Object]) -> Self {
        Self {
            ranges: leaving.iter().map(|object| object.range.clone()).collect(),
            guard: guard(),
        }
    }

    /// Whether this is an address of what leaves.
    fn has(&self, address: usize) -> bool {
        self.ranges.iter().any(|range| range.contains(&address))
    }

    /// Whether this word is such an address, or one that glibc has encoded.
    fn is(&self, word: usize) -> bool {
        self.has(word) || self.has(self.decode(word))
    }

    /// What glibc has encoded so.
    fn decode(&self, word: usize) -> usize {
        if cfg!(target_arch = "x86_64") {
            word.rotate_right(17) ^ self.guard
        } else {
            word ^ self.guard
        }
    }

    /// Calls `found` with the index of each word that [is](Self::is) one.
    fn find_in(&self, words: &[usize], mut found: impl FnMut(usize)) {
        // Most pieces have none: a loop without branches tells.
        const PIECE: usize = 64;
        for (number, piece) in words.chunks(PIECE).enumerate() {
            let mut any = false;
            for range in &self.ranges {
                let (start, length) = (range.start, range.len());
                for &word in piece {
                    any |= word.wrapping_sub(start) < length;
                    any |= self.decode(word).wrapping_sub(start) < length;
                }
            }
            if any {
                let indexes = (0..piece.len()).filter(|&index| self.is(piece[index]));
                indexes.for_each(|index| found(number * PIECE + index));
            }
        }
    }
}

/// What glibc encodes addresses with: 0 where that cannot be told, so that nothing is seen twice.
fn guard() -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        let guard: usize;
        // SAFETY: glibc keeps it there, in each thread's control block (`tcbhead_t.pointer_guard`).
        unsafe {
            std::arch::asm!(
                "mov {}, fs:[0x30]", out(reg) guard, options(nostack, preserves_flags, readonly)
            );
        }
        guard
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let address = symbol(c"__pointer_chk_guard");
        // SAFETY: the loader's variable of this name, which it writes once, when the process starts.
        address.map_or(0, |address| unsafe { (address as *const usize).read() })
    }
}

/// The address of a symbol of the C library or the loader; some are for debuggers only.
fn symbol(name: &std::ffi::CStr) -> Option<usize> {
    // SAFETY: the name is a C string.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) } as usize;
    (address != 0).then_some(address)
}
