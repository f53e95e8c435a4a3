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
    known: Known,
    loaded: Loaded,
    /// What of the copy has to stay while the library is mapped.
    staged: ManuallyDrop<Option<Staged>>,
    /// Where that is kept afterwards.
    staging: Staging,
}

/// What is known of a private copy, and stays right while it is not changed.
struct Known {
    prepared: Prepared,
    /// The version of `lpm-api` that it is from, if its ABI was checked.
    lpm_api: Option<String>,
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
        let source = stage::open_source(path)?;
        // SAFETY: the caller's promise.
        #[cfg(target_os = "linux")]
        if let Some(library) = unsafe { Self::open_again(path, &source, staging) } {
            return Ok(library);
        }
        let mut staged = staging.copy(path, &source)?;
        let known = Known {
            prepared: platform::prepare(path, &mut staged, staging.no_delete_policy())?,
            lpm_api: None,
        };
        // SAFETY: the caller vouches for the code; `known` is about this very copy.
        let library = unsafe { Self::map(path, staged, known, staging) };
        let mut library = library.map_err(|message| OpenError::Loader {
            path: path.to_path_buf(),
            message,
        })?;
        // SAFETY: the caller vouches for the code.
        unsafe { library.loaded.start(&library.known.prepared) };
        Ok(library)
    }

    /// Loads the copy of the file that is kept; `None` if there is none, or the file has other contents by
    /// now. That is seen once the copy is mapped, most of it in its place, and before any of it runs.
    ///
    /// # Safety
    ///
    /// As for [`open`](Self::open).
    #[cfg(target_os = "linux")]
    unsafe fn open_again(path: &Path, source: &std::fs::File, staging: &Staging) -> Option<Self> {
        let (staged, known) = staging.take(path)?;
        // SAFETY: the caller vouches for the code; what is known came with the copy.
        let mut library = unsafe { Self::map(path, staged, known, staging) }.ok()?;
        if library.is_copy_of(source) {
            // SAFETY: the file has these contents, and the caller vouches for them.
            unsafe { library.loaded.start(&library.known.prepared) };
            return Some(library);
        }
        let Self { loaded, staged, .. } = library;
        // SAFETY: nobody knows of the library.
        match unsafe { loaded.unload(&mut LeftBehind::default()) } {
            UnloadOutcome::Unmapped => drop(ManuallyDrop::into_inner(staged)),
            pinned @ UnloadOutcome::Pinned { .. } => {
                tracing::warn!(library = %path.display(), "a former version {pinned}");
            }
        }
        None
    }

    /// Maps a private copy; nothing of it runs yet where the platform allows that.
    ///
    /// # Safety
    ///
    /// The caller vouches for the code, and `known` is about this very copy.
    unsafe fn map(
        path: &Path,
        staged: Staged,
        known: Known,
        staging: &Staging,
    ) -> Result<Self, String> {
        // SAFETY: the caller's promise.
        let loaded = unsafe { Loaded::load(&staged.path(), path, &known.prepared) }?;
        Ok(Self {
            path: path.to_path_buf(),
            known,
            loaded,
            staged: ManuallyDrop::new(staged.after_loading()),
            staging: staging.clone(),
        })
    }

    /// Whether the file has the contents that were copied, as far as they matter.
    #[cfg(target_os = "linux")]
    fn is_copy_of(&self, source: &std::fs::File) -> bool {
        let prepared = &self.known.prepared;
        let in_place = self.loaded.in_place(prepared);
        let staged = self.staged.as_ref();
        staged.is_some_and(|staged| staged.is_copy_of(source, prepared, &in_place))
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
        &self.known.prepared.facts
    }

    /// The version of `lpm-api` that it is from, if the ABI of the very same code was checked before.
    pub(crate) fn checked_lpm_api(&self) -> Option<&str> {
        // What it needs may have been exchanged, and may be where its types are from.
        let lpm_api = self.known.lpm_api.as_deref();
        lpm_api.filter(|_| self.loaded.brings_no_other())
    }

    /// Notes that its ABI was checked, and the version of `lpm-api` that it is from.
    pub(crate) fn note_lpm_api(&mut self, version: &str) {
        self.known.lpm_api = self.loaded.brings_no_other().then(|| version.to_owned());
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

    /// Unmaps the library, if that is safe, and notes what it left behind. Takes less than a millisecond, up to
    /// about a second if threads of the library are slow to end, and some seconds if threads get no processor.
    ///
    /// # Safety
    ///
    /// Nobody calls the library, or uses any reference into it or object of it, any more.
    pub(crate) unsafe fn unload(self, left: &mut LeftBehind) -> UnloadOutcome {
        let Self {
            path,
            known,
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
                staging.keep(&path, ManuallyDrop::into_inner(staged), known);
                UnloadOutcome::Unmapped
            }
            UnloadOutcome::Pinned { reasons } => {
                let reasons = reasons
                    .into_iter()
                    .map(|reason| explain(reason, &known.prepared.facts))
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
