//! Load a native library from a private copy, know what it does to the process, and unload it for
//! real, verified.

#[cfg(not(target_vendor = "apple"))]
mod bounds;
mod error;
mod facts;
mod file;
pub mod gate;
mod library;
mod lock;
mod os;
mod outcome;
mod stage;
mod stamp;

#[cfg(all(unix, not(target_vendor = "apple")))]
mod elf;
#[cfg(windows)]
mod pe;

#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
mod glibc;
#[cfg(not(any(
    windows,
    all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")
)))]
mod portable;
#[cfg(windows)]
mod windows;

#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
use self::glibc as platform;
#[cfg(not(any(
    windows,
    all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")
)))]
use self::portable as platform;
#[cfg(windows)]
use self::windows as platform;

#[cfg(all(
    test,
    not(loom),
    all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")
))]
mod tests;

pub use self::error::{FormatProblem, OpenError};
pub use self::facts::Hazard;
pub use self::file::LibraryFile;
pub use self::library::{Library, visit_thread};
pub use self::outcome::{LeftBehind, PinReason, ThreadLabel, UnloadOutcome};
pub use self::stage::{Copies, NoDelete};
pub use self::stamp::FileStamp;
