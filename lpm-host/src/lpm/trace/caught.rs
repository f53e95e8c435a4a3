//! Calls of subscribers.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls a subscriber, whose panics must not unwind into the library.
pub(super) fn caught<R>(call: impl FnOnce() -> R) -> Option<R> {
    let result = catch_unwind(AssertUnwindSafe(call));
    let dropped = |payload| {
        // A payload may panic when it is dropped; that one is leaked instead.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            mem::forget(second);
        }
    };
    result.map_err(dropped).ok()
}
