//! Addresses that a library lends to the C library or the kernel, and that can be taken back
//! exactly.
//!
//! | function | keeps | what is done |
//! |---|---|---|
//! | `putenv` | the string | before the library is unmapped a copy takes its place in the environment |
//! | `openlog` | the name of the program | it gets a copy from the beginning |
//! | `strtok` | where it goes on | it is made to forget that, if it is in the library |
//! | `sigaltstack` | the stack for signal handlers | taken back from the thread that unloads; others keep the library |
//!
//! What else is kept is found by [`search`](super::search), which has the list of such functions.
//!
//! Copies are kept for good, each text once: nobody tells when the last reader is done. They stand
//! in a list that only grows, so that nobody waits for anybody.

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use once_cell::race::OnceBox;

use super::object::Object;
use super::search::wanted::ENVIRONMENT;
use super::{ledger, memory, owners, tasks};
use crate::outcome::PinReason;

/// A text that is kept for good, and the next one.
struct Copy {
    text: CString,
    next: OnceBox<Self>,
}

/// The copy of this text.
fn copy_of(text: &CStr) -> *const c_char {
    static FIRST: OnceBox<Copy> = OnceBox::new();
    let mut place = &FIRST;
    loop {
        // It is another's if that was entered meanwhile.
        let copy = place.get_or_init(|| {
            Box::new(Copy {
                text: text.to_owned(),
                next: OnceBox::new(),
            })
        });
        if copy.text.as_c_str() == text {
            return copy.text.as_ptr();
        }
        place = &copy.next;
    }
}

unsafe extern "C" {
    // `libc` declares the text as one that is changed.
    fn putenv(text: *const c_char) -> c_int;
    fn strtok(text: *mut c_char, separators: *const c_char) -> *mut c_char;
}

/// Puts copies in the place of variables of the environment that are in these ranges; returns their
/// names.
pub(super) fn take_back_variables(ranges: &[Range<usize>]) -> Vec<String> {
    let mut names = Vec::new();
    for text in variables() {
        if !ranges.iter().any(|range| range.contains(&text)) {
            continue;
        }
        // SAFETY: who put it there promised a C string, and the library is still mapped.
        let text = unsafe { CStr::from_ptr(text as *const c_char) };
        // SAFETY: the copy stays for good. glibc replaces the variable of that name, under its
        // lock.
        if unsafe { putenv(copy_of(text)) } == 0 {
            let name = text.to_bytes().split(|&byte| byte == b'=').next();
            names.push(String::from_utf8_lossy(name.unwrap_or_default()).into_owned());
        }
    }
    names
}

/// Where the variables of the environment stand.
pub(super) fn variables() -> Vec<usize> {
    /// More are not looked at.
    const MOST: usize = 1 << 16;
    let mut all = Vec::new();
    let mut place = ENVIRONMENT.address().and_then(memory::word).unwrap_or(0);
    let mut words = [0; 128];
    while place != 0 && all.len() < MOST {
        let read = memory::read(place, &mut words).unwrap_or(0);
        let variables = words[..read].iter().take_while(|&&word| word != 0);
        let count = all.len();
        all.extend(variables);
        if read == 0 || all.len() - count < read {
            break;
        }
        place += read * size_of::<usize>();
    }
    all
}

/// Stands in for `openlog`.
///
/// # Safety
///
/// As for `openlog`.
pub(super) unsafe extern "C" fn open_log(name: *const c_char, options: c_int, facility: c_int) {
    forget_name_for_log();
    let name = if let Some(ledger) = ledger::of_address(name as usize) {
        ledger.with(|entries| entries.lent.insert(OPENLOG));
        // SAFETY: the caller passes a C string.
        copy_of(unsafe { CStr::from_ptr(name) })
    } else {
        name
    };
    // SAFETY: the caller's promise; the copy stays for good.
    unsafe { libc::openlog(name, options, facility) };
}

/// Stands in for `closelog`.
///
/// # Safety
///
/// As for `closelog`.
pub(super) unsafe extern "C" fn close_log() {
    forget_name_for_log();
    // SAFETY: the caller's promise.
    unsafe { libc::closelog() };
}

const OPENLOG: &str = "openlog";

fn forget_name_for_log() {
    for ledger in ledger::all() {
        ledger.with(|entries| entries.lent.remove(OPENLOG));
    }
}

/// A thread whose signal handlers run on a stack in a library.
struct Stack {
    thread: AtomicI32,
    start: AtomicUsize,
}

/// How many there are room for.
const STACKS: usize = 64;

static IN_LIBRARIES: [Stack; STACKS] = [const {
    Stack {
        thread: AtomicI32::new(0),
        start: AtomicUsize::new(0),
    }
}; STACKS];
/// How many found no room: of those nothing is known.
static UNKNOWN: AtomicUsize = AtomicUsize::new(0);

