//! Where libraries are mapped.
//!
//! A [`search`](super::search) for addresses takes for one whatever looks so. Three kinds of words
//! can be kept from that by the place that a library has.
//!
//! What was freed keeps its content, and not everybody who gets it from `malloc` writes to all of
//! it. So addresses of a library outlast it: in what the loader noted of it, what the host did, and
//! what it had itself. Were the next library mapped in the same place, as the kernel would, then
//! they would lead into that one. So the place of a library that is gone is kept free for a while,
//! without access and without memory. Who calls into a library that is gone finds no other there,
//! either.
//!
//! A short text that is written over an address leaves the upper part of it: `"32"` makes
//! `0x7f…00_3233` of any address within 16 MiB. So libraries are not mapped there.
//!
//! The kernel maps what comes next right below, and whoever keeps in mind where that ends has the
//! library's first address. So the page below it is kept free, too.

use std::collections::VecDeque;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Mutex;

use super::object::page_size;
use crate::lock::lock;

/// Places that are kept free.
const PLACES: usize = 64;
/// Bytes of addresses in all of them, where there are enough.
const BYTES: usize = 1 << 30;

static VACATED: Mutex<Vacated> = Mutex::new(Vacated {
    places: VecDeque::new(),
    bytes: 0,
});

struct Vacated {
    /// The one that was left first comes first.
    places: VecDeque<Range<usize>>,
    bytes: usize,
}

/// Places that are not to be had until this is dropped.
pub(super) struct Occupied(Vec<Range<usize>>);

/// Sees to it that the loader, which takes what the kernel offers, is offered a good place for so
/// many bytes, as far as there is one.
pub(super) fn have_a_good_one_offered(bytes: usize) -> Occupied {
    /// More are not looked at.
    const ATTEMPTS: usize = 8;
    let most = most() / ATTEMPTS;
    let mut occupied = Occupied(Vec::new());
    let bytes = bytes.checked_next_multiple_of(page_size());
    let Some(bytes) = bytes.filter(|bytes| (1..=most).contains(bytes)) else {
        return occupied;
    };
    for _ in 0..ATTEMPTS {
        let Some(place) = occupy(0, bytes, 0) else {
            break;
        };
        if !has_texts(&place) {
            free(&place);
            break;
        }
        occupied.0.push(place);
    }
    occupied
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.iter().for_each(free);
    }
}

/// Keeps the page below a library free until the result is dropped; whoever was faster has it.
pub(super) fn keep_free_below(library: &Range<usize>) -> Occupied {
    let page = page_size();
    let below = library.start.checked_sub(page);
    let below = below.and_then(|below| occupy(below, page, libc::MAP_FIXED_NOREPLACE));
    Occupied(below.into_iter().collect())
}

/// Whether an address in this range is the upper part of another with two or three letters and an
/// end below.
fn has_texts(range: &Range<usize>) -> bool {
    [0xff_ffff, 0xffff_ffff].iter().any(|lower: &usize| {
        // Of the lowest and the highest letters, and of what is in between not only letters.
        let (least, most) = (0x2020_2020 & lower >> 8, 0x7e7e_7e7e & lower >> 8);
        let first = (range.start & !lower) + least;
        let last = (range.start & !lower) + most;
        let next = first.saturating_add(lower + 1);
        (range.start <= last && first < range.end) || next < range.end
    })
}

/// Keeps these pages free, in which nothing is mapped any more, and gives up who was first where
/// there are too many. Whoever was faster has them.
pub(super) fn keep_free(place: Range<usize>) {
    let most = most();
    if place.len() > most || occupy(place.start, place.len(), libc::MAP_FIXED_NOREPLACE).is_none() {
        return;
    }
    let mut vacated = lock(&VACATED);
    vacated.bytes += place.len();
    vacated.places.push_back(place);
    while vacated.places.len() > PLACES || vacated.bytes > most {
        let Some(first) = vacated.places.pop_front() else {
            break;
        };
        vacated.bytes -= first.len();
        free(&first);
    }
}

/// How many bytes of addresses are spared: a small part of what there is (`ulimit -v`).
fn most() -> usize {
    const PART: u64 = 16;
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: the kernel writes to a variable of this function.
    if unsafe { libc::getrlimit(libc::RLIMIT_AS, limit.as_mut_ptr()) } != 0 {
        return 0;
    }
    // SAFETY: it was written.
    let part = unsafe { limit.assume_init() }.rlim_cur / PART;
    usize::try_from(part).map_or(BYTES, |part| part.min(BYTES))
}

