//! Lifecycle calls into LPMs: on a thread of their own, within a deadline.

use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{io, thread};

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum NoResult {
    /// It did not return in time. Its thread, and all that was moved into the call, lives on.
    Deadline,
    /// The system refused a thread.
    Thread(io::Error),
}

/// Runs the call on a thread with this name and waits for it no longer than `limit`.
///
/// When it returns in time, the thread has ended as well, its thread-locals included.
pub(crate) fn call<R: Send + 'static>(
    name: &str,
    limit: Duration,
    call: impl FnOnce() -> R + Send + 'static,
) -> Result<R, NoResult> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // Fails when the deadline is over and nobody listens any more.
            let _ = sender.send(call());
        })
        .map_err(NoResult::Thread)?;
    match receiver.recv_timeout(limit) {
        Ok(result) => {
            let _ = thread.join();
            Ok(result)
        }
        Err(RecvTimeoutError::Timeout) => Err(NoResult::Deadline),
        // The call panicked; the panic is this host's, since LPMs' panics do not leave them.
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => Err(NoResult::Deadline),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_returns_gives_its_result() {
        let called = call("test", Duration::from_secs(60), || 7);
        assert_eq!(called.ok(), Some(7));
    }

    #[test]
    fn a_call_that_does_not_return_is_left_behind() {
        let (release, held) = mpsc::channel::<()>();
        let called = call("test", Duration::from_millis(1), move || held.recv());
        assert!(matches!(called, Err(NoResult::Deadline)));
        drop(release);
    }
}
