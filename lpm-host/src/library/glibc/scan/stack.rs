//! Looks at the stack of a thread that waits in the kernel, without disturbing it.

use std::fs;
use std::ops::Range;

use super::super::maps;

/// A thread that waits in a system call.
#[derive(PartialEq, Eq)]
struct Waiting {
    /// All that the kernel tells of the call.
    call: String,
    stack_pointer: usize,
    program_counter: usize,
}

/// Whether the thread waits in the kernel and provably has none of this code on its stack.
pub(super) fn waits_outside(thread: libc::pid_t, text: &[Range<usize>]) -> bool {
    if !cfg!(target_arch = "x86_64") {
        return false;
    }
    let Some(waiting) = Waiting::of(thread) else {
        return false;
    };
    let outside = !text
        .iter()
        .any(|range| range.contains(&waiting.program_counter))
        && stack_is_clean(waiting.stack_pointer, text);
    // A thread that went on while its stack was read may have been seen half before, half after.
    outside && Waiting::of(thread).is_some_and(|again| again == waiting)
}

impl Waiting {
    /// Asks the kernel; `None` if the thread does not wait.
    fn of(thread: libc::pid_t) -> Option<Self> {
        // "number argument… stack-pointer program-counter", or "running".
        let call = fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).ok()?;
        let mut words = call.split_ascii_whitespace().rev();
        let mut address = || usize::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
        let program_counter = address()?;
        let stack_pointer = address()?;
        Some(Self {
            stack_pointer,
            program_counter,
            call,
        })
    }
}

/// Whether no word from `start` to the end of the stack looks like an address to return to.
fn stack_is_clean(start: usize, text: &[Range<usize>]) -> bool {
    /// Longer stacks are left to the unwind tables.
    const LONGEST: usize = 64 << 20;
    const WORD: usize = size_of::<usize>();
    let Ok(mappings) = maps::mappings() else {
        return false;
    };
    let Some(stack) = mappings
        .iter()
        .find(|mapping| mapping.range.contains(&start))
    else {
        return false;
    };
    let mut next = start & !(WORD - 1);
    if stack.range.end - next > LONGEST {
        return false;
    }
    let mut words = vec![0_usize; (64 << 10) / WORD];
    while next < stack.range.end {
        let wanted = words.len().min((stack.range.end - next) / WORD);
        let read = read_words(next, &mut words[..wanted]);
        if read == 0
            || words[..read]
                .iter()
                .any(|&word| is_return_address(word, text))
        {
            return false;
        }
        next += read * WORD;
    }
    true
}

/// Copies memory that may be unmapped at any moment; returns how many words there were.
fn read_words(address: usize, words: &mut [usize]) -> usize {
    let local = libc::iovec {
        iov_base: words.as_mut_ptr().cast(),
        iov_len: size_of_val(words),
    };
    let remote = libc::iovec {
        iov_base: address as *mut _,
        iov_len: local.iov_len,
    };
    // SAFETY: `local` is all of `words`, and the kernel checks `remote`.
    let read = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
    usize::try_from(read).unwrap_or(0) / size_of::<usize>()
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
