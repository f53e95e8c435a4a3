//! A handler of one library, handed to another.
//!
//! A library that asks for the handler before its own, in order to call it, gets the address of a
//! trampoline that goes on to that handler. When the library of that handler goes, its trampolines
//! lead to what handled the signal before it was loaded instead. So the other library may keep the
//! address as long as it likes.
//!
//! A trampoline reads where to go and jumps, and nothing else: whoever looks at a thread
//! ([`scan`](super::super::scan)) sees it before it has read, in the register that it has read
//! into, or in the handler. So once a trampoline is [withdrawn](withdraw) and no thread is seen
//! inside, nobody gets there through it.

use std::arch::global_asm;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::owners::{self, Word};

/// How many there are. Each is taken by one handler of one signal, until who got it is gone.
const COUNT: usize = 64;
/// Bytes from one to the next.
const DISTANCE: usize = 32;

/// Where each leads; 0: to `FORMER`.
static LIVE: [AtomicUsize; COUNT] = [const { AtomicUsize::new(0) }; COUNT];

/// What is known of one.
struct Handed {
    /// The handler, also when it is withdrawn; 0: nobody has it.
    target: AtomicUsize,
    signal: AtomicUsize,
    /// What handled the signal before the handler's library was loaded.
    former: AtomicUsize,
    /// Where the object begins that got it; `SEVERAL`, if it is more than one.
    holder: AtomicUsize,
}

const SEVERAL: usize = usize::MAX;

static HANDED: [Handed; COUNT] = [const {
    Handed {
        target: AtomicUsize::new(0),
        signal: AtomicUsize::new(0),
        former: AtomicUsize::new(libc::SIG_DFL),
        holder: AtomicUsize::new(0),
    }
}; COUNT];

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".pushsection .text.libunload_trampolines, \"ax\", @progbits",
    ".globl libunload_trampolines",
    ".hidden libunload_trampolines",
    ".balign 32",
    "libunload_trampolines:",
    ".set libunload_trampoline, 0",
    ".rept {count}",
    ".balign 32",
    ".cfi_startproc",
    "mov rax, qword ptr [rip + {live} + 8 * libunload_trampoline]",
    "test rax, rax",
    "jz 2f",
    "jmp rax",
    "2: mov ecx, libunload_trampoline",
    "jmp {lead_back}",
    ".cfi_endproc",
    ".set libunload_trampoline, libunload_trampoline + 1",
    ".endr",
    ".popsection",
    count = const COUNT,
    live = sym LIVE,
    lead_back = sym lead_back,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".pushsection .text.libunload_trampolines, \"ax\", @progbits",
    ".globl libunload_trampolines",
    ".hidden libunload_trampolines",
    ".balign 32",
    "libunload_trampolines:",
    ".set libunload_trampoline, 0",
    ".rept {count}",
    ".balign 32",
    ".cfi_startproc",
    "adrp x16, {live} + 8 * libunload_trampoline",
    "ldr x16, [x16, :lo12:{live} + 8 * libunload_trampoline]",
    "cbz x16, 2f",
    "br x16",
    "2: mov w3, libunload_trampoline",
    "b {lead_back}",
    ".cfi_endproc",
    ".set libunload_trampoline, libunload_trampoline + 1",
    ".endr",
    ".popsection",
    count = const COUNT,
    live = sym LIVE,
    lead_back = sym lead_back,
);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn first() -> usize {
    unsafe extern "C" {
        static libunload_trampolines: [[u8; DISTANCE]; COUNT];
    }
    &raw const libunload_trampolines as usize
}

/// No import is redirected elsewhere, so nobody gets a trampoline.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn first() -> usize {
    0
}

/// Where it stands to whom the trampolines lead.
pub(in super::super) fn places() -> [Range<usize>; 2] {
    let place = |start: usize, size| start..start + size;
    [
        place(&raw const LIVE as usize, size_of_val(&LIVE)),
        place(&raw const HANDED as usize, size_of_val(&HANDED)),
    ]
}

/// An address for `holder` (`None`: it is not known who that is) to keep, which leads to the
/// handler of this signal as long as that is there: the trampoline, or the default action when all
/// are taken. `owner` is whose handler it is.
pub(super) fn hand_out(
    signal: c_int,
    handler: usize,
    owner: &'static owners::Owner,
    holder: Option<usize>,
) -> usize {
    let holder = holder.unwrap_or(SEVERAL);
    let signal = usize::try_from(signal).unwrap_or(0);
    let known = HANDED
        .iter()
        .position(|handed| handed.target.get() == handler && handed.signal.get() == signal);
    let claim = || {
        HANDED.iter().position(|handed| {
            let claimed =
                handed
                    .target
                    .compare_exchange(0, handler, Ordering::SeqCst, Ordering::SeqCst);
            claimed.is_ok()
        })
    };
    let Some(index) = known.or_else(claim) else {
        return libc::SIG_DFL;
    };
    let handed = &HANDED[index];
    if known.is_none() {
        handed.signal.set(signal);
        handed.former.set(libc::SIG_DFL);
        handed.holder.set(holder);
    } else if handed.holder.get() != holder {
        handed.holder.set(SEVERAL);
    }
    open(&LIVE[index], &owner.leaves, handler);
    first() + index * DISTANCE
}

