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
mod heaps;
mod lists;
mod objects;
mod threads;
pub(super) mod wanted;

use std::collections::BTreeMap;
use std::io;

use self::wanted::{Baseline, Find, Wanted};
use super::lent;
use super::memory::Reader;
use super::object::Object;
use crate::outcome::PinReason;

/// Notes what there is when objects have just been mapped. Where nothing can be read, nothing is noted.
pub(super) fn baseline(leaving: &[&Object], loaded: &[Object]) -> Baseline {
    let finds = static_places(&Wanted::new(leaving), leaving, loaded);
    let finds = finds.unwrap_or_default().into_iter();
    Baseline(finds.map(|find| (find.place, find.word)).collect())
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
    let staying = || {
        loaded
            .iter()
            .filter(|object| !wanted::is_among(object, leaving))
    };
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

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;
    use std::time::Duration;

    use super::super::object;
    use super::*;

    /// How long this thread has had a processor.
    fn time() -> Duration {
        let mut now = MaybeUninit::<libc::timespec>::zeroed();
        // SAFETY: the time is written to a variable of this function.
        let now = unsafe {
            libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, now.as_mut_ptr());
            now.assume_init()
        };
        Duration::new(
            now.tv_sec.unsigned_abs(),
            u32::try_from(now.tv_nsec).unwrap_or(0),
        )
    }

    /// Prints what a search costs; nothing depends on the times. Nothing leads to where nothing is.
    #[test]
    fn cost() {
        const SEARCHES: u32 = 100;
        let loaded = object::loaded();
        let mut nowhere = loaded[0].clone();
        (nowhere.range, nowhere.dynamic) = (8..16, 8);
        let (leaving, wanted) = ([&nowhere], Wanted::new(&[&nowhere]));
        let before = time();
        for _ in 0..SEARCHES {
            let finds = static_places(&wanted, &leaving, &loaded).expect("own memory");
            assert!(finds.iter().all(|find| wanted.is(find.word)));
        }
        let places = (time() - before) / SEARCHES;
        let before = time();
        for _ in 0..SEARCHES {
            lists::search(&wanted, &mut Vec::new()).expect("own memory");
            threads::search_system_calls(&wanted, &mut Vec::new());
        }
        let rest = (time() - before) / SEARCHES;
        eprintln!(
            "measured: {places:?} for data and thread-locals, {rest:?} for lists and system calls; {} objects",
            loaded.len()
        );
    }
}
