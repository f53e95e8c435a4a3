//! The system's loader: the same names on every platform.

mod error;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub(super) use error::LoaderError;
#[cfg(unix)]
pub(super) use unix::{Handle, lock_exclusively};
#[cfg(windows)]
pub(super) use windows::Handle;
