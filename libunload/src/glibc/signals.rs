//! Signal handlers that a library left behind.
//!
//! The kernel tells what each signal does, so nothing can be missed. What a library changed is put
//! back to what it was when the library was loaded, rather than to the default, which for many
//! signals is to end the process. What handled a signal then may be gone by now; only then it is
//! the default.
//!
//! A library that asks for the handler before its own, in order to call it, gets a trampoline to
//! another library's, which may go first ([`trampolines`]). The functions for that may be called in
//! signal handlers and in children of `fork`, and so take no locks.

mod action;
pub(super) mod former;
pub(super) mod in_force;
pub(super) mod senders;
pub(super) mod trampolines;
pub(super) mod values;

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::{Arc, Mutex};

use self::action::{Noted, current};
use self::former::{Former, Formers};
use self::senders::Sender;
use super::ledger::{self, Ledger};
use super::object::Object;
use super::{memory, owners};
use crate::lock::lock;

/// What each signal did at some moment.
pub(super) struct Actions(Vec<(c_int, Action)>);

struct Action {
    action: Noted,
    /// Whose handler it is, if it is a library's.
    library: Option<Arc<Ledger>>,
    /// What is no library's: the same action, or what there was before libraries came.
    former: Option<Former>,
}

/// Held while handlers are put back: those of a library that goes must not come back unseen.
static CHANGING: Mutex<()> = Mutex::new(());

impl Actions {
    /// What they do now; `loaded` are the objects that are loaded.
    pub(super) fn current(loaded: &[Object]) -> Self {
        let action = |signal| {
            let action = current(signal)?;
            let library = ledger::of_address(action.sa_sigaction);
            let former = match &library {
                Some(library) => library.former_action(signal).cloned(),
                None => Some(Former::new(action, loaded)),
            };
            Some((
                signal,
                Action {
                    action: Noted::new(action),
                    library,
                    former,
                },
            ))
        };
        Self((1..=libc::SIGRTMAX()).filter_map(action).collect())
    }

    /// What of that is no library's.
    pub(super) fn formers(&self) -> Formers {
        let former = |(signal, action): &(c_int, Action)| Some((*signal, action.former.clone()?));
        self.0.iter().filter_map(former).collect()
    }

    /// Puts back the signals whose handlers are in this range.
    pub(super) fn put_back(&self, range: &Range<usize>) -> PutBack {
        let _changing = lock(&CHANGING);
        let mut put_back = PutBack {
            changes: Vec::new(),
            trampolines: trampolines::withdraw(range, |signal| self.former(signal)),
            range: range.clone(),
        };
        for (signal, before) in &self.0 {
            let Some(left) = current(*signal) else {
                continue;
            };
            let found = left.sa_sigaction;
            let is_set_without = in_force::is_without_handler(*signal, found, range)
                && before.action.handler() != found;
            if !range.contains(&found) && !is_set_without {
                continue;
            }
            let now = before.still();
            if now.is_none() {
                tracing::warn!(
                    signal,
                    "a signal does what it does by default: the handler that it had before a library \
                     was loaded is gone"
                );
            }
            let mut now = now.unwrap_or(libc::sigaction {
                sa_sigaction: libc::SIG_DFL,
                sa_flags: 0,
                ..before.action.action()
            });
            // By default it may end the process. What sends it is stopped; what is on its way, or
            // waits until it is let through, was for the handler that goes, and is ignored.
            let is_default = now.sa_sigaction == libc::SIG_DFL;
            let senders = if is_default {
                senders::stop(*signal)
            } else {
                Vec::new()
            };
            let afterwards = (is_default && *signal != libc::SIGCHLD).then_some(now);
            if afterwards.is_some() {
                now.sa_sigaction = libc::SIG_IGN;
            }
            // SAFETY: this action was in force before, and its handler is still there; or it has
            // none.
            unsafe { libc::sigaction(*signal, &raw const now, ptr::null_mut()) };
            in_force::put_back(*signal, now.sa_sigaction);
            put_back.changes.push(Change {
                signal: *signal,
                left,
                now: now.sa_sigaction,
                afterwards,
                senders,
            });
        }
        put_back
    }

