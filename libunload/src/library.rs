//! A library that is open: from its private copy to the proof that nothing of it is mapped.

use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::fs::File;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::time::Duration;

use crate::error::OpenError;
use crate::facts::{Hazard, HinderingFacts};
use crate::outcome::{LeftBehind, PinReason, UnloadOutcome};
use crate::platform::{self, Loaded, Prepared};
use crate::stage::{self, Copies, Staged};
#[cfg(target_os = "linux")]
use crate::stamp::FileStamp;

/// A private copy of a library, loaded and watched.
///
/// Dropping it leaves the library mapped for good, which is always safe; only
/// [`unload`](Self::unload) unmaps it.
pub struct Library {
    /// The original.
    path: PathBuf,
    known: Known,
    loaded: Loaded,
    /// What of the copy has to stay while the library is mapped.
    staged: ManuallyDrop<Option<Staged>>,
    /// Where that is kept afterwards.
    copies: Copies,
}

/// What is known of a private copy, and stays right while it is not changed.
pub(crate) struct Known {
    prepared: Prepared,
    /// What the caller has noted of it.
    note: Option<String>,
}

/// A private copy of a library's file of which nothing is mapped yet, to be looked at first: what
/// is checked is what then runs, whatever becomes of the file in the meantime.
///
/// ```no_run
/// use libunload::{Copies, PrivateCopy};
///
/// # fn is_signed(_: &std::fs::File) -> bool { true }
/// let copy = PrivateCopy::of("plugin.so".as_ref(), &Copies::new().whole())?;
/// if is_signed(copy.file()) {
///     // SAFETY: it is signed by somebody whom we trust.
///     let library = unsafe { copy.load() }?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PrivateCopy {
    path: PathBuf,
    original: File,
    staged: Staged,
    copies: Copies,
}

impl PrivateCopy {
    /// Copies the file at `path`. What is no part of the loaded library (debugging information) is
    /// a hole in the copy, unless it is to be [whole](Copies::whole).
    ///
    /// # Errors
    ///
    /// There is no file, or no private copy of it can be made.
    pub fn of(path: &Path, copies: &Copies) -> Result<Self, OpenError> {
        let original = stage::open_source(path)?;
        Ok(Self {
            staged: copies.copy(path, &original)?,
            path: path.to_path_buf(),
            original,
            copies: copies.clone(),
        })
    }

    /// The file that was copied, open since before it was.
    #[must_use]
    pub const fn original(&self) -> &File {
        &self.original
    }

    /// The copy, at any position.
    #[must_use]
    pub fn file(&self) -> &File {
        self.staged.file()
    }

    /// Loads the copy, as [`Library::open`] does.
    ///
    /// # Errors
    ///
    /// As [`Library::open`].
    ///
    /// # Safety
    ///
    /// As for [`Library::open`].
    pub unsafe fn load(self) -> Result<Library, OpenError> {
        let Some(_not_nested) = NotNested::enter() else {
            return Err(OpenError::Nested { path: self.path });
        };
        // SAFETY: the caller's promise.
        unsafe { Library::prepare_and_start(&self.path, self.staged, &self.copies) }
    }
}

impl Library {
    /// Loads a private copy of the file at `path`.
    ///
    /// # Errors
    ///
    /// The file is no library that can be loaded here, no private copy of it can be made, or this
    /// is called from an initializer of a library that is being loaded.
    ///
    /// # Safety
    ///
    /// The caller vouches for the code in the file, and in the libraries it needs: their
    /// initializers run here.
    pub unsafe fn open(path: &Path, copies: &Copies) -> Result<Self, OpenError> {
        let Some(_not_nested) = NotNested::enter() else {
            return Err(OpenError::Nested {
                path: path.to_path_buf(),
            });
        };
        let source = stage::open_source(path)?;
        #[cfg(target_os = "linux")]
        if let Some((staged, known)) = Self::kept(path, &source, copies) {
            // SAFETY: the caller vouches for the code; what is known came with the copy.
            return unsafe { Self::map_and_start(path, staged, known, copies) };
        }
        let staged = copies.copy(path, &source)?;
        // SAFETY: the caller vouches for the code.
        unsafe { Self::prepare_and_start(path, staged, copies) }
    }

    /// # Safety
    ///
    /// The caller vouches for the code.
    unsafe fn prepare_and_start(
        path: &Path,
        mut staged: Staged,
        copies: &Copies,
    ) -> Result<Self, OpenError> {
        let known = Known {
            prepared: platform::prepare(path, &mut staged, copies)?,
            note: None,
        };
        // SAFETY: the caller's promise; `known` is about this very copy.
        unsafe { Self::map_and_start(path, staged, known, copies) }
    }

    /// The copy of the file that is kept, if the file is still the same.
    #[cfg(target_os = "linux")]
    fn kept(path: &Path, source: &File, copies: &Copies) -> Option<(Staged, Known)> {
        copies.take(path, FileStamp::from(&source.metadata().ok()?))
    }

    /// Maps a private copy, and has its initializers run.
    ///
    /// # Safety
    ///
    /// The caller vouches for the code, and `known` is about this very copy.
    unsafe fn map_and_start(
        path: &Path,
        staged: Staged,
        known: Known,
        copies: &Copies,
    ) -> Result<Self, OpenError> {
        // SAFETY: the caller's promise.
        let loaded = unsafe { Loaded::load(&staged.path(), path, &known.prepared) };
        let mut loaded = loaded.map_err(|error| OpenError::Loader {
            path: path.to_path_buf(),
            message: error.to_string(),
        })?;
        // SAFETY: the caller vouches for the code.
        unsafe { loaded.start(&known.prepared) };
        Ok(Self {
            path: path.to_path_buf(),
            known,
            loaded,
            staged: ManuallyDrop::new(staged.after_loading(copies)),
            copies: copies.clone(),
        })
    }

