//! What libraries have set signals to last, and who else has found that out.
//!
//! A library that replaces another's handler is told of a trampoline. The host is not: if it
//! replaces a handler of a library, it may remember it and call it. That is seen when the handler
//! in force is not the one that was set last. A library that sets a signal to be ignored, or to do
//! what it does by default, leaves no address, but the host a signal that it did not ask for.

use std::ffi::c_int;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::owners;
use super::action::COUNT;
use super::{trampolines, values};

/// What is known of one signal; 0 where nothing is.
struct Last {
    /// What it was set to.
    handler: AtomicUsize,
    /// Where the object begins that did so.
    setter: AtomicUsize,
    /// A library's handler that somebody has replaced who was told of it.
    replaced: AtomicUsize,
}

static LAST: [Last; COUNT] = [const {
    Last {
        handler: AtomicUsize::new(0),
        setter: AtomicUsize::new(0),
        replaced: AtomicUsize::new(0),
    }
}; COUNT];

/// Where that stands.
pub(in super::super) fn place() -> Range<usize> {
    let start = &raw const LAST as usize;
    start..start + size_of_val(&LAST)
}

fn last(signal: c_int) -> Option<&'static Last> {
    LAST.get(usize::try_from(signal).ok()?)
}

/// Notes that an object which begins at `setter` has set a signal to `handler`, where `found` was
/// in force. What is in force only once cannot be followed: then `handler` is 0.
pub(super) fn note(signal: c_int, handler: usize, found: usize, setter: usize) {
    let Some(last) = last(signal) else { return };
    let before = last.handler.swap(handler, Ordering::SeqCst);
    last.setter.store(setter, Ordering::SeqCst);
    if before != found && owners::of(before).is_some() {
        last.replaced.store(before, Ordering::SeqCst);
    }
}

/// Notes that the host has put a signal back.
pub(super) fn put_back(signal: c_int, handler: usize) {
    if let Some(last) = last(signal) {
        last.handler.store(handler, Ordering::SeqCst);
    }
}

/// Whether somebody remembers a handler in this range, where `found` is in force.
pub(super) fn is_remembered(signal: c_int, found: usize, range: &Range<usize>) -> bool {
    let Some(last) = last(signal) else {
        return false;
    };
    let handler = last.handler.load(Ordering::SeqCst);
    let is_replaced = handler != found && range.contains(&handler);
    is_replaced || range.contains(&last.replaced.load(Ordering::SeqCst))
}

/// Whether the object in this range has set a signal to what is in force, which is no handler.
pub(super) fn is_without_handler(signal: c_int, found: usize, range: &Range<usize>) -> bool {
    let is_none = found == libc::SIG_DFL || found == libc::SIG_IGN;
    last(signal).is_some_and(|last| {
        is_none
            && last.setter.load(Ordering::SeqCst) == range.start
            && last.handler.load(Ordering::SeqCst) == found
    })
}

/// How many objects were unmapped.
static UNMAPS: AtomicUsize = AtomicUsize::new(0);

/// How many objects were unmapped so far.
pub(super) fn unmaps() -> usize {
    UNMAPS.load(Ordering::SeqCst)
}

/// To be called when an object that began there is not mapped any more.
pub(in super::super) fn forget(start: usize) {
    UNMAPS.fetch_add(1, Ordering::SeqCst);
    trampolines::give_back(start);
    values::forget(start);
    for last in &LAST {
        let setter = &last.setter;
        if setter
            .compare_exchange(start, 0, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
        {
            last.handler.store(0, Ordering::SeqCst);
        }
    }
}
