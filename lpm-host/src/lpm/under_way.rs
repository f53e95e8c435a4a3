//! The calls into libraries that are under way on a thread, and what they leave to be seen to.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

/// The calls into libraries that are under way on a thread. All that a call has to look at is here,
/// so that it looks for one thread-local only.
pub(super) struct Calls {
    /// Whom the innermost is for; null where there is no call.
    pub(super) inside: Cell<*const Callee>,
    /// What there is to see to when a call returns: the bits below.
    pub(super) attention: Cell<u8>,
    /// How many spans of libraries the thread is in.
    pub(super) spans: Cell<usize>,
}

/// Panics were reported.
pub(super) const REPORTED: u8 = 1;
/// The thread is in spans of libraries.
const IN_SPANS: u8 = 2;
/// The call is to be looked at: see [`demand_attention`].
pub(super) const DEMANDED: u8 = 4;
/// The thread is in a call that is in no [`Series`].
pub(super) const IN_CALL: u8 = 8;

impl Calls {
    pub(super) fn mark(&self, bit: u8, is_set: bool) {
        let others = self.attention.get() & !bit;
        self.attention
            .set(if is_set { others | bit } else { others });
    }
}

/// Whom calls are for, one after the other: the name of an LPM, or null for none.
pub(crate) struct Callee(Cell<*const Arc<str>>);

impl Callee {
    /// For this LPM, or for none.
    #[inline]
    pub(super) fn of(lpm: Option<&Arc<str>>) -> Self {
        Self(Cell::new(lpm.map_or(ptr::null(), ptr::from_ref)))
    }

    /// None yet.
    #[inline]
    pub(crate) const fn none() -> Self {
        Self(Cell::new(ptr::null()))
    }

    /// The next calls are for this LPM.
    #[inline]
    pub(crate) fn set(&self, lpm: &Arc<str>) {
        self.0.set(lpm);
    }

    /// Whether they are.
    pub(crate) fn is(&self, lpm: &Arc<str>) -> bool {
        ptr::eq(self.0.get(), lpm)
    }
}

thread_local! {
    static CALLS: Calls = const {
        Calls {
            inside: Cell::new(ptr::null()),
            attention: Cell::new(0),
            spans: Cell::new(0),
        }
    };
}

/// Looks at the calls that are under way on this thread.
#[inline]
pub(super) fn with<R>(look: impl FnOnce(&Calls) -> R) -> R {
    CALLS.with(look)
}

/// Calls into libraries, one after the other, on a thread that is in none; until it is dropped.
pub(crate) struct Series<'a>(PhantomData<(&'a Callee, *const ())>);

impl<'a> Series<'a> {
    /// Calls that are each for whom `callee` then says; `None` where the thread is in a call
    /// already. After each of them that leaves something to [see to](needs_attention),
    /// [`attend`](super::panics::attend) is the caller's duty.
    #[inline]
    pub(crate) fn start(callee: &'a Callee) -> Option<Self> {
        CALLS.with(|calls| {
            let is_free = calls.attention.get() == 0;
            if is_free {
                calls.inside.set(callee);
            }
            is_free.then_some(Self(PhantomData))
        })
    }
}

impl Drop for Series<'_> {
    #[inline]
    fn drop(&mut self) {
        CALLS.with(|calls| calls.inside.set(ptr::null()));
    }
}

/// Whether there is something to see to after a call on this thread.
#[inline]
pub(crate) fn needs_attention() -> bool {
    CALLS.with(|calls| calls.attention.get() != 0)
}

/// Makes the caller look closer when the call returns that is under way on this thread.
pub(crate) fn demand_attention() {
    CALLS.with(|calls| calls.mark(DEMANDED, true));
}

/// Notes how many spans of libraries this thread is in.
pub(super) fn note_spans(count: usize) {
    CALLS.with(|calls| {
        calls.spans.set(count);
        calls.mark(IN_SPANS, count > 0);
    });
}

/// How many spans of libraries this thread is in.
#[cfg(test)]
pub(super) fn spans() -> usize {
    CALLS.with(|calls| calls.spans.get())
}

/// The name of the LPM that is being called on this thread.
pub(super) fn lpm_on_this_thread() -> Option<Arc<str>> {
    let callee = CALLS.with(|calls| calls.inside.get());
    // SAFETY: `during` and `Series` set the pointer from what outlives their calls, and take it
    // back after those, which are on this thread and do not unwind.
    let lpm = unsafe { callee.as_ref() }?.0.get();
    // SAFETY: the LPM that is being called is kept by the caller as long as the call lasts.
    unsafe { lpm.as_ref() }.cloned()
}
