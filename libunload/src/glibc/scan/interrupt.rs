//! Interrupts a thread, which then walks its own stack by the unwind tables.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::super::frames;
use super::super::tasks::Status;
use super::hidden::{self, Interposed};
use super::stack;

/// What a walk found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// It got to the start of the thread without meeting the code.
    Outside,
    /// It met the code.
    Inside,
    /// It did not get to the start of the thread, or did not take place.
    Unknown,
}

/// Walks the stack of the current thread.
pub(super) fn walk_own_stack(text: &[Range<usize>]) -> Walk {
    let (mut inside, mut last) = (false, usize::MAX);
    frames::walk(&mut |address| {
        // An address to return to may be just after the last instruction of the code.
        inside |= text
            .iter()
            .any(|range| range.contains(&address) || range.end == address);
        last = address;
    });
    match (inside, last) {
        (true, _) => Walk::Inside,
        (false, 0) => Walk::Outside,
        _ => Walk::Unknown,
    }
}

/// Has another thread walk its stack. Only one thread may ask at a time. `stack_at` tells which
/// stack has an address.
pub(super) fn walk_stack_of(
    thread: libc::pid_t,
    text: &[Range<usize>],
    stack_at: impl Fn(usize) -> Option<Range<usize>>,
) -> Walk {
    // The unwinder sets itself up on its first use, which must not happen in a signal handler.
    walk_own_stack(&[]);
    let Some(signal) = claim_signal() else {
        return Walk::Unknown;
    };
    let blocked = blocked(thread);
    let blocks = |signal: c_int| blocked >> (signal - 1) & 1 == 1;
    let interposed = if !blocks(signal) {
        None
    } else if blocks(hidden::SIGNAL) {
        return Walk::Unknown;
    } else {
        match Interposed::new(answer) {
            Some(interposed) => Some(interposed),
            None => return Walk::Unknown,
        }
    };
    let send = || match &interposed {
        Some(_) => Interposed::send(thread),
        // SAFETY: no memory is involved; the signal has a handler, this module's.
        None => unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal) == 0 },
    };
    let mut question = Question {
        text,
        walks: unwinding_takes_no_locks(),
        stack: 0..0,
        stack_pointer: AtomicUsize::new(0),
    };
    let walk = ask(thread, &question, &send);
    let stack = match (walk, question.stack_pointer.load(Ordering::Relaxed)) {
        (Walk::Unknown, pointer) if pointer != 0 => stack_at(pointer),
        _ => None,
    };
    // It runs code without tables, made at run time perhaps. Then each word of its stack is looked
    // at instead.
    let Some(stack) = stack else { return walk };
    question.stack = stack;
    ask(thread, &question, &send)
}

/// Where one thread is asked.
struct Question<'a> {
    /// The code to look for.
    text: &'a [Range<usize>],
    /// Whether the unwind tables may be used.
    walks: bool,
    /// The stack of the thread, if each word of it is to be looked at.
    stack: Range<usize>,
    /// Answered where the tables do not lead to the start of the thread.
    stack_pointer: AtomicUsize,
}

/// Where one request stands. The upper half names the thread that is asked; the lower half counts
/// the requests, above the bits that say how far this one is.
static REQUEST: AtomicU64 = AtomicU64::new(IDLE);

/// What is asked. Valid from `ASKED` until an answer is there, or the request is taken back.
static QUESTION: AtomicPtr<Question<'static>> = AtomicPtr::new(ptr::null_mut());

/// How many answers there were. Who waits for one sleeps on this word (a futex).
static ANSWERS: AtomicU32 = AtomicU32::new(0);

const STAGE: u64 = 0b111;
const IDLE: u64 = 0;
const ASKED: u64 = 1;
const WALKING: u64 = 2;
const OUTSIDE: u64 = 3;
const INSIDE: u64 = 4;
const UNKNOWN: u64 = 5;

