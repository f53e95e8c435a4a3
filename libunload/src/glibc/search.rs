//! Does anything that stays lead into what leaves?
//!
//! Some functions keep an address that they are given (the name for `openlog`, the buffer for
//! `setvbuf`), libraries keep callbacks, and whoever follows such an address once the library is
//! gone ends the process. So before the point of no return, after the finalizers, the places are
//! searched from which somebody will follow addresses by himself:
//!
//! | place | file |
//! |---|---|
//! | the data of every object that stays, the program's too | `objects` |
//! | each thread's thread-locals, and what the C library keeps of it (`struct pthread`) | `threads` |
//! | the arguments of system calls that threads wait in | `threads` |
//! | the environment, the open streams | `lists` |
//! | what the data of the libraries that stay leads to on the heap | `chains`, `values` |
//! | code that was made at run time and goes on into what leaves: what leads there counts, too | `made` |
//!
//! glibc encodes addresses of functions that it keeps (`PTR_MANGLE`), so each word is tried decoded
//! as well. What cannot lead anywhere is left out, by rules that are exact and stand where they
//! apply. What was there before any of the library ran is not about it, although it looks so: that
//! is the [`Baseline`].
//!
//! What no search sees: addresses that others encode, memory of foreign allocators, requests under
//! way in the kernel, the program's own heap. The book says so.

mod chains;
mod heaps;
mod lists;
mod made;
mod objects;
pub(super) mod threads;
mod values;
pub(super) mod wanted;

use std::collections::BTreeMap;
use std::io;

use self::wanted::{Baseline, Find, Holder, Wanted};
use super::memory::Reader;
use super::object::Object;
use super::remnants::Concealed;
use super::{lent, namespaces, signals, tasks};
use crate::outcome::PinReason;

/// Notes what there is when objects have just been mapped. Where nothing can be read, nothing is
/// noted.
pub(super) fn baseline(leaving: &[&Object], loaded: &[Object]) -> Baseline {
    let wanted = Wanted::new(leaving);
    let finds =
        tasks::numbers().and_then(|threads| static_places(&wanted, &threads, leaving, loaded));
    let finds = finds.unwrap_or_default().into_iter();
    let leads = made::find(&wanted, loaded);
    let leads = leads.unwrap_or_default().into_iter();
    let of_data = finds.map(|find| (find.place, find.word));
    let of_code = leads.map(|lead| (lead.place, lead.word));
    Baseline(of_data.chain(of_code).collect())
}

/// Looks for whatever leads into the objects that leave; `loaded` is all that is loaded.
pub(super) fn search(
    leaving: &[&Object],
    loaded: &[Object],
    baselines: &[&Baseline],
) -> Vec<PinReason> {
    /// An operator needs no more to find who it is.
    const MOST: usize = 8;
    let finds = match all_places(leaving, loaded, baselines) {
        Ok(finds) => finds,
        Err(error) => {
            return vec![PinReason::CannotVerify {
                what: format!("memory of this process: {error}"),
            }];
        }
    };
    let was_there = |find: &Find| Baseline::any_has(baselines, find.place, find.word);
    let new = finds
        .into_iter()
        .filter(|find| !was_there(find) && !lent::was_token(find.place));
    let mut holders = BTreeMap::new();
    for find in new {
        if holders.len() == MOST {
            break;
        }
        let (of, holder) = told(find.holder);
        holders.entry(of).or_insert(holder);
    }
    let reason = |holder| PinReason::AddressKept { holder };
    holders.into_values().map(reason).collect()
}

/// What is in places that are always there.
fn static_places(
    wanted: &Wanted,
    threads: &[libc::pid_t],
    leaving: &[&Object],
    loaded: &[Object],
) -> io::Result<Vec<Find>> {
    let mut finds = Vec::new();
    let mut reader = Reader::new();
    let staying = || {
        loaded
            .iter()
            .filter(|object| !wanted::is_among(object, leaving))
    };
    objects::search(wanted, staying(), &mut reader, &mut finds)?;
    threads::search_thread_locals(wanted, threads, leaving, staying(), &mut reader, &mut finds)?;
    Ok(finds)
}

