//! What is missing when the LPM cannot start its threads.

use std::io;

/// The system has no thread, or no event queue for one.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot start the thread for the {what}: {error}; the process may have reached a limit on threads or open files"
)]
pub struct NoThread {
    /// What the thread is for.
    what: &'static str,
    /// What the system says.
    #[source]
    error: io::Error,
}

impl NoThread {
    pub(crate) fn for_the(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self { what, error }
    }
}