    /// The handler that a signal had, if nobody but the host can take it away.
    fn former(&self, signal: c_int) -> usize {
        let known = self.0.iter().find(|(other, _)| *other == signal);
        let former = known.and_then(|(_, before)| before.former.as_ref());
        let former = former.filter(|former| former.is_there());
        former.map_or(libc::SIG_DFL, |former| former.action.handler())
    }
}

impl Action {
    /// The action, or what there was before, if that is still there.
    fn still(&self) -> Option<libc::sigaction> {
        let is_open = |library: &&Arc<Ledger>| {
            let open = ledger::all();
            open.iter().any(|ledger| Arc::ptr_eq(ledger, library)) && !library.is_held_back()
        };
        let of_library = self
            .library
            .as_ref()
            .filter(is_open)
            .map(|_| self.action.action());
        let former = self.former.as_ref().filter(|former| former.is_there());
        of_library.or_else(|| former.map(|former| former.action.action()))
    }
}

/// Signals that were put back.
pub(super) struct PutBack {
    changes: Vec<Change>,
    /// How many trampolines led there.
    trampolines: usize,
    range: Range<usize>,
}

struct Change {
    signal: c_int,
    /// The action that the library left.
    left: libc::sigaction,
    /// The handler that it was replaced by.
    now: usize,
    /// The action that is put back once no thread is on its way into a handler any more.
    afterwards: Option<libc::sigaction>,
    /// What sent the signal, and was stopped.
    senders: Vec<Sender>,
}

impl PutBack {
    /// Whether there were none, and nothing else led to a handler.
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.trampolines == 0
    }

    /// Puts back what was held off, when no thread is on its way into a handler any more: a thread
    /// that has taken a signal of a timer looks at the action later (Linux 6.13). Returns the
    /// signals.
    pub(super) fn settle(self) -> Vec<c_int> {
        let _changing = lock(&CHANGING);
        let settle = |change: Change| {
            let is_ignored = |action: libc::sigaction| action.sa_sigaction == libc::SIG_IGN;
            if let Some(afterwards) = change.afterwards {
                senders::forget_directories(change.signal);
                if current(change.signal).is_some_and(is_ignored) {
                    // SAFETY: by default a signal has no handler.
                    unsafe {
                        libc::sigaction(change.signal, &raw const afterwards, ptr::null_mut())
                    };
                    in_force::put_back(change.signal, afterwards.sa_sigaction);
                }
            }
            change.signal
        };
        self.changes.into_iter().map(settle).collect()
    }

    /// Gives the library its handlers again.
    pub(super) fn undo(self) {
        let _changing = lock(&CHANGING);
        trampolines::restore(&self.range);
        for change in self.changes {
            let unchanged = |action: libc::sigaction| action.sa_sigaction == change.now;
            if current(change.signal).is_some_and(unchanged) {
                // SAFETY: the library is mapped, and stays.
                unsafe { libc::sigaction(change.signal, &raw const change.left, ptr::null_mut()) };
                in_force::put_back(change.signal, change.left.sa_sigaction);
            }
            change.senders.into_iter().for_each(Sender::resume);
        }
    }
}

/// Signals whose handlers are in these ranges, with the handlers.
pub(super) fn handlers_in(ranges: &[Range<usize>]) -> Vec<(c_int, usize)> {
    if ranges.is_empty() {
        return Vec::new();
    }
    let all = (1..=libc::SIGRTMAX()).filter_map(|signal| Some((signal, current(signal)?)));
    all.map(|(signal, action)| (signal, action.sa_sigaction))
        .filter(|(_, handler)| ranges.iter().any(|range| range.contains(handler)))
        .collect()
}

