//! The system's loader: the same names on every platform.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(super) use unix::{Handle, lock_exclusively};
#[cfg(windows)]
pub(super) use windows::Handle;

/// Why the loader does not do what it was asked for, in its words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct LoaderError(pub(super) String);
