//! The calls into libraries that are under way on a thread.

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

/// The calls into libraries that are under way on a thread. All that a call has to look at is here, so that
/// it looks for one thread-local only.
pub(super) struct Calls {
    /// Whom the innermost is for: the name of an LPM, [`NO_LPM`], or null where there is no call.
    pub(super) inside: Cell<*const Arc<str>>,
    pub(super) has_reports: Cell<bool>,
    /// How many spans of libraries the thread is in.
    pub(super) spans: Cell<usize>,
}

/// What stands for a call that is for no LPM.
pub(super) const NO_LPM: *const Arc<str> = ptr::dangling();

thread_local! {
    static CALLS: Calls = const {
        Calls {
            inside: Cell::new(ptr::null()),
            has_reports: Cell::new(false),
            spans: Cell::new(0),
        }
    };
}

/// Looks at the calls that are under way on this thread.
#[inline]
pub(super) fn with<R>(look: impl FnOnce(&Calls) -> R) -> R {
    CALLS.with(look)
}

/// Notes how many spans of libraries this thread is in.
pub(super) fn note_spans(count: usize) {
    CALLS.with(|calls| calls.spans.set(count));
}

/// How many spans of libraries this thread is in.
#[cfg(test)]
pub(super) fn spans() -> usize {
    CALLS.with(|calls| calls.spans.get())
}

/// The name of the LPM that is being called on this thread.
pub(super) fn lpm_on_this_thread() -> Option<Arc<str>> {
    let lpm = CALLS.with(|calls| calls.inside.get());
    if lpm == NO_LPM {
        return None;
    }
    // SAFETY: `during` sets the pointer from a reference that outlives the call, and takes it back after
    // the call, which is on this thread and does not unwind.
    unsafe { lpm.as_ref() }.cloned()
}