fn all_places(
    leaving: &[&Object],
    loaded: &[Object],
    baselines: &[&Baseline],
) -> io::Result<Vec<Find>> {
    let others = namespaces::others(loaded);
    let all = [loaded, &others].concat();
    let mut wanted = Wanted::new(leaving);
    let mut leads = made::find(&wanted, &all)?;
    leads.retain(|lead| !Baseline::any_has(baselines, lead.place, lead.word));
    let mut made: Vec<_> = leads.into_iter().map(|lead| lead.code).collect();
    made.dedup();
    let mut finds = Vec::new();
    for (signal, handler) in signals::handlers_in(&made) {
        let holder = format!("the handler of signal {signal}, code made at run time,");
        finds.push(Find {
            place: 0,
            word: Concealed::new(handler),
            holder: Holder::other(handler, holder),
        });
    }
    wanted.add(made);
    let threads = tasks::numbers()?;
    finds.extend(static_places(&wanted, &threads, leaving, &all)?);
    // The loader leads into no code that was made at run time; what it mapped for a moment may have
    // been there.
    let own = Wanted::new(leaving);
    finds.retain(|find| own.is(find.word.get()) || !objects::is_of_loader(find.place));
    lists::search(&wanted, &mut finds)?;
    threads::search_system_calls(&wanted, &threads, &mut finds);
    chains::search(&wanted, leaving, loaded, &mut finds)?;
    Ok(finds)
}

/// What tells one holder from another, and who it is.
fn told(holder: Holder) -> (usize, String) {
    match holder {
        Holder::Data(place) => objects::holder(place),
        Holder::Heap(root) => {
            let (of, holder) = objects::holder(root);
            (of, format!("{holder}, by way of the heap,"))
        }
        Holder::Thread(thread) => (
            thread.unsigned_abs() as usize,
            format!("a thread-local of {}", tasks::label(thread)),
        ),
        Holder::Stream(stream) => (stream, format!("an open stream (FILE at {stream:#x})")),
        Holder::Other(other) => *other,
    }
}

/// Who has this address: `libc.so.6 (stdout+0x8)`.
pub(super) fn holder(address: usize) -> String {
    objects::holder(address).1
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::mem::MaybeUninit;
    use std::time::Duration;

    use super::super::{loader, object};
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
        const NOWHERE: usize = 0x7eee_eeee_0000;
        let loaded = loader::loaded();
        let part = object::ProgramHeader {
            p_type: libc::PT_LOAD,
            p_flags: libc::PF_R,
            p_offset: 0,
            p_vaddr: 0,
            p_paddr: 0,
            p_filesz: 8,
            p_memsz: 8,
            p_align: 8,
        };
        let nowhere = object::from_headers(CString::default(), NOWHERE, 0, &[part]);
        let (leaving, wanted) = ([&nowhere], Wanted::new(&[&nowhere]));
        let measured = |search: &mut dyn FnMut()| {
            let before = time();
            (0..SEARCHES).for_each(|_| search());
            (time() - before) / SEARCHES
        };
        let mut reader = Reader::new();
        let mut finds = Vec::new();
        let all = tasks::numbers().expect("the threads");
        let data = measured(&mut || {
            objects::search(&wanted, loaded.iter(), &mut reader, &mut finds).expect("own memory");
        });
        let threads = measured(&mut || {
            let staying = loaded.iter();
            threads::search_thread_locals(
                &wanted,
                &all,
                &leaving,
                staying,
                &mut reader,
                &mut finds,
            )
            .expect("own memory");
        });
        let lists = measured(&mut || lists::search(&wanted, &mut finds).expect("own memory"));
        let calls = measured(&mut || threads::search_system_calls(&wanted, &all, &mut finds));
        let code = measured(&mut || {
            let made = made::find(&wanted, &loaded).expect("own memory");
            assert!(made.is_empty() && namespaces::others(&loaded).is_empty());
        });
        assert!(finds.iter().all(|find| wanted.is(find.word.get())));
        eprintln!(
            "measured: {code:?} for code of nobody, {data:?} for the data of {} objects, {threads:?} for thread-locals, {lists:?} for lists,              {calls:?} for system calls",
            loaded.len()
        );
    }
}