/// Opens a way to a handler, unless its owner leaves. Who leaves says so first and closes the ways
/// then, so that one of the two sees the other.
fn open<W: Word>(live: &W, leaves: &W, handler: usize) {
    live.set(handler);
    W::fence();
    if leaves.get() != 0 {
        live.set(0);
    }
}

/// Closes the ways into an owner.
fn close<'w, W: Word + 'w>(leaves: &W, ways: impl Iterator<Item = &'w W>) {
    leaves.set(1);
    W::fence();
    ways.for_each(|live| live.set(0));
}

/// What is behind an address, if it is that of a trampoline: the handler, or what is in its place
/// by now.
pub(super) fn behind(address: usize) -> Option<usize> {
    let offset = address.checked_sub(first())?;
    let index = offset / DISTANCE;
    let handed = HANDED.get(index).filter(|_| first() != 0)?;
    Some(match LIVE[index].get() {
        0 => handed.former.get(),
        handler => handler,
    })
}

/// Withdraws the trampolines that lead into this range; `former` tells what handled a signal
/// before. Returns how many there were.
pub(super) fn withdraw(range: &Range<usize>, former: impl Fn(c_int) -> usize) -> usize {
    let lead_there = |index: &usize| range.contains(&HANDED[*index].target.get());
    let indexes: Vec<_> = (0..COUNT).filter(lead_there).collect();
    for &index in &indexes {
        let signal = c_int::try_from(HANDED[index].signal.get()).unwrap_or(0);
        HANDED[index].former.set(former(signal));
    }
    if let Some((owner, _)) = owners::of(range.start) {
        close(&owner.leaves, indexes.iter().map(|&index| &LIVE[index]));
    }
    indexes.len()
}

/// Lets them lead into the range again, whose object stays.
pub(super) fn restore(range: &Range<usize>) {
    if let Some((owner, _)) = owners::of(range.start) {
        owner.leaves.set(0);
    }
    for (handed, live) in HANDED.iter().zip(&LIVE) {
        let target = handed.target.get();
        if range.contains(&target) {
            live.set(target);
        }
    }
}

/// Takes back what the object that began there got; nobody has its code any more.
pub(super) fn give_back(holder: usize) {
    for (handed, live) in HANDED.iter().zip(&LIVE) {
        if handed.holder.get() == holder {
            live.set(0);
            handed.holder.set(0);
            handed.target.set(0);
        }
    }
}

/// Where a trampoline leads whose handler is gone: to what handled the signal before it came.
unsafe extern "C" fn lead_back(
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
    index: usize,
) {
    type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
    let former = HANDED
        .get(index & 0xffff_ffff)
        .map_or(libc::SIG_DFL, |handed| handed.former.get());
    match former {
        libc::SIG_IGN => {}
        libc::SIG_DFL => {
            // SAFETY: the kernel passes this, or whoever passes a signal on.
            let is_fault = unsafe { info.as_ref() }.is_some_and(|info| info.si_code > 0);
            let faults = [
                libc::SIGSEGV,
                libc::SIGBUS,
                libc::SIGILL,
                libc::SIGFPE,
                libc::SIGTRAP,
            ];
            if is_fault && faults.contains(&signal) {
                // It happens once more as soon as the handler returns, and ends the process.
                // SAFETY: all zeros is the default action.
                let default = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
                // SAFETY: as above.
                unsafe { libc::sigaction(signal, &raw const default, ptr::null_mut()) };
            }
        }
        // SAFETY: it handled the signal when the library was loaded, and its owner is still there:
        // `Actions` sees to that, and libraries that may go are not taken. A handler of one
        // argument passes over the others.
        handler => unsafe {
            std::mem::transmute::<usize, Handler>(handler)(signal, info, context);
        },
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread;

    use super::{Word, close, open};

    /// Whoever is first: once both are done, nothing leads to the handler.
    #[test]
    fn what_is_handed_out_to_who_leaves_is_closed() {
        loom::model(|| {
            let words = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
            let shared = Arc::clone(&words);
            let leaver = thread::spawn(move || close(&shared.1, [&shared.0].into_iter()));
            open(&words.0, &words.1, 7);
            leaver.join().expect("no panic");
            assert_eq!(words.0.get(), 0);
        });
    }
}
