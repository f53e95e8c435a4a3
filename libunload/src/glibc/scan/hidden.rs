//! A signal that reaches threads which hold back all others.
//!
//! A program that blocks all signals does not block the two that glibc keeps to itself; its
//! functions leave these out of every mask. With one of them (`SIGSETXID`) glibc has each thread
//! change its user. Its handler ignores a signal that was sent in another way than its own. So this
//! handler may stand before it for a while, tell its own signals by how they were sent, and pass on
//! the rest; one that arrives late, when glibc's stands there again, does nothing.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// glibc's `SIGSETXID`; its `SIGRTMIN()` is two more.
pub(super) const SIGNAL: c_int = 33;

pub(super) type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// What the kernel knows of a signal (`struct sigaction` of `asm/signal.h`); glibc's function
/// refuses this signal.
#[repr(C)]
#[derive(Clone, Copy)]
struct Action {
    handler: usize,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

/// What a signal of this program's carries, after the fields that all have (`siginfo_t` with
/// `si_value`).
#[repr(C)]
struct Info {
    signal: c_int,
    errno: c_int,
    code: c_int,
    padding: c_int,
    process: libc::pid_t,
    user: libc::uid_t,
    value: usize,
    rest: [u64; 12],
}

const _: () = assert!(size_of::<Info>() == size_of::<libc::siginfo_t>());

/// glibc's handler, while this one stands before it.
static FORMER: AtomicUsize = AtomicUsize::new(0);
/// What does the work.
static OURS: AtomicUsize = AtomicUsize::new(0);
/// Tells who sent a signal: nobody else sends its address.
static MARK: u8 = 0;

/// This handler stands before glibc's, until this is dropped. One at a time.
pub(super) struct Interposed(Action);

impl Interposed {
    /// `None` where glibc has no handler: this one could not be taken away again without danger.
    pub(super) fn new(ours: Handler) -> Option<Self> {
        let former = change(None)
            .filter(|action| action.handler != libc::SIG_DFL && action.handler != libc::SIG_IGN)?;
        FORMER.store(former.handler, Ordering::SeqCst);
        OURS.store(ours as usize, Ordering::SeqCst);
        // The stack for signals may be small, and a walk takes more than glibc's handler.
        let on_stack = libc::c_ulong::from(libc::SA_ONSTACK.unsigned_abs());
        let action = Action {
            handler: receive as *const () as usize,
            flags: former.flags & !on_stack,
            ..former
        };
        change(Some(&action))?;
        Some(Self(former))
    }

    /// Sends the signal to a thread; whether it was sent.
    pub(super) fn send(thread: libc::pid_t) -> bool {
        // SAFETY: no preconditions.
        let (process, user) = unsafe { (libc::getpid(), libc::getuid()) };
        let info = Info {
            signal: SIGNAL,
            errno: 0,
            code: libc::SI_QUEUE,
            padding: 0,
            process,
            user,
            value: &raw const MARK as usize,
            rest: [0; 12],
        };
        let call = libc::SYS_rt_tgsigqueueinfo;
        // SAFETY: the kernel reads `info`, which has the size that it expects.
        unsafe { libc::syscall(call, process, thread, SIGNAL, &raw const info) == 0 }
    }
}

impl Drop for Interposed {
    fn drop(&mut self) {
        change(Some(&self.0));
    }
}

/// Sets the action, if one is given; returns the one before.
fn change(new: Option<&Action>) -> Option<Action> {
    let mut old = MaybeUninit::<Action>::zeroed();
    let new = new.map_or(ptr::null(), ptr::from_ref);
    let (call, size) = (libc::SYS_rt_sigaction, size_of::<u64>());
    // SAFETY: the kernel reads and writes one action of its own kind each; what is set is a handler
    // of this module, or what was there before.
    let failed = unsafe { libc::syscall(call, SIGNAL, new, old.as_mut_ptr(), size) };
    // SAFETY: it was written.
    (failed == 0).then(|| unsafe { old.assume_init() })
}

extern "C" fn receive(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes this; what is read is there in every signal, at worst as zeros.
    let sent = unsafe { &*info.cast::<Info>() };
    let is_ours = sent.code == libc::SI_QUEUE && sent.value == &raw const MARK as usize;
    let handler = if is_ours { &OURS } else { &FORMER };
    // SAFETY: both are handlers of this kind, and stay.
    let handler = unsafe { std::mem::transmute::<usize, Handler>(handler.load(Ordering::SeqCst)) };
    handler(signal, info, context);
}