/// Where it stands which threads have such stacks.
pub(super) fn places() -> Range<usize> {
    let start = &raw const IN_LIBRARIES as usize;
    start..start + size_of_val(&IN_LIBRARIES)
}

/// Stands in for `sigaltstack`. It may be called in signal handlers, so it takes no lock.
///
/// # Safety
///
/// As for `sigaltstack`.
pub(super) unsafe extern "C" fn set_signal_stack(
    new: *const libc::stack_t,
    old: *mut libc::stack_t,
) -> c_int {
    // SAFETY: the caller passes a stack or null. It is copied first: `old` may be the same place.
    let asked = unsafe { new.as_ref() }.copied();
    // SAFETY: the caller's promise.
    let failed = unsafe { libc::sigaltstack(new, old) };
    if let (0, Some(stack)) = (failed, asked) {
        let is_on = stack.ss_flags & libc::SS_DISABLE == 0;
        let start = stack.ss_sp as usize;
        note_stack(if is_on && owners::of(start).is_some() {
            start
        } else {
            0
        });
    }
    failed
}

/// Notes where this thread's stack for signal handlers begins, if that is in a library; else 0.
fn note_stack(start: usize) {
    let thread = tasks::current_id();
    let own = IN_LIBRARIES
        .iter()
        .find(|stack| stack.thread.load(Ordering::Acquire) == thread);
    let free = || {
        IN_LIBRARIES.iter().find(|stack| {
            let taken = (Ordering::AcqRel, Ordering::Relaxed);
            let is_taken = stack.thread.compare_exchange(0, thread, taken.0, taken.1);
            is_taken.is_ok()
        })
    };
    match own {
        Some(stack) if start == 0 => {
            stack.start.store(0, Ordering::Release);
            stack.thread.store(0, Ordering::Release);
        }
        Some(stack) => stack.start.store(start, Ordering::Release),
        None if start == 0 => {}
        None => match free() {
            Some(stack) => stack.start.store(start, Ordering::Release),
            None => {
                UNKNOWN.fetch_add(1, Ordering::AcqRel);
            }
        },
    }
}

/// Takes the stack for signal handlers back from this thread if it is in one of these objects, and
/// says which other threads have one there.
pub(super) fn take_back_signal_stacks(leaving: &[&Object]) -> Vec<PinReason> {
    let is_leaving = |start: usize| leaving.iter().any(|object| object.range().contains(&start));
    let mut reasons = Vec::new();
    for stack in &IN_LIBRARIES {
        let thread = stack.thread.load(Ordering::Acquire);
        let start = stack.start.load(Ordering::Acquire);
        if thread == 0 || !is_leaving(start) {
            continue;
        }
        if thread == tasks::current_id() {
            // SAFETY: all zeros is a value of this plain structure.
            let mut none = unsafe { MaybeUninit::<libc::stack_t>::zeroed().assume_init() };
            none.ss_flags = libc::SS_DISABLE;
            // SAFETY: handlers run on the thread's own stack then.
            if unsafe { libc::sigaltstack(&raw const none, ptr::null_mut()) } == 0 {
                note_stack(0);
                if let Some(ledger) = ledger::of_address(start) {
                    ledger.with(|entries| entries.lent.insert("sigaltstack"));
                }
                continue;
            }
        } else if !tasks::exists(thread) {
            stack.start.store(0, Ordering::Release);
            stack.thread.store(0, Ordering::Release);
            continue;
        }
        reasons.push(PinReason::AddressKept {
            holder: format!("the stack for signal handlers of {}", tasks::label(thread)),
        });
    }
    if UNKNOWN.load(Ordering::Acquire) > 0 && !leaving.is_empty() {
        reasons.push(PinReason::CannotVerify {
            what: "stacks for signal handlers: libraries have set up too many".to_owned(),
        });
    }
    reasons
}

/// Whether it was `strtok` that had something at this place, which it has forgotten now: nobody
/// else goes on with a text of a library that goes.
pub(super) fn was_token(place: usize) -> bool {
    // SAFETY: an empty text has no token, so nothing is written to it.
    unsafe { strtok(copy_of(c"").cast_mut(), c" ".as_ptr()) };
    memory::word(place) == Some(copy_of(c"") as usize)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn each_text_is_copied_once_by_however_many_at_once() {
        let copies = || {
            let text = |number: usize| CString::new(format!("COPIED={}", number % 50));
            let texts = (0..100).map(|number| text(number).expect("no zero inside"));
            let copy = |text: CString| {
                let copy = copy_of(&text);
                // SAFETY: copies stay for good.
                assert_eq!(unsafe { CStr::from_ptr(copy) }, &*text);
                copy as usize
            };
            texts.map(copy).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(copies)).collect();
        let expected = copies();
        assert_eq!(expected[..50], expected[50..]);
        for thread in threads {
            assert_eq!(thread.join().expect("no panic"), expected);
        }
    }
}
