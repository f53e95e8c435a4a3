//! Unloading that is verified, on Windows.
//!
//! Windows helps where other systems leave traps: it calls every library when a thread ends, and
//! the library's standard library destroys its thread-locals of that thread then, as long as it is
//! mapped. No destructor is left with a thread, so none runs after the library is gone. What a
//! library has in threads that go on is not destroyed, and their memory is lost; a library's
//! threads are what must not outlive it. They are found by the function they started with
//! ([`threads`]).
//!
//! A process has 1088 indexes of thread-local storage, and the standard library takes some where it
//! does not use the compiler's thread-locals (`windows-gnu`), for good. [`indexes`] gives them
//! back.
//!
//! After `FreeLibrary`, the loader is asked whether it still knows the private copy. If so, that
//! very question took it again, so that nobody else's `FreeLibrary` unmaps it unchecked.
//!
//! # What is not seen
//!
//! - Threads that another library started for this one, such as those of the system's thread pool
//!   or of a C runtime in a library of its own; threads of libraries that this one needs.
//! - Callbacks that the library gave to the system, to other libraries or to the host, and objects
//!   it made: the caller vouches that none is used any more.

mod indexes;
mod missing;
mod threads;

use std::ffi::{CStr, c_void};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::OpenError;
use crate::facts::HinderingFacts;
use crate::os::{Handle, LoaderError};
use crate::outcome::{LeftBehind, PinReason, UnloadOutcome};
use crate::pe::{Image, Slots};
use crate::stage::{Copies, Staged};

/// How long threads that are about to end are waited for.
const PATIENCE: Duration = Duration::from_millis(250);

/// Threads keep nothing that could be destroyed before they end.
pub(super) fn visit_thread() {}

/// Makes the last call into a library.
pub(super) fn last_call<R>(call: impl FnOnce() -> R) -> R {
    call()
}

/// A private copy that is ready to be loaded.
pub(super) struct Prepared {
    pub(super) facts: HinderingFacts,
    /// The memory it will take, in bytes.
    size: usize,
    slots: Slots,
}

/// Checks a private copy. There is no flag to clear: on Windows a library can only ask to stay when
/// it runs. `original` is for error messages.
pub(super) fn prepare(
    original: &Path,
    staged: &mut Staged,
    _copies: &Copies,
) -> Result<Prepared, OpenError> {
    let path = || original.to_path_buf();
    let image = Image::read(staged.file()).map_err(|problem| OpenError::Format {
        path: path(),
        problem,
    })?;
    staged.seal().map_err(|source| OpenError::Staging {
        path: path(),
        directory: staged.path(),
        source,
        memory: None,
    })?;
    Ok(Prepared {
        facts: image.facts,
        size: image.size,
        slots: image.slots,
    })
}

/// A library that is mapped.
pub(super) struct Loaded {
    handle: Handle,
    /// The private copy.
    path: PathBuf,
    /// The memory that it takes.
    range: Range<usize>,
}

impl Loaded {
    /// Loads the private copy at `path`; the library itself lies at `original`.
    ///
    /// # Safety
    ///
    /// The caller vouches for the code in the library and in what it needs, and `prepared` is about
    /// this file.
    pub(super) unsafe fn load(
        path: &Path,
        original: &Path,
        prepared: &Prepared,
    ) -> Result<Self, LoaderError> {
        // SAFETY: the caller vouches for the code.
        let handle = unsafe { Handle::open(path, original) };
        let handle = handle.map_err(|error| {
            let missing = missing::missing(original, &prepared.facts.needed);
            missing.map_or(error, LoaderError)
        })?;
        let base = handle.base();
        let range = base..base.saturating_add(prepared.size);
        // SAFETY: `prepared` is about this file, so this is where its imports are; the caller of
        // `unload` vouches for the rest.
        unsafe { indexes::watch(&range, &prepared.slots) };
        Ok(Self {
            handle,
            path: path.to_path_buf(),
            range,
        })
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

    /// Unmaps the library if that is safe.
    ///
    /// # Safety
    ///
    /// Nobody calls the library or uses anything of it any more.
    pub(super) unsafe fn unload(self, _: &mut LeftBehind) -> UnloadOutcome {
        let reasons = wait_for_threads(&self.range);
        if !reasons.is_empty() {
            return UnloadOutcome::Pinned { reasons };
        }
        // SAFETY: the library has no thread any more, and the caller promises that nobody else uses
        // it.
        if let Err(message) = unsafe { self.handle.close() } {
            tracing::warn!("the loader could not close a library: {message}");
        }
        let reason = match Handle::open_again(&self.path) {
            Ok(None) => {
                indexes::give_back(&self.range);
                return UnloadOutcome::Unmapped;
            }
            Ok(Some(_taken_for_good)) => PinReason::StillLoaded,
            Err(error) => PinReason::CannotVerify {
                what: format!("whether the loader knows {}: {error}", self.path.display()),
            },
        };
        UnloadOutcome::Pinned {
            reasons: vec![reason],
        }
    }
}

/// Waits until no thread is left that started with a function in this range; returns what is still
/// there.
fn wait_for_threads(range: &Range<usize>) -> Vec<PinReason> {
    let begun = Instant::now();
    let mut pause = Duration::from_micros(50);
    loop {
        let reasons = match threads::started_in(range) {
            Ok(threads) => threads.into_iter().map(PinReason::ThreadRunning).collect(),
            Err(error) => vec![PinReason::CannotVerify {
                what: format!("which threads the library started: {error}"),
            }],
        };
        if reasons.is_empty() || begun.elapsed() > PATIENCE {
            return reasons;
        }
        thread::sleep(pause);
        pause = (2 * pause).min(Duration::from_millis(5));
    }
}