fn ask(thread: libc::pid_t, question: &Question<'_>, send: &impl Fn() -> bool) -> Walk {
    /// How long a thread that runs may take to notice the signal.
    const PATIENCE: Duration = Duration::from_millis(100);

    let count = (REQUEST.load(Ordering::Relaxed) + STAGE + 1) & 0xffff_ffff & !STAGE;
    let request = (u64::from(thread.unsigned_abs()) << 32) | count;
    // Lent without the compiler's help.
    QUESTION.store(ptr::from_ref(question).cast_mut().cast(), Ordering::Relaxed);
    REQUEST.store(request | ASKED, Ordering::Release);

    let sent = send();
    let asked = Instant::now();
    loop {
        // Read first: an answer that comes after a look at the request wakes at once.
        let answers = ANSWERS.load(Ordering::Acquire);
        match REQUEST.load(Ordering::Acquire) & STAGE {
            OUTSIDE => return Walk::Outside,
            INSIDE => return Walk::Inside,
            UNKNOWN => return Walk::Unknown,
            ASKED if !sent || asked.elapsed() > PATIENCE => {
                let (from, to) = (request | ASKED, request | IDLE);
                let taken_back =
                    REQUEST.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
                if taken_back.is_ok() {
                    return Walk::Unknown;
                }
            }
            // `WALKING`, too: `question` must stay until the walk is over, which does not wait for
            // anybody.
            _ => wait_for_another(answers, PATIENCE.saturating_sub(asked.elapsed())),
        }
    }
}

/// Sleeps until there are more answers than these, or about as long as this.
fn wait_for_another(answers: u32, limit: Duration) {
    /// Also when the limit is over: the answer is about to come.
    const SHORTEST: Duration = Duration::from_micros(100);
    let limit = limit.max(SHORTEST);
    let limit = libc::timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(0),
        tv_nsec: limit.subsec_nanos().into(),
    };
    let wait = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel reads the word and the limit, both of which outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            ANSWERS.as_ptr(),
            wait,
            answers,
            &raw const limit,
        )
    };
}

/// Wakes who waits for an answer. Touches nothing but the word, so that a signal handler may.
fn wake_who_waits() {
    ANSWERS.fetch_add(1, Ordering::Release);
    let wake = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel looks up who sleeps on the word, a static.
    unsafe { libc::syscall(libc::SYS_futex, ANSWERS.as_ptr(), wake, 1) };
}

/// The signal handler. Only touches what a signal handler may: atomics, and the unwinder, which
/// does not lock (see [`unwinding_takes_no_locks`]).
extern "C" fn answer(_signal: c_int, _info: *mut libc::siginfo_t, context: *mut c_void) {
    let request = REQUEST.load(Ordering::Acquire);
    // SAFETY: no preconditions.
    let thread = unsafe { libc::gettid() };
    if request & STAGE != ASKED || request >> 32 != u64::from(thread.unsigned_abs()) {
        return;
    }
    let walking = (request & !STAGE) | WALKING;
    let taken = REQUEST.compare_exchange(request, walking, Ordering::AcqRel, Ordering::Relaxed);
    if taken.is_err() {
        return;
    }
    // SAFETY: the address is that of this thread's own `errno`.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { errno.read() };
    // SAFETY: the request was taken from `ASKED` to `WALKING`, so that who asked keeps the
    // question.
    let question = unsafe { &*QUESTION.load(Ordering::Relaxed) };
    // SAFETY: the kernel passes the interrupted registers.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    let stage = match position(question, context) {
        Walk::Inside => INSIDE,
        Walk::Outside if !about_to_call(context, question.text) => OUTSIDE,
        _ => UNKNOWN,
    };
    REQUEST.store((request & !STAGE) | stage, Ordering::Release);
    wake_who_waits();
    // SAFETY: as above.
    unsafe { errno.write(before) };
}

