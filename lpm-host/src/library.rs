//! Libraries: opening a private copy, knowing what it does, and unmapping it for good.
//!
//! This folder is the only place of the crate with `unsafe` code.
//!
//! | file | subject |
//! |---|---|
//! | `stage` | the private copy that is loaded |
//! | `elf`, `pe`, `facts`, `file` | what its file tells before anything of it runs |
//! | `os` | the system's loader |
//! | `glibc` | redirected imports, the ledger, the checks before unmapping: 64-bit Linux with glibc |
//! | `windows` | the checks before unmapping: Windows |
//! | `portable` | what the other platforms can promise |
//! | `outcome`, `error` | what is reported |
//! | `trust`, `module`, `instance`, `compatibility`, `panics`, `describe` | the LPM in the library |
//! | `results` | answers that LPMs put off |
//! | `trace` | what it logs |
//! | `gate` | who is inside |

mod compatibility;
mod describe;
#[cfg(all(unix, not(target_vendor = "apple")))]
mod elf;
mod error;
mod facts;
mod file;
pub(crate) mod gate;
mod instance;
mod module;
mod os;
mod outcome;
mod panics;
#[cfg(windows)]
mod pe;
mod results;
mod stage;
#[cfg(all(
    test,
    all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")
))]
mod tests;
mod trace;
mod trust;

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

use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::compatibility::Incompatibility;
pub use self::describe::LpmDescription;
pub use self::error::{FormatProblem, OpenError};
pub use self::facts::Hazard;
pub(crate) use self::facts::HinderingFacts;
pub use self::file::LibraryFile;
pub(crate) use self::instance::Instance;
pub use self::module::LoadError;
pub(crate) use self::module::LoadedModule;
pub use self::outcome::{LeftBehind, PinReason, ThreadLabel, UnloadOutcome};
pub(crate) use self::results::{AdmitCall, CALLBACKS, Call};
pub use self::stage::NoDelete;
pub(crate) use self::stage::Staging;
pub use self::trace::TraceLimit;
pub use self::trust::LpmLibrary;

use self::platform::{Loaded, Prepared};
use self::stage::Staged;

/// A private copy of a library, loaded and watched.
///
/// Dropping it leaves the library mapped for good, which is always safe; only [`unload`](Self::unload)
/// unmaps it.
pub(crate) struct Library {
    /// The original.
    path: PathBuf,
    prepared: Prepared,
    loaded: Loaded,
    /// What of the copy has to stay while the library is mapped.
    staged: ManuallyDrop<Option<Staged>>,
    /// Where that is kept afterwards.
    staging: Staging,
}

impl Library {
    /// Loads a private copy of the file at `path`.
    ///
    /// # Safety
    ///
    /// The caller vouches for the code in the file, and in the libraries it needs: their
    /// initializers run here.
    pub(crate) unsafe fn open(path: &Path, staging: &Staging) -> Result<Self, OpenError> {
        let Some(_not_nested) = NotNested::enter() else {
            return Err(OpenError::Nested {
                path: path.to_path_buf(),
            });
        };
        let (mut staged, kept) = staging.stage(path)?;
        let prepared = match kept {
            Some(prepared) => prepared,
            None => platform::prepare(path, &mut staged, staging.no_delete_policy())?,
        };
        // SAFETY: the caller vouches for the code; `prepared` is about this very copy.
        let loaded = unsafe { Loaded::load(&staged.path(), path, &prepared) };
        let loaded = loaded.map_err(|message| OpenError::Loader {
            path: path.to_path_buf(),
            message,
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            prepared,
            loaded,
            staged: ManuallyDrop::new(staged.after_loading()),
            staging: staging.clone(),
        })
    }

    /// The original's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The address of an exported symbol.
    pub(crate) fn symbol(&self, name: &CStr) -> Option<NonNull<c_void>> {
        self.loaded.symbol(name)
    }

    /// What about the library could hinder unloading it.
    pub(crate) fn facts(&self) -> &HinderingFacts {
        &self.prepared.facts
    }

    /// Which file in memory it was loaded from: its inode, and the descriptor.
    #[cfg(all(test, target_os = "linux"))]
    fn loaded_from(&self) -> Option<(u64, i32)> {
        use std::os::fd::AsRawFd;
        use std::os::unix::fs::MetadataExt;

        let file = self.staged.as_ref()?.file();
        Some((file.metadata().ok()?.ino(), file.as_raw_fd()))
    }

    /// Makes the first call into the library, after its initializers. What the library allocates in that call
    /// goes when it goes, where the platform allows that: nobody else may keep any of it.
    pub(crate) fn first_call<R>(&self, call: impl FnOnce() -> R) -> R {
        self.loaded.first_call(call)
    }

    /// Makes the last call into the library, on the thread that then unloads it. What the library
    /// allocates in that call goes when it goes, where the platform allows that.
    pub(crate) fn last_call<R>(&self, call: impl FnOnce() -> R) -> R {
        platform::last_call(call)
    }

    /// Unmaps the library, if that is safe, and notes what it left behind. Takes milliseconds, and up to about a second if threads of
    /// the library are slow to end.
    ///
    /// # Safety
    ///
    /// Nobody calls the library, or uses any reference into it or object of it, any more.
    pub(crate) unsafe fn unload(self, left: &mut LeftBehind) -> UnloadOutcome {
        let Self {
            path,
            prepared,
            loaded,
            staged,
            staging,
        } = self;
        let outcome = match NotNested::enter() {
            // SAFETY: the caller's promise.
            Some(_not_nested) => unsafe { loaded.unload(left) },
            None => UnloadOutcome::Pinned {
                reasons: vec![PinReason::AskedFromInside],
            },
        };
        match outcome {
            UnloadOutcome::Unmapped => {
                staging.keep(&path, ManuallyDrop::into_inner(staged), prepared);
                UnloadOutcome::Unmapped
            }
            UnloadOutcome::Pinned { reasons } => {
                let reasons = reasons
                    .into_iter()
                    .map(|reason| explain(reason, &prepared.facts))
                    .collect();
                UnloadOutcome::Pinned { reasons }
            }
        }
    }
}

/// The reason behind the loader's refusal, where the file tells it.
fn explain(reason: PinReason, facts: &HinderingFacts) -> PinReason {
    match reason {
        PinReason::StillLoaded if facts.unique_symbols > 0 => PinReason::UniqueSymbols {
            count: facts.unique_symbols,
        },
        reason => reason,
    }
}

/// A mark on a thread that is opening or unloading a library. Code of the library that runs meanwhile
/// cannot do the same.
struct NotNested;

thread_local! {
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

impl NotNested {
    fn enter() -> Option<Self> {
        if BUSY.replace(true) { None } else { Some(Self) }
    }
}

impl Drop for NotNested {
    fn drop(&mut self) {
        BUSY.set(false);
    }
}

/// Locks; what another thread did before it panicked is taken as it is, since no lock here is held
/// across a call of foreign code.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