/// Maps pages so that nobody can use them, here or, at 0, anywhere; where something is mapped
/// already, nothing happens.
fn occupy(start: usize, bytes: usize, flags: c_int) -> Option<Range<usize>> {
    let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let wanted = start as *mut c_void;
    // SAFETY: the kernel replaces nothing.
    let mapped = unsafe { libc::mmap(wanted, bytes, libc::PROT_NONE, flags, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return None;
    }
    let place = mapped as usize..mapped as usize + bytes;
    if start != 0 && place.start != start {
        // Before Linux 4.17 the place is a wish.
        free(&place);
        return None;
    }
    Some(place)
}

fn free(place: &Range<usize>) {
    // SAFETY: these pages were mapped here, and nobody else knows of them.
    unsafe { libc::munmap(place.start as *mut c_void, place.len()) };
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::glibc::maps::Maps;
    use crate::tests::fixture::in_process_of;

    /// A page in which nothing is mapped, and where nobody else maps anything.
    fn page() -> Range<usize> {
        let page = occupy(0, page_size(), 0).expect("a place");
        free(&page);
        page
    }

    fn is_mapped(place: &Range<usize>) -> bool {
        let maps = Maps::open().expect("the mappings");
        maps.at(place.start).expect("a mapping").is_some()
    }

    #[test]
    fn places_are_kept_free_until_there_are_too_many() {
        let name = "glibc::places::tests::places_are_kept_free_until_there_are_too_many";
        in_process_of(name, || {
            let first = page();
            keep_free(first.clone());
            assert!(is_mapped(&first));
            for _ in 1..PLACES {
                let next = page();
                assert_ne!(next, first);
                keep_free(next);
            }
            assert!(is_mapped(&first));
            keep_free(page());
            assert!(!is_mapped(&first));
        });
    }

    #[test]
    fn who_was_faster_keeps_a_place() {
        static OCCUPIED: [u8; 1 << 14] = [1; 1 << 14];
        let start = (OCCUPIED.as_ptr() as usize).next_multiple_of(page_size());
        keep_free(start..start + page_size());
        assert!(OCCUPIED.iter().all(|&byte| std::hint::black_box(byte) == 1));
        assert!(
            lock(&VACATED)
                .places
                .iter()
                .all(|place| place.start != start)
        );
    }

    #[test]
    fn places_where_texts_are_mistaken_for_addresses() {
        const BASE: usize = 0x7f12_3400_0000;
        let has = |start: usize, bytes: usize| has_texts(&(BASE + start..BASE + start + bytes));
        assert!(has(0x3000, 0x1000), "\"00\"");
        assert!(has(0x2000, 0x1000), "\" !\"");
        assert!(has(0xff_f000, 0x10_0000), "past the end of 16 MiB");
        assert!(has(0x10_0000, 0x100_0000), "all of 16 MiB");
        assert!(!has(0x8000, 0x1000));
        assert!(!has(0x10_0000, 0xe0_0000));
        let text = |three: usize| (BASE & !0xffff_ffff) + three;
        assert!(has_texts(&(text(0x41_0000)..text(0x42_0000))), "\"A  \"");
        assert!(!has_texts(&(text(0x141_8000)..text(0x142_0000))));
    }

    #[test]
    fn a_good_place_is_offered() {
        const BYTES: usize = 10 << 20;
        let occupied = have_a_good_one_offered(BYTES);
        let place = occupy(0, BYTES, 0).expect("a place");
        // Other tests map memory, too; and the last of eight attempts may fail.
        eprintln!(
            "measured: {} bad ones, {}",
            occupied.0.len(),
            has_texts(&place)
        );
        free(&place);
        assert!(occupied.0.iter().all(has_texts));
    }

    #[test]
    fn nothing_is_mapped_right_below() {
        let two = occupy(0, 2 * page_size(), 0).expect("a place");
        let [lower, upper] = [two.start, two.start + page_size()].map(|s| s..s + page_size());
        free(&lower);
        let below = keep_free_below(&upper);
        let has_lower = below.0 == [lower];
        // Where another test was faster, it has the page.
        assert!(has_lower || below.0.is_empty());
        drop(below);
        free(&upper);
    }
}