/// Where the interrupted thread is, by the unwind tables or by all words of its stack.
fn position(question: &Question<'_>, context: &libc::ucontext_t) -> Walk {
    let (program_counter, stack_pointer) = interrupted_at(context);
    if question.stack.contains(&stack_pointer) {
        let inside = question
            .text
            .iter()
            .any(|range| range.contains(&program_counter));
        let rest = stack_pointer..question.stack.end;
        return match inside {
            true => Walk::Inside,
            false if stack::is_clean(rest, question.text, &mut [0; 512]) => Walk::Outside,
            false => Walk::Unknown,
        };
    }
    let walk = if question.walks {
        walk_own_stack(question.text)
    } else {
        Walk::Unknown
    };
    if walk == Walk::Unknown {
        question
            .stack_pointer
            .store(stack_pointer, Ordering::Relaxed);
    }
    walk
}

/// Where the thread was interrupted, and its stack pointer; 0 where an address to return to may be
/// elsewhere than on the stack.
fn interrupted_at(context: &libc::ucontext_t) -> (usize, usize) {
    #[cfg(target_arch = "x86_64")]
    {
        let register = |index: c_int| {
            let value = context.uc_mcontext.gregs[index.unsigned_abs() as usize];
            usize::try_from(value).unwrap_or(0)
        };
        (register(libc::REG_RIP), register(libc::REG_RSP))
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = context;
        (0, 0)
    }
}

/// Whether a register that does not outlive a call holds an address of the code: glibc, at the end
/// of a thread, may be about to call a destructor whose key was deleted a moment ago.
fn about_to_call(context: &libc::ucontext_t, text: &[Range<usize>]) -> bool {
    #[cfg(target_arch = "x86_64")]
    let registers = {
        use libc::{REG_R8, REG_R9, REG_R10, REG_R11, REG_RAX, REG_RCX, REG_RDI, REG_RDX, REG_RSI};
        let scratch = [
            REG_RAX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11,
        ];
        scratch.map(|index| context.uc_mcontext.gregs[index.unsigned_abs() as usize])
    };
    #[cfg(target_arch = "aarch64")]
    let registers = context.uc_mcontext.regs[..19].iter().copied();
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let registers = {
        // Nothing is unmapped there anyway, see `imports`.
        let _ = context;
        std::iter::empty::<u64>()
    };
    registers.into_iter().any(|value| {
        usize::try_from(value).is_ok_and(|value| text.iter().any(|range| range.contains(&value)))
    })
}

/// Whether the unwinder finds its tables without a lock, so that it may be used in a signal
/// handler: since glibc 2.35.
fn unwinding_takes_no_locks() -> bool {
    // SAFETY: the name is a C string.
    !unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_dl_find_object".as_ptr()) }.is_null()
}

/// The signals that the thread holds back, the first in the lowest bit. It would get them later, to
/// no use.
fn blocked(thread: libc::pid_t) -> u64 {
    let status = Status::of(thread);
    let mask = status.field("SigBlk:");
    mask.and_then(|mask| u64::from_str_radix(mask, 16).ok())
        .unwrap_or(0)
}

/// A real-time signal that nobody uses, handled by [`answer`] from now on: one that comes late must
/// find a handler, or it would end the process.
fn claim_signal() -> Option<c_int> {
    static CLAIMED: AtomicI32 = AtomicI32::new(0);
    let ours = answer as *const () as usize;
    let claimed = CLAIMED.load(Ordering::Relaxed);
    if claimed != 0 && handler(claimed) == Some(ours) {
        return Some(claimed);
    }
    let unused = (libc::SIGRTMIN()..=libc::SIGRTMAX())
        .rev()
        .find(|&signal| handler(signal) == Some(libc::SIG_DFL))?;
    // SAFETY: all zeros is a value of this plain structure.
    let mut action = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    action.sa_sigaction = ours;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    // SAFETY: `answer` is a handler of the three-argument kind, as the flags say.
    match unsafe { libc::sigaction(unused, &raw const action, ptr::null_mut()) } {
        0 => {
            CLAIMED.store(unused, Ordering::Relaxed);
            Some(unused)
        }
        _ => None,
    }
}

fn handler(signal: c_int) -> Option<usize> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: this only asks, and writes the answer into `action`.
    match unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } {
        // SAFETY: it was written.
        0 => Some(unsafe { action.assume_init() }.sa_sigaction),
        _ => None,
    }
}
