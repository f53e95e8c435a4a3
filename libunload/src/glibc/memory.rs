//! Reads memory of this process that may be unmapped at any moment: the kernel copies it, and says
//! where there is none.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::remnants::Wiped;

const WORD: usize = size_of::<usize>();

/// Copies words from an address on; returns how many there were.
pub(super) fn read(address: usize, words: &mut [usize]) -> io::Result<usize> {
    copy(&[part(address, size_of_val(words))], words)
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
    /// The kernel lets this process read its own memory neither by the call for it nor as a file.
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
            let parts: Wiped<_> = asked
                .iter()
                .map(|range| part(range.start, range.len()))
                .collect();
            let mut read = copy(&parts, &mut self.words)? * WORD;
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
}

/// Copies whole words of these parts of memory, up to the first gap; returns how many. There is at
/// least as much room.
fn copy(parts: &[libc::iovec], words: &mut [usize]) -> io::Result<usize> {
    match copy_by_call(parts, words) {
        // What confines a process may not have the call, or keep it for debuggers.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            copy_from_file(parts, words).map_err(|_| error)
        }
        copied => copied,
    }
}

fn copy_by_call(parts: &[libc::iovec], words: &mut [usize]) -> io::Result<usize> {
    let room = part(words.as_mut_ptr() as usize, size_of_val(words));
    let count = parts.len() as libc::c_ulong;
    // SAFETY: the room is all of `words`, and the kernel checks the parts.
    let read = unsafe {
        libc::process_vm_readv(libc::getpid(), &raw const room, 1, parts.as_ptr(), count, 0)
    };
    match usize::try_from(read) {
        Ok(bytes) => Ok(bytes / WORD),
        Err(_) => match io::Error::last_os_error() {
            gap if gap.raw_os_error() == Some(libc::EFAULT) => Ok(0),
            error => Err(error),
        },
    }
}

/// The same. The file is opened each time: one that was open before `fork` is the memory of the
/// parent.
fn copy_from_file(parts: &[libc::iovec], words: &mut [usize]) -> io::Result<usize> {
    let file = File::open("/proc/self/mem")?;
    // SAFETY: bytes may be written to as words.
    let (_, room, _) = unsafe { words.align_to_mut::<u8>() };
    let mut copied = 0;
    for part in parts {
        let end = copied + part.iov_len;
        let before = (part.iov_base as usize).wrapping_sub(copied);
        while copied < end {
            match file.read_at(&mut room[copied..end], before.wrapping_add(copied) as u64) {
                Ok(count) if count > 0 => copied += count,
                // A gap.
                _ => return Ok(copied / WORD),
            }
        }
    }
    Ok(copied / WORD)
}

fn part(start: usize, length: usize) -> libc::iovec {
    libc::iovec {
        iov_base: start as *mut _,
        iov_len: length,
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
