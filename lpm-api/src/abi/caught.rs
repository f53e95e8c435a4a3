//! Panics of the LPM's code stop here.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The call panicked; the panic hook has told the PCM where and why.
pub(super) struct Panicked;

/// Runs the LPM's code and stops its panics here. Always inlined, so that a decision is no call
/// more than the LPM's own.
#[inline(always)]
pub(super) fn caught<R>(call: impl FnOnce() -> R) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(dispose)
}

#[cold]
fn dispose(payload: Box<dyn Any + Send>) -> Panicked {
    // A payload may panic when it is dropped; that one is leaked instead.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(second);
    }
    Panicked
}
