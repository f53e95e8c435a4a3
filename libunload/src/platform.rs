//! What is done with a library on this platform: the same names from one file or another.

#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
pub(crate) use crate::glibc::*;
#[cfg(not(any(
    windows,
    all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")
)))]
pub(crate) use crate::portable::*;
#[cfg(windows)]
pub(crate) use crate::windows::*;