/// Signals of which somebody remembers a handler in this range, who found it out by himself, with
/// what is in force now.
pub(super) fn remembered(range: &Range<usize>) -> Vec<(c_int, usize)> {
    let found = (1..=libc::SIGRTMAX()).filter_map(|signal| Some((signal, current(signal)?)));
    let found = found.map(|(signal, action)| (signal, action.sa_sigaction));
    found
        .filter(|&(signal, handler)| in_force::is_remembered(signal, handler, range))
        .collect()
}

/// What a library is told of a handler that was in force: the handler, or a trampoline to it if it
/// is that of another library than the one that asks, which wants to install `new`. `unmaps` is how
/// many objects were unmapped before it was in force.
fn told(signal: c_int, handler: usize, new: Option<usize>, unmaps: usize) -> usize {
    if handler == libc::SIG_DFL || handler == libc::SIG_IGN || handler == libc::SIG_ERR {
        return handler;
    }
    let Some((owner, start)) = owners::of(handler) else {
        // The host's; or that of a library which has gone since.
        let may_be_gone = in_force::unmaps() != unmaps && !is_mapped(handler);
        return if may_be_gone { libc::SIG_DFL } else { handler };
    };
    let asks = new.and_then(owners::of).or_else(owners::of_caller);
    match asks {
        Some((_, asking)) if asking == start => handler,
        asks => {
            let holder = asks.map(|(_, asking)| asking);
            trampolines::hand_out(signal, handler, owner, holder)
        }
    }
}

/// Notes what a library has set a signal to, where `found` was in force.
fn note(signal: c_int, handler: usize, flags: c_int, found: usize) {
    let setter = owners::of(handler).or_else(owners::of_caller);
    let handler = if flags & libc::SA_RESETHAND == 0 {
        handler
    } else {
        0
    };
    in_force::note(signal, handler, found, setter.map_or(0, |(_, start)| start));
}

/// Whether there is something at this address, asked of the kernel.
fn is_mapped(address: usize) -> bool {
    let word = address & !(size_of::<usize>() - 1);
    memory::word(word).is_some()
}

/// Stands in for `sigaction`.
///
/// # Safety
///
/// As for `sigaction`.
pub(super) unsafe extern "C" fn set_action(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    let unmaps = in_force::unmaps();
    // SAFETY: the caller passes an action or null. It is copied first: `old` may be the same place.
    let mut action = unsafe { new.as_ref() }.copied();
    if let Some(action) = &mut action {
        // Who was told of a trampoline may put it back.
        let handler = trampolines::behind(action.sa_sigaction);
        action.sa_sigaction = handler.unwrap_or(action.sa_sigaction);
    }
    let new = action.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: all zeros is a value of this plain structure.
    let mut found = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    // SAFETY: the caller's promise; the answer is written to a variable of this function.
    let failed = unsafe { libc::sigaction(signal, new, &raw mut found) };
    if let (0, Some(action)) = (failed, &action) {
        note(
            signal,
            action.sa_sigaction,
            action.sa_flags,
            found.sa_sigaction,
        );
    }
    if failed == 0 && !old.is_null() {
        // SAFETY: the caller passes a place for an action.
        unsafe { old.write(found) };
    }
    // SAFETY: the caller passes a place for an action or null, and it has just been written to.
    if let (0, Some(old)) = (failed, unsafe { old.as_mut() }) {
        let handler = action.map(|action| action.sa_sigaction);
        old.sa_sigaction = told(signal, old.sa_sigaction, handler, unmaps);
        if old.sa_sigaction == libc::SIG_DFL {
            old.sa_flags = 0;
        }
    }
    failed
}

/// Stands in for `signal`.
///
/// # Safety
///
/// As for `signal`.
pub(super) unsafe extern "C" fn set_handler(
    signal: c_int,
    new: libc::sighandler_t,
) -> libc::sighandler_t {
    let unmaps = in_force::unmaps();
    let new = trampolines::behind(new).unwrap_or(new);
    // SAFETY: the caller's promise.
    let old = unsafe { libc::signal(signal, new) };
    if old != libc::SIG_ERR {
        note(signal, new, 0, old);
    }
    told(signal, old, Some(new), unmaps)
}
