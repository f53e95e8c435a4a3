//! Loading where nobody can tell whether unmapping is safe: a library is never unmapped.
//!
//! | platform | why |
//! |---|---|
//! | macOS | The system keeps a library with thread-locals that have destructors, which a Rust library has as soon as it uses `thread::current`; of its threads, exit handlers and signal handlers the host knows nothing. |
//! | musl | `dlclose` does nothing. |
//! | other | What a library leaves behind in threads is known neither to the system nor to the host. |
//!
//! Loading, deciding and deinitializing work as everywhere, and a reload runs the new code. The
//! library's initializers and finalizers are the loader's business. Each load keeps the memory of
//! the last one.

use std::ffi::{CStr, c_void};
use std::path::Path;
use std::ptr::NonNull;
use std::time::Duration;

use crate::error::OpenError;
use crate::facts::HinderingFacts;
use crate::os::{Handle, LoaderError};
use crate::outcome::{LeftBehind, PinReason, UnloadOutcome};
use crate::stage::{Copies, NoDelete, Staged};

const WHY: &str = if cfg!(target_vendor = "apple") {
    "macOS keeps libraries with thread-locals, and what else this one left behind cannot be told"
} else if cfg!(target_env = "musl") {
    "musl's dlclose unmaps nothing"
} else {
    "what the library left behind in threads cannot be told"
};

/// Threads keep nothing that could be destroyed before they end.
pub(super) fn visit_thread() {}

/// Makes the last call into a library.
pub(super) fn last_call<R>(call: impl FnOnce() -> R) -> R {
    call()
}

/// A private copy that is ready to be loaded.
pub(super) struct Prepared {
    pub(super) facts: HinderingFacts,
}

/// Checks a private copy. Its flags stay as they are, since it will not be unmapped anyway.
/// `original` is for error messages.
pub(super) fn prepare(
    original: &Path,
    staged: &mut Staged,
    copies: &Copies,
) -> Result<Prepared, OpenError> {
    let path = || original.to_path_buf();
    let facts = read(staged).map_err(|problem| OpenError::Format {
        path: path(),
        problem,
    })?;
    if facts.no_delete && copies.no_delete_policy() == NoDelete::Refuse {
        return Err(OpenError::NoDelete { path: path() });
    }
    staged.seal().map_err(|source| OpenError::Staging {
        path: path(),
        directory: staged.path(),
        source,
        memory: None,
    })?;
    Ok(Prepared { facts })
}

#[cfg(not(target_vendor = "apple"))]
fn read(staged: &Staged) -> Result<HinderingFacts, crate::error::FormatProblem> {
    let image = super::elf::Image::read(staged.file())?;
    Ok(image.facts().clone())
}

/// Apple's loader checks the format, the machine and the signature itself; only what it has no good
/// words for is told here.
#[cfg(target_vendor = "apple")]
fn read(staged: &Staged) -> Result<HinderingFacts, crate::error::FormatProblem> {
    match staged.file().metadata() {
        Ok(metadata) if metadata.len() == 0 => Err(crate::error::FormatProblem::Empty),
        _ => Ok(HinderingFacts::default()),
    }
}

/// A library that is mapped.
pub(super) struct Loaded {
    handle: Handle,
}

impl Loaded {
    /// Loads the private copy at `path`.
    ///
    /// # Safety
    ///
    /// The caller vouches for the code in the library and in what it needs.
    pub(super) unsafe fn load(path: &Path, _: &Path, _: &Prepared) -> Result<Self, LoaderError> {
        // SAFETY: the caller vouches for the code.
        let handle = unsafe { Handle::open(path) }?;
        Ok(Self { handle })
    }

    /// Its initializers have run when it was loaded.
    ///
    /// # Safety
    ///
    /// As on other platforms; nothing depends on it here.
    #[expect(clippy::unused_self, reason = "as on other platforms")]
    pub(super) unsafe fn start(&mut self, _: &Prepared) {}

    /// No thread is waited for.
    #[expect(clippy::unused_self, reason = "as on other platforms")]
    pub(super) fn await_threads(&self, _limit: Duration, _idle: Duration) -> usize {
        0
    }

    /// Makes the first call into the library.
    #[expect(clippy::unused_self, reason = "as on other platforms")]
    pub(super) fn first_call<R>(&self, call: impl FnOnce() -> R) -> R {
        call()
    }

    /// Whether nothing else was mapped for its sake; never known here.
    #[expect(clippy::unused_self, reason = "as on other platforms")]
    pub(super) fn brings_no_other(&self) -> bool {
        false
    }

    /// The address of an exported symbol.
    pub(super) fn symbol(&self, name: &CStr) -> Option<NonNull<c_void>> {
        self.handle.symbol(name)
    }

    /// Leaves the library mapped, and says why.
    ///
    /// # Safety
    ///
    /// As on other platforms; nothing depends on it here.
    #[expect(clippy::unused_self, reason = "as on other platforms")]
    pub(super) unsafe fn unload(self, _: &mut LeftBehind) -> UnloadOutcome {
        UnloadOutcome::Pinned {
            reasons: vec![PinReason::Platform { why: WHY }],
        }
    }
}
