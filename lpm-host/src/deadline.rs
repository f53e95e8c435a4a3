//! Lifecycle calls into LPMs: on a thread of their own, within a deadline.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

thread_local!(static IS_LIFECYCLE_THREAD: Cell<bool> = const { Cell::new(false) });

/// Whether this thread starts or stops LPMs, so that it must not wait for the end of that.
pub(crate) fn on_lifecycle_thread() -> bool {
    IS_LIFECYCLE_THREAD.get()
}

/// Marks this thread as one that starts or stops LPMs.
pub(crate) fn enter_lifecycle_thread() {
    IS_LIFECYCLE_THREAD.set(true);
}

/// A call did not return in time. Its thread, and all that was moved into the call, lives on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overdue;

/// Runs the call on a thread with this name and waits for it no longer than `limit`.
///
/// When it returns in time, the thread has ended as well, its thread-locals included. Where the
/// system has no thread to give, the call runs on this one, without a limit.
pub(crate) fn call<R: Send + 'static>(
    name: &str,
    limit: Duration,
    call: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Overdue> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let call = Arc::new(Mutex::new(Some(call)));
    let theirs = Arc::clone(&call);
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || {
        enter_lifecycle_thread();
        let call = theirs.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(call) = call {
            // Fails when the deadline is over and nobody listens any more.
            let _ = sender.send(call());
        }
    });
    let thread = match spawned {
        Ok(thread) => thread,
        Err(_) => {
            let call = call.lock().unwrap_or_else(PoisonError::into_inner).take();
            return call.map(|call| call()).ok_or(Overdue);
        }
    };
    match receiver.recv_timeout(limit) {
        Ok(result) => {
            let _ = thread.join();
            Ok(result)
        }
        Err(RecvTimeoutError::Timeout) => Err(Overdue),
        // The call panicked; the panic is this host's, since LPMs' panics do not leave them.
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => Err(Overdue),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_returns_gives_its_result() {
        let called = call("test", Duration::from_secs(60), || 7);
        assert_eq!(called, Ok(7));
    }

    #[test]
    fn a_call_that_does_not_return_is_left_behind() {
        let (release, held) = mpsc::channel::<()>();
        let called = call("test", Duration::from_millis(1), move || held.recv());
        assert_eq!(called.err(), Some(Overdue));
        drop(release);
    }
}
