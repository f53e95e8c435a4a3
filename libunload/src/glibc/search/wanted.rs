//! What is looked for, and what was found.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use smallvec::SmallVec;

use super::super::object::Object;
use super::super::remnants::Concealed;

/// What is looked for.
pub(in super::super) struct Wanted {
    ranges: SmallVec<[Range<usize>; 2]>,
    /// What glibc encodes addresses with.
    guard: usize,
}

/// Where an address was found, and who has it there.
pub(super) struct Find {
    pub(super) place: usize,
    pub(super) word: Concealed,
    pub(super) holder: Holder,
}

/// Who has an address; only those that an operator is told of are looked up.
#[derive(Clone)]
pub(super) enum Holder {
    /// The data at this place.
    Data(usize),
    /// The heap, which the data at this place leads to.
    Heap(usize),
    /// The thread of this number.
    Thread(libc::pid_t),
    /// The open stream at this place.
    Stream(usize),
    /// Somebody else; a number tells one from another.
    Other(Box<(usize, String)>),
}

impl Holder {
    pub(super) fn other(number: usize, who: String) -> Self {
        Self::Other(Box::new((number, who)))
    }
}

/// What looked like addresses of a library before any of it ran: the words, by their places.
#[derive(Default)]
pub(in super::super) struct Baseline(pub(super) BTreeMap<usize, Concealed>);

impl Baseline {
    /// Whether one of these has this word in this place.
    pub(super) fn any_has(baselines: &[&Self], place: usize, word: Concealed) -> bool {
        let mut baselines = baselines.iter();
        baselines.any(|baseline| baseline.0.get(&place) == Some(&word))
    }
}

impl Wanted {
    pub(super) fn new(leaving: &[&Object]) -> Self {
        Self {
            ranges: leaving.iter().map(|object| object.range()).collect(),
            guard: guard(),
        }
    }

    /// Counts these ranges to what leaves.
    pub(super) fn add(&mut self, ranges: impl IntoIterator<Item = Range<usize>>) {
        self.ranges.extend(ranges);
    }

    /// Whether this is an address of what leaves.
    pub(super) fn has(&self, address: usize) -> bool {
        self.ranges.iter().any(|range| range.contains(&address))
    }

    /// Whether this word is such an address, or one that glibc has encoded.
    pub(super) fn is(&self, word: usize) -> bool {
        self.has(word) || self.has(self.decode(word))
    }

    /// What glibc has encoded so.
    pub(super) fn decode(&self, word: usize) -> usize {
        if cfg!(target_arch = "x86_64") {
            word.rotate_right(17) ^ self.guard
        } else {
            word ^ self.guard
        }
    }

    /// Calls `found` with the index of each word that [is](Self::is) one.
    pub(super) fn find_in(&self, words: &[usize], mut found: impl FnMut(usize)) {
        // Most pieces have none.
        const PIECE: usize = 256;
        for (number, piece) in words.chunks(PIECE).enumerate() {
            if self.has_any(piece) {
                let indexes = (0..piece.len()).filter(|&index| self.is(piece[index]));
                indexes.for_each(|index| found(number * PIECE + index));
            }
        }
    }

    fn has_any(&self, words: &[usize]) -> bool {
        by_fours(
            #[inline(always)]
            || self.has_any_one_by_one(words),
        )
    }

    #[inline(always)]
    fn has_any_one_by_one(&self, words: &[usize]) -> bool {
        // Without branches.
        let mut any = false;
        for range in &self.ranges {
            let (start, length) = (range.start, range.len());
            for &word in words {
                any |= word.wrapping_sub(start) < length;
                any |= self.decode(word).wrapping_sub(start) < length;
            }
        }
        any
    }

    /// The addresses of what leaves in these words, each with the number of the byte that it begins
    /// at. Not encoded ones.
    pub(super) fn anywhere_in(&self, words: &[usize]) -> impl Iterator<Item = (usize, usize)> {
        let words = if self.has_anywhere(words) { words } else { &[] };
        let last = words.last().copied();
        let whole = (words.len().saturating_sub(1), 0);
        let all = words.windows(2).enumerate().flat_map(|(number, pair)| {
            let each = move |shift| ((number, shift), shifted(pair[0], pair[1], shift));
            (0..size_of::<usize>()).map(each)
        });
        all.chain(last.map(|word| (whole, word)))
            .filter(|(_, word)| self.has(*word))
            .map(|((number, shift), word)| (number * size_of::<usize>() + shift, word))
    }

    fn has_anywhere(&self, words: &[usize]) -> bool {
        by_fours(
            #[inline(always)]
            || {
                let mut any = false;
                for range in &self.ranges {
                    let (start, length) = (range.start, range.len());
                    for shift in 0..size_of::<usize>() {
                        for pair in words.windows(2) {
                            let address = shifted(pair[0], pair[1], shift);
                            any |= address.wrapping_sub(start) < length;
                        }
                    }
                    any |= words.last().is_some_and(|word| range.contains(word));
                }
                any
            },
        )
    }
}