    /// The original's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The address of an exported symbol.
    #[must_use]
    pub fn symbol(&self, name: &CStr) -> Option<NonNull<c_void>> {
        self.loaded.symbol(name)
    }

    /// An exported function, as a function pointer of type `F`.
    ///
    /// ```no_run
    /// # use libunload::{Copies, Library};
    /// # let path = std::path::Path::new("plugin.so");
    /// // SAFETY: the plugin is ours.
    /// let library = unsafe { Library::open(path, &Copies::new()) }?;
    /// // SAFETY: it declares `extern "C" fn answer() -> i32`, and is not unloaded before the call ends.
    /// let answer = unsafe { library.function::<extern "C" fn() -> i32>(c"answer") };
    /// println!("{:?}", answer.map(|answer| answer()));
    /// # Ok::<(), libunload::OpenError>(())
    /// ```
    ///
    /// # Safety
    ///
    /// The function has this type, and is not called once the library is unloaded.
    ///
    /// # Panics
    ///
    /// `F` is not of the size of a pointer; that is found when the program is compiled.
    #[must_use]
    pub unsafe fn function<F: Copy>(&self, name: &CStr) -> Option<F> {
        const {
            assert!(
                size_of::<F>() == size_of::<*const c_void>(),
                "F has to be a type of functions"
            );
        }
        let address = self.symbol(name)?.as_ptr();
        // SAFETY: both have the same size, and the caller promises that this is an address of an
        // `F`.
        Some(unsafe { std::mem::transmute_copy::<*mut c_void, F>(&address) })
    }

    /// What about the library could hinder unloading it.
    #[must_use]
    pub fn hazards(&self) -> Vec<Hazard> {
        self.known.prepared.facts.hazards()
    }

    /// What of the file could hinder unloading it.
    #[cfg(all(
        test,
        not(loom),
        all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")
    ))]
    pub(crate) fn facts(&self) -> &HinderingFacts {
        &self.known.prepared.facts
    }

    /// What was [noted](Self::set_note) of these very bytes, when they were loaded before.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        // What it needs may have been exchanged meanwhile.
        let note = self.known.note.as_deref();
        note.filter(|_| self.loaded.brings_no_other())
    }

    /// Notes what the caller has found out about the library, say that its ABI fits. The note stays
    /// with the copy, and is gone when the file has other contents, or when the library brings
    /// others along.
    pub fn set_note(&mut self, note: &str) {
        self.known.note = self.loaded.brings_no_other().then(|| note.to_owned());
    }

    /// Which file in memory it was loaded from: its inode, and the descriptor.
    #[cfg(all(test, target_os = "linux"))]
    pub(crate) fn loaded_from(&self) -> Option<(u64, i32)> {
        use std::os::fd::AsRawFd;
        use std::os::unix::fs::MetadataExt;

        let file = self.staged.as_ref()?.file();
        Some((file.metadata().ok()?.ino(), file.as_raw_fd()))
    }

    /// Makes the first call into the library, after its initializers. What the library allocates in
    /// that call goes when it goes, where the platform allows that: nobody else may keep any of it.
    pub fn first_call<R>(&self, call: impl FnOnce() -> R) -> R {
        self.loaded.first_call(call)
    }

    /// Makes the last call into the library, on the thread that then unloads it. What the library
    /// allocates in that call goes when it goes, where the platform allows that.
    pub fn last_call<R>(&self, call: impl FnOnce() -> R) -> R {
        platform::last_call(call)
    }

    /// Asks the threads in which the library keeps values (`thread_local!` in Rust, `thread_local`
    /// in C++) to destroy them, and waits until they have: at most for `limit`, and not longer than
    /// `idle` in which no thread comes by. A thread does so when it calls
    /// [`visit_thread`](crate::visit_thread) or ends; to be called when nobody calls the library
    /// any more, and before [`unload`](Self::unload), which forgets the rest and says how many they
    /// were ([`LeftBehind::thread_locals`]).
    ///
    /// Returns how many are left. Where threads keep nothing that the library could take with it
    /// (see the platforms in the crate's documentation), that is 0 at once.
    pub fn await_threads(&self, limit: Duration, idle: Duration) -> usize {
        self.loaded.await_threads(limit, idle)
    }

    /// Unmaps the library, if that is safe, and notes what it left behind. Takes less than a
    /// millisecond, up to about a second if threads of the library are slow to end, and some
    /// seconds if threads get no processor.
    ///
    /// # Safety
    ///
    /// Nobody calls the library, or uses any reference into it or object of it, any more.
    pub unsafe fn unload(self, left: &mut LeftBehind) -> UnloadOutcome {
        let Self {
            path,
            known,
            loaded,
            staged,
            copies,
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
                copies.keep(&path, ManuallyDrop::into_inner(staged), known);
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

/// Destroys what leaving libraries keep in the current thread, as the thread's end would, if any
/// waits for that ([`Library::await_threads`]). For threads that call libraries, whenever they are
/// not inside one; costs a load where nobody waits.
#[inline]
pub fn visit_thread() {
    platform::visit_thread();
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

/// A mark on a thread that is opening or unloading a library. Code of the library that runs
/// meanwhile cannot do the same.
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
