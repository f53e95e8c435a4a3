//! Reads memory of this process that may be unmapped at any moment: the kernel copies it, and says
//! where there is none.

use std::io;
use std::ops::Range;

use super::remnants::Wiped;

const WORD: usize = size_of::<usize>();

/// Copies words from an address on; returns how many there were.
pub(super) fn read(address: usize, words: &mut [usize]) -> io::Result<usize> {
    let local = libc::iovec {
        iov_base: words.as_mut_ptr().cast(),
        iov_len: size_of_val(words),
    };
    let remote = libc::iovec {
        iov_base: address as *mut _,
        iov_len: local.iov_len,
    };
    // SAFETY: `local` is all of `words`, and the kernel checks `remote`.
    let read = unsafe {
        libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0)
    };
    match usize::try_from(read) {
        Ok(bytes) => Ok(bytes / WORD),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// The word at this address, if there is memory.
pub(super) fn word(address: usize) -> Option<usize> {
    words(address).map(|[word]| word)
}

/// The words from this address on; `None` if one of them cannot be read.
pub(super) fn words<const COUNT: usize>(address: usize) -> Option<[usize; COUNT]> {
    let mut words = [0; COUNT];
    (read(address, &mut words).ok()? == COUNT).then_some(words)
}

/// The C string at this address, as far as it can be read; `None` if none of it can be.
pub(super) fn text(address: usize) -> Option<String> {
    /// Longer ones are none.
    const MOST: usize = 4096;
    let start = address & !(WORD - 1);
    let mut bytes = Vec::new();
    for place in (start..start.saturating_add(MOST)).step_by(8 * WORD) {
        let mut words = [0; 8];
        let read = read(place, &mut words).unwrap_or(0);
        bytes.extend(words[..read].iter().flat_map(|word| word.to_ne_bytes()));
        let text = bytes.get(address - start..)?;
        let end = text.iter().position(|&byte| byte == 0);
        if end.is_some() || read < words.len() {
            let text = &text[..end.unwrap_or(text.len())];
            return (!bytes.is_empty()).then(|| String::from_utf8_lossy(text).into_owned());
        }
    }
    None
}

/// Reads much, piece by piece.
pub(super) struct Reader {
    /// As much as the nearest caches hold.
    words: Wiped<usize>,
}

impl Reader {
    /// How many bytes are read at once.
    pub(super) const ROOM: usize = 64 << 10;
    /// Of how many ranges, as the kernel takes them.
    pub(super) const MOST: usize = 512;

    pub(super) fn new() -> Self {
        Self {
            words: Wiped::zeros(Self::ROOM / WORD),
        }
    }

    /// Shows `visit` all words in these ranges, in pieces with their addresses; passes over what is
    /// not mapped.
    ///
    /// # Errors
    ///
    /// The kernel does not let this process read its own memory in this way.
    pub(super) fn read(
        &mut self,
        ranges: &[Range<usize>],
        mut visit: impl FnMut(usize, &[usize]),
    ) -> io::Result<()> {
        let mut pieces: Wiped<Range<usize>> = ranges.iter().map(whole_words).rev().collect();
        while !pieces.is_empty() {
            let mut asked = Wiped::with_capacity(pieces.len().min(Self::MOST));
            let mut room = self.words.len() * WORD;
            while room > 0 && asked.len() < Self::MOST {
                let Some(piece) = pieces.pop() else { break };
                let end = piece.end.min(piece.start + room);
                room -= end - piece.start;
                if end < piece.end {
                    pieces.push(end..piece.end);
                }
                asked.push(piece.start..end);
            }
            let mut read = self.copy(&asked)?;
            let (mut offset, mut is_gap_passed) = (0, false);
            for piece in asked.iter() {
                let length = read.min(piece.len());
                read -= length;
                visit(
                    piece.start,
                    &self.words[offset / WORD..(offset + length) / WORD],
                );
                offset += length;
                let rest = piece.start + length;
                if length < piece.len() && !is_gap_passed {
                    // Not mapped; the next page may be.
                    is_gap_passed = true;
                    pieces.push(next_page(rest).min(piece.end)..piece.end);
                } else {
                    pieces.push(rest..piece.end);
                }
            }
            pieces.retain(|piece| !piece.is_empty());
        }
        Ok(())
    }

    /// Copies as much of these ranges as there is up to the first gap; returns how many bytes.
    fn copy(&mut self, ranges: &[Range<usize>]) -> io::Result<usize> {
        let local = libc::iovec {
            iov_base: self.words.as_mut_ptr().cast(),
            iov_len: size_of_val(&*self.words),
        };
        let remote = ranges.iter().map(|range| libc::iovec {
            iov_base: range.start as *mut _,
            iov_len: range.len(),
        });
        let remote: Wiped<_> = remote.collect();
        let count = remote.len() as libc::c_ulong;
        // SAFETY: `local` is all of the buffer, which is at least as long as the ranges together,
        // and the kernel checks `remote`.
        let read = unsafe {
            libc::process_vm_readv(
                libc::getpid(),
                &raw const local,
                1,
                remote.as_ptr(),
                count,
                0,
            )
        };
        match usize::try_from(read) {
            Ok(bytes) => Ok(bytes / WORD * WORD),
            Err(_) => match io::Error::last_os_error() {
                gap if gap.raw_os_error() == Some(libc::EFAULT) => Ok(0),
                error => Err(error),
            },
        }
    }
}

fn whole_words(range: &Range<usize>) -> Range<usize> {
    let start = range
        .start
        .checked_next_multiple_of(WORD)
        .unwrap_or(range.end);
    start..(range.end & !(WORD - 1)).max(start)
}

fn next_page(address: usize) -> usize {
    const PAGE: usize = 4096;
    (address & !(PAGE - 1)).saturating_add(PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_up_to_its_end() {
        let long = "a name that is longer than what is read at once, and that ends with a word of its own: end";
        let memory = std::ffi::CString::new(format!("12345678{long}")).expect("no 0 inside");
        let start = memory.as_ptr() as usize;
        for skipped in 0..long.len() + 8 {
            let expected = &memory.to_str().expect("text")[skipped..];
            assert_eq!(text(start + skipped).as_deref(), Some(expected));
        }
        assert_eq!(text(start + memory.as_bytes().len()).as_deref(), Some(""));
        assert_eq!(text(0), None);
    }

    #[test]
    fn gaps_are_passed_over() {
        const PAGES: usize = 40;
        const SIZE: usize = 4096;
        // SAFETY: new memory of the test's own.
        let start = unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            libc::mmap(std::ptr::null_mut(), PAGES * SIZE, access, flags, -1, 0)
        };
        assert_ne!(start, libc::MAP_FAILED);
        let start = start as usize;
        for page in 0..PAGES {
            // SAFETY: within that memory.
            unsafe { ((start + page * SIZE) as *mut usize).write(page + 1) };
        }
        let gone = [0, 7, 8, 39];
        for page in gone {
            // SAFETY: a part of that memory.
            unsafe { libc::munmap((start + page * SIZE) as *mut _, SIZE) };
        }
        let ranges = [
            start..start + 3 * SIZE,
            start + 3 * SIZE + 5..start + PAGES * SIZE,
        ];
        let mut seen = Vec::new();
        let read = Reader::new().read(&ranges, |_, words| {
            seen.extend(words.iter().copied().filter(|&word| word != 0));
        });
        read.expect("own memory");
        seen.sort_unstable();
        let expected = (0..PAGES).filter(|page| !gone.contains(page) && *page != 3);
        assert_eq!(seen, expected.map(|page| page + 1).collect::<Vec<_>>());
        // SAFETY: that memory, which nobody uses.
        unsafe { libc::munmap(start as *mut _, PAGES * SIZE) };
    }
}