/// What begins so many bytes after the first of two words.
fn shifted(first: usize, second: usize, bytes: usize) -> usize {
    match bytes {
        0 => first,
        _ => first >> (8 * bytes) | second << (usize::BITS as usize - 8 * bytes),
    }
}

/// Calls this compiled for a processor that compares four words at once, where this is one.
#[inline(always)]
fn by_fours(compare: impl Fn() -> bool) -> bool {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[target_feature(enable = "avx2")]
        fn call(compare: impl Fn() -> bool) -> bool {
            compare()
        }
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { call(compare) };
    }
    compare()
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
        // SAFETY: the loader's variable of this name, which it writes once, when the process
        // starts.
        address.map_or(0, |address| unsafe { (address as *const usize).read() })
    }
}

/// A symbol of the C library or the loader that was looked up once: both stay.
pub(in super::super) struct Known(&'static std::ffi::CStr, OnceLock<Option<usize>>);

impl Known {
    pub(in super::super) const fn new(name: &'static std::ffi::CStr) -> Self {
        Self(name, OnceLock::new())
    }

    pub(in super::super) fn address(&self) -> Option<usize> {
        *self.1.get_or_init(|| symbol(self.0))
    }
}

/// The variables of the environment.
pub(in super::super) static ENVIRONMENT: Known = Known::new(c"environ");

/// The loader's lists of what is loaded (`struct r_debug`), for debuggers.
pub(in super::super) static FOR_DEBUGGERS: Known = Known::new(c"_r_debug");

/// The first of the open streams.
pub(super) static STREAMS: Known = Known::new(c"_IO_list_all");

/// The address of a symbol of the C library or the loader; some are for debuggers only.
pub(in super::super) fn symbol(name: &std::ffi::CStr) -> Option<usize> {
    // SAFETY: the name is a C string.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) } as usize;
    (address != 0).then_some(address)
}

/// Whether an object is one of those that leave.
pub(super) fn is_among(object: &Object, leaving: &[&Object]) -> bool {
    leaving
        .iter()
        .any(|other| other.dynamic() == object.dynamic())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where nothing says that they are at the place of a word, as in code.
    #[test]
    fn addresses_may_begin_at_any_byte() {
        let wanted = Wanted {
            ranges: SmallVec::from_iter([8..16, 0x7f00_1234_5000..0x7f00_1234_8000]),
            guard: 0,
        };
        const WORDS: usize = 40;
        let found = |address: usize, at: usize| {
            let mut bytes = [0x55; (WORDS + 1) * size_of::<usize>()];
            bytes[at..at + size_of::<usize>()].copy_from_slice(&address.to_ne_bytes());
            let words = bytes.chunks_exact(size_of::<usize>());
            let words = words.map(|word| usize::from_ne_bytes(word.try_into().expect("a word")));
            let words: Vec<_> = words.take(WORDS).collect();
            wanted.anywhere_in(&words).collect::<Vec<_>>()
        };
        for at in 0..=(WORDS - 1) * size_of::<usize>() {
            assert_eq!(found(0x7f00_1234_7fff, at), [(at, 0x7f00_1234_7fff)]);
            assert_eq!(found(0x7f00_1234_8000, at), []);
        }
        assert_eq!(found(0x7f00_1234_5000, WORDS * size_of::<usize>()), []);
        assert_eq!(wanted.anywhere_in(&[]).count(), 0);
    }

    /// Wherever they are, and encoded too.
    #[test]
    fn addresses_are_found_among_others() {
        let (range, guard) = (0x7f00_1234_5000..0x7f00_1234_8000, 0x1234_5678_9abc_def0);
        let wanted = Wanted {
            ranges: SmallVec::from_iter([range.clone(), 8..16]),
            guard,
        };
        let encoded = |address: usize| match cfg!(target_arch = "x86_64") {
            true => (address ^ guard).rotate_left(17),
            false => address ^ guard,
        };
        let inside = [range.start, range.end - 1, 8, 15];
        let outside = [range.start - 1, range.end, 7, 16, 0, usize::MAX];
        for length in [1, 3, 255, 256, 257, 1000] {
            for place in [0, length / 2, length - 1] {
                let found = |word: usize| {
                    let mut words = vec![0xdead_beef_0000; length];
                    words[place] = word;
                    let mut found = Vec::new();
                    wanted.find_in(&words, |index| found.push(index));
                    let by_one = wanted.has_any_one_by_one(&words);
                    assert_eq!(by_one, wanted.has_any(&words));
                    found
                };
                for word in inside {
                    assert_eq!(found(word), [place]);
                    assert_eq!(found(encoded(word)), [place]);
                }
                for word in outside {
                    assert!(found(word).is_empty());
                    assert!(found(encoded(word)).is_empty());
                }
            }
        }
    }
}
