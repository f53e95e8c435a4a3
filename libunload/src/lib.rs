//! Load a native library from a private copy, know what it does to the process, and unload it for
//! real, verified.
//!
//! `dlclose` is a request. A library that has registered a thread-local destructor, as every Rust
//! library does, is silently kept; another is unmapped while a thread, a timer or a signal handler
//! still leads into it, and the process dies later. This crate stands between a library and the
//! system:
//!
//! 1. [`Library::open`] loads a private copy, so that the file may be overwritten at any time, and
//!    watches what the library does that outlasts a call: thread-locals, threads, keys, timers,
//!    signal handlers, exit handlers.
//! 2. [`Library::function`] and [`Library::symbol`] find what it exports. A [`gate::Gate`] tells
//!    who is inside, so that the library can be exchanged while others call it.
//! 3. [`Library::unload`] takes back what the library left, makes sure that no thread is inside and
//!    that nothing which stays leads into it, runs its finalizers, unmaps it, and asks the loader
//!    and the kernel whether that is so: [`UnloadOutcome`].
//!
//! ```no_run
//! use libunload::{Copies, LeftBehind, Library};
//!
//! # fn main() -> Result<(), libunload::OpenError> {
//! let path = std::path::Path::new("plugins/libgreet.so");
//! // SAFETY: this is the plugin we ship.
//! let library = unsafe { Library::open(path, &Copies::new()) }?;
//! // SAFETY: it declares `extern "C" fn greet()`.
//! if let Some(greet) = unsafe { library.function::<extern "C" fn()>(c"greet") } {
//!     greet();
//! }
//! // SAFETY: nobody calls it, or uses anything of it, any more.
//! println!("{}", unsafe { library.unload(&mut LeftBehind::default()) });
//! # Ok(())
//! # }
//! ```
//!
//! # Promises
//!
//! On Linux with glibc, x86-64 and aarch64:
//!
//! 1. **Never worse than `dlopen`.** What loads, works and unloads with bare `dlopen` and `dlclose`
//!    does so here.
//! 2. **Unmapped means gone.** After [`UnloadOutcome::Unmapped`] no handler, destructor, key,
//!    timer, callback or pointer that anybody will follow leads into the library. In doubt it is
//!    [`Pinned`](UnloadOutcome::Pinned), with the holder named.
//! 3. **A clean library is unmapped.** Threads and memory that have nothing to do with it do not
//!    hold it back.
//!
//! What no host can see is left to the caller of [`Library::unload`], and to the library: addresses
//! that somebody keeps encoded, in memory of an allocator of his own, or on the program's own heap;
//! requests that the kernel has under way.
//!
//! | platform | unmapped? |
//! |---|---|
//! | Linux with glibc, x86-64 | yes, as promised |
//! | Linux with glibc, aarch64 | yes, as promised, where each thread lets itself be interrupted; libraries with thread-locals only where the loader does not hand these on ([`PinReason::ThreadLocalsInherited`]) |
//! | Windows | yes, where no thread and no callback of the library is found; its memory is not searched |
//! | Linux with musl or another machine, macOS, other Unix | never: dropping a library there is not safe to decide, and [`PinReason::Platform`] says so |
//!
//! One ledger is kept for the process, so a program has one version of this crate
//! (`links = "unload"`).

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
mod platform;
mod stage;
mod stamp;

#[cfg(all(unix, not(target_vendor = "apple")))]
mod elf;
// Files are hostile to test on any system.
#[cfg(any(
    windows,
    all(test, not(loom), target_os = "linux", target_pointer_width = "64")
))]
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

#[cfg(all(
    test,
    not(loom),
    all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")
))]
mod tests;

pub use self::error::{FormatProblem, OpenError};
pub use self::facts::Hazard;
pub use self::file::LibraryFile;
pub use self::library::{Library, PrivateCopy, visit_thread};
pub use self::outcome::{LeftBehind, PinReason, ThreadLabel, UnloadOutcome};
pub use self::stage::{Copies, NoDelete};
pub use self::stamp::FileStamp;
