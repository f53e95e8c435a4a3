//! Looks at the stack of a thread that waits in the kernel, without disturbing it.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::super::maps::Maps;
use super::super::memory;

/// Looks at stacks for traces of some code.
pub(super) struct Stacks<'a> {
    maps: Maps,
    text: &'a [Range<usize>],
    /// Reused: it would be zeroed for each thread.
    words: Vec<usize>,
}

/// Where a thread is that waits in a system call.
pub(super) enum Waiting {
    /// It provably has none of the code on its stack.
    Outside,
    /// The code itself makes the system call.
    InTheCode,
}

/// What the kernel tells of a thread that waits in a system call.
#[derive(PartialEq, Eq)]
struct Call {
    /// All of it.
    text: String,
    stack_pointer: usize,
    program_counter: usize,
}

impl<'a> Stacks<'a> {
    pub(super) fn new(maps: Maps, text: &'a [Range<usize>]) -> Self {
        let words = vec![0; (16 << 10) / size_of::<usize>()];
        Self { maps, text, words }
    }

    /// The code that is looked for.
    pub(super) fn text(&self) -> &'a [Range<usize>] {
        self.text
    }

    /// Where the thread is, if it waits in the kernel and its stack tells.
    pub(super) fn waiting(&mut self, thread: libc::pid_t) -> Option<Waiting> {
        if !cfg!(target_arch = "x86_64") {
            return None;
        }
        let file = File::open(format!("/proc/self/task/{thread}/syscall")).ok()?;
        let call = Call::of(&file)?;
        let in_the_code = self
            .text
            .iter()
            .any(|range| range.contains(&call.program_counter));
        if !in_the_code && !self.is_clean(call.stack_pointer) {
            return None;
        }
        // A thread that went on while its stack was read may have been seen half before, half
        // after.
        (Call::of(&file)? == call).then_some(if in_the_code {
            Waiting::InTheCode
        } else {
            Waiting::Outside
        })
    }

    /// The stack, or whatever it is, that has this address.
    pub(super) fn at(&self, address: usize) -> Option<Range<usize>> {
        Some(self.maps.at(address).ok()??.range)
    }

    /// Whether no word from `start` to the end of the stack looks like an address to return to.
    fn is_clean(&mut self, start: usize) -> bool {
        let Some(stack) = self.at(start) else {
            return false;
        };
        is_clean(start..stack.end, self.text, &mut self.words)
    }
}

/// Whether no word of this part of a stack, up to its end, looks like an address to return to in
/// this code. Does nothing that a signal handler may not.
pub(super) fn is_clean(part: Range<usize>, text: &[Range<usize>], words: &mut [usize]) -> bool {
    /// Longer stacks are left to the unwind tables.
    const LONGEST: usize = 64 << 20;
    const WORD: usize = size_of::<usize>();
    let mut next = part.start & !(WORD - 1);
    if part.end - next > LONGEST {
        return false;
    }
    while next < part.end {
        let wanted = words.len().min((part.end - next) / WORD);
        let words = &mut words[..wanted];
        let read = memory::read(next, words).unwrap_or(0);
        let mut seen = words[..read].iter();
        if read == 0 || seen.any(|&word| is_return_address(word, text)) {
            return false;
        }
        next += read * WORD;
    }
    true
}

impl Call {
    /// Asks the kernel; `None` if the thread does not wait.
    fn of(file: &File) -> Option<Self> {
        // "number argument… stack-pointer program-counter", or "running".
        let mut text = [0; 512];
        let length = file.read_at(&mut text, 0).ok()?;
        let text = std::str::from_utf8(text.get(..length)?).ok()?.to_owned();
        let mut words = text.split_ascii_whitespace().rev();
        let mut address = || usize::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
        let program_counter = address()?;
        let stack_pointer = address()?;
        Some(Self {
            text,
            stack_pointer,
            program_counter,
        })
    }
}

/// Whether this is the address of an instruction in this code that follows a call.
fn is_return_address(word: usize, text: &[Range<usize>]) -> bool {
    /// The longest call instruction has seven bytes.
    const LONGEST: usize = 7;
    let Some(range) = text.iter().find(|range| range.contains(&word)) else {
        return false;
    };
    let length = LONGEST.min(word - range.start);
    let before = (word - length) as *const u8;
    // SAFETY: `length` bytes of code before `word`, all in the library, which is mapped.
    let before = unsafe { std::slice::from_raw_parts(before, length) };
    follows_call(before)
}

/// Whether these bytes of x86-64 code may end with a call: `e8` and four bytes, or `ff` with the
/// operation 2 in the byte after it and up to five bytes of address.
fn follows_call(code: &[u8]) -> bool {
    let from_end = |count: usize| code.len().checked_sub(count).map(|index| code[index]);
    let direct = from_end(5) == Some(0xe8);
    let indirect = (2..=7).any(|length| {
        from_end(length) == Some(0xff)
            && from_end(length - 1).is_some_and(|operand| (operand >> 3) & 7 == 2)
    });
    direct || indirect
}

#[cfg(test)]
mod tests {
    use super::follows_call;

    #[test]
    fn calls_are_recognised_by_the_bytes_before() {
        let call_relative = [0x90, 0x90, 0xe8, 1, 2, 3, 4];
        let call_through_slot = [0x90, 0xff, 0x15, 1, 2, 3, 4];
        let call_register = [0, 0, 0, 0, 0, 0xff, 0xd0];
        let call_member = [0, 0, 0, 0, 0xff, 0x50, 0x18];
        for code in [call_relative, call_through_slot, call_register, call_member] {
            assert!(follows_call(&code), "{code:02x?}");
        }
        assert!(!follows_call(&[0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x10]));
        assert!(!follows_call(&[]));
    }
}
