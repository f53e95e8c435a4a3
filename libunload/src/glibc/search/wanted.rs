//! What is looked for, and what was found.

use std::collections::BTreeMap;
use std::ops::Range;

use smallvec::SmallVec;

use super::super::object::Object;

/// What is looked for.
pub(in super::super) struct Wanted {
    ranges: SmallVec<[Range<usize>; 2]>,
    /// What glibc encodes addresses with.
    guard: usize,
}

/// Where an address was found, and who has it there.
pub(super) struct Find {
    pub(super) place: usize,
    pub(super) word: usize,
    /// What tells one holder from another: its address, say.
    pub(super) of: usize,
    pub(super) holder: String,
}

/// What looked like addresses of a library before any of it ran: the words, by their places.
#[derive(Default)]
pub(in super::super) struct Baseline(pub(super) BTreeMap<usize, usize>);

impl Wanted {
    pub(super) fn new(leaving: &[&Object]) -> Self {
        Self {
            ranges: leaving.iter().map(|object| object.range.clone()).collect(),
            guard: guard(),
        }
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
pub(in super::super) fn symbol(name: &std::ffi::CStr) -> Option<usize> {
    // SAFETY: the name is a C string.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) } as usize;
    (address != 0).then_some(address)
}

/// Whether an object is one of those that leave.
pub(super) fn is_among(object: &Object, leaving: &[&Object]) -> bool {
    leaving.iter().any(|other| other.dynamic == object.dynamic)
}
