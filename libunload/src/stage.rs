//! The private copy that is loaded in place of the library's file.
//!
//! A library is never loaded from where it lies: overwriting a file that is mapped changes or
//! removes code that runs, and the loader takes an unchanged path for the library it already has.
//! The copy has a path that nobody else knows and that is never used again. What is checked is the
//! copy, so what is checked is what runs.
//!
//! On Linux the copy is kept in memory, unless the embedder names a directory: that leaves nothing
//! behind and needs no file system that is writable and not mounted `noexec`. Each way stands in
//! for the other where it fails.
//!
//! Debugging information, most of a library's file, is not copied, unless somebody wants to debug.
//! A copy in memory is kept when its library is unloaded, and serves again in this process if the
//! file still has the same [stamp](crate::stamp::FileStamp) then.

mod bytes;
#[cfg(target_os = "linux")]
mod kept;
#[cfg(target_os = "linux")]
mod lease;
#[cfg(target_os = "linux")]
pub(crate) mod memory;
mod no_delete;
mod on_disk;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use self::on_disk::StagedFile;
use crate::error::OpenError;
#[cfg(target_os = "linux")]
use crate::stamp::FileStamp;

pub use self::no_delete::NoDelete;

/// How the private copies are made.
#[derive(Clone, Debug, Default)]
pub struct Copies {
    directory: Option<PathBuf>,
    no_delete: NoDelete,
    whole: bool,
    debuggable: bool,
}

impl Copies {
    /// Keeps the copies in memory, or else in the system's directory for temporary files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the copies in this directory, which is created if need be, or else in memory.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: Some(directory.into()),
            ..Self::default()
        }
    }

    /// What to do with libraries that are linked as not to be unloaded.
    #[must_use]
    pub fn no_delete(mut self, policy: NoDelete) -> Self {
        self.no_delete = policy;
        self
    }

    /// Has the copies be the same as their files to the last byte: with debugging information,
    /// which is left out otherwise. They are not kept for another time.
    #[must_use]
    pub const fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// Has debuggers and profilers find their way: the copies are [whole](Self::whole), and files
    /// of the library's name that stay in a directory of their own until the library is unloaded.
    #[must_use]
    pub const fn debuggable(mut self) -> Self {
        self.debuggable = true;
        self.whole()
    }

    /// The policy for libraries that are linked as not to be unloaded.
    #[cfg(not(windows))]
    pub(super) fn no_delete_policy(&self) -> NoDelete {
        self.no_delete
    }

    /// Whether debuggers are to find their way.
    #[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
    pub(super) const fn is_debuggable(&self) -> bool {
        self.debuggable
    }

    /// Takes the copy that is kept of the file at `path`, if it has this stamp, with what its user
    /// knew of it.
    #[cfg(target_os = "linux")]
    pub(super) fn take<K: 'static>(&self, path: &Path, stamp: FileStamp) -> Option<(Staged, K)> {
        if self.whole {
            return None;
        }
        let (file, known) = kept::take(&self.purpose(path), stamp)?;
        let stamp = Some(stamp);
        Some((Staged::Memory { file, stamp }, *known.downcast().ok()?))
    }

    /// Keeps the copy of a library that is not loaded any more.
    #[cfg_attr(not(target_os = "linux"), expect(clippy::unused_self))]
    pub(super) fn keep<K: Send + 'static>(&self, path: &Path, staged: Option<Staged>, known: K) {
        #[cfg(target_os = "linux")]
        if let Some(Staged::Memory {
            file,
            stamp: Some(stamp),
        }) = staged.filter(|_| !self.whole)
        {
            kept::add(self.purpose(path), file, stamp, Box::new(known));
        }
        #[cfg(not(target_os = "linux"))]
        drop((path, staged, known));
    }

    #[cfg(target_os = "linux")]
    fn purpose(&self, original: &Path) -> kept::Purpose {
        kept::Purpose {
            original: original.to_path_buf(),
            directory: self.directory.clone(),
            no_delete: self.no_delete,
        }
    }

    /// Copies the file `source`, which stands at `path`.
    pub(super) fn copy(&self, path: &Path, source: &File) -> Result<Staged, OpenError> {
        let directory = self.directory.clone().unwrap_or_else(std::env::temp_dir);
        let in_memory = || Staged::in_memory(source, path, self.whole);
        let on_disk = || Staged::on_disk(source, path, &directory, self.whole);
        let (copied, memory) = match self.directory.is_some() || self.debuggable {
            false => match in_memory() {
                Ok(copied) => (Ok(copied), None),
                Err(memory) => (on_disk(), memory),
            },
            true => on_disk().map_or_else(
                |error| match in_memory() {
                    Ok(copied) => {
                        tracing::warn!(
                            library = %path.display(), directory = %directory.display(),
                            "the private copy is kept in memory, since the directory fails: {error}"
                        );
                        (Ok(copied), None)
                    }
                    Err(memory) => (Err(error), memory),
                },
                |copied| (Ok(copied), None),
            ),
        };
        let path = path.to_path_buf();
        match copied {
            Ok(Some(staged)) => Ok(staged),
            Ok(None) => Err(OpenError::Changing { path }),
            Err(source) => Err(OpenError::Staging {
                path,
                directory,
                source,
                memory,
            }),
        }
    }
}

/// A private copy. Dropping it removes it.
pub(super) enum Staged {
    /// A file in a directory of its own.
    File(StagedFile),
    /// A file without a place in the file system (`memfd_create`).
    #[cfg(target_os = "linux")]
    Memory {
        file: File,
        /// That of the original, if it tells that from what it may become.
        stamp: Option<FileStamp>,
    },
}

impl Staged {
    /// `None` if the original changes all the time.
    fn on_disk(
        source: &File,
        original: &Path,
        parent: &Path,
        whole: bool,
    ) -> io::Result<Option<Self>> {
        on_disk::remove_abandoned(parent);
        let staged = StagedFile::create(parent, original)?;
        let copied = bytes::copy(source, staged.file(), whole)?;
        #[cfg(target_os = "linux")]
        memory::check_executable(staged.file())?;
        Ok(copied.then_some(Self::File(staged)))
    }

    /// Fails without an error where there is no such thing.
    #[cfg(target_os = "linux")]
    fn in_memory(
        source: &File,
        original: &Path,
        whole: bool,
    ) -> Result<Option<Self>, Option<io::Error>> {
        let file = memory::create(original)?;
        memory::check_named(&file)?;
        let stamp = FileStamp::settled(source)?;
        let copied = bytes::copy(source, &file, whole)?;
        memory::check_executable(&file)?;
        // Then it was changed meanwhile.
        let stamp =
            stamp.filter(|stamp| source.metadata().is_ok_and(|now| *stamp == (&now).into()));
        Ok(copied.then_some(Self::Memory { file, stamp }))
    }

    #[cfg(not(target_os = "linux"))]
    fn in_memory(
        _source: &File,
        _original: &Path,
        _whole: bool,
    ) -> Result<Option<Self>, Option<io::Error>> {
        Err(None)
    }

    /// The open copy.
    pub(super) fn file(&self) -> &File {
        match self {
            Self::File(staged) => staged.file(),
            #[cfg(target_os = "linux")]
            Self::Memory { file, .. } => file,
        }
    }

    /// The path to load the copy from.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::File(staged) => staged.path().to_path_buf(),
            #[cfg(target_os = "linux")]
            Self::Memory { file, .. } => {
                use std::os::fd::AsRawFd;
                // The descriptor has to stay open as long as the loader knows this name: it would
                // take another file with the same number for this one. Debuggers look at the name,
                // so it is one that means the same to them.
                let process = fs::read_link("/proc/self").unwrap_or_else(|_| "self".into());
                Path::new("/proc")
                    .join(process)
                    .join(format!("fd/{}", file.as_raw_fd()))
            }
        }
    }

    /// Ends all writing to the copy, before it is loaded.
    pub(super) fn seal(&mut self) -> io::Result<()> {
        match self {
            Self::File(staged) => staged.seal(),
            #[cfg(target_os = "linux")]
            Self::Memory { file, .. } => memory::seal(file),
        }
    }

    /// Removes what need not stay while the library is loaded: a file, unless the system does not
    /// let go of it (Windows) or looks for it again (macOS), or debuggers are to find it.
    pub(super) fn after_loading(self, copies: &Copies) -> Option<Self> {
        let may_go = cfg!(all(unix, not(target_vendor = "apple"))) && !copies.debuggable;
        match self {
            Self::File(_) if may_go => None,
            staying => Some(staying),
        }
    }
}

/// Opens the file of a library; anything else than a file is not opened.
pub(super) fn open_source(path: &Path) -> Result<File, OpenError> {
    let unreadable = |source| OpenError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    // Looked at before it is opened, since opening a FIFO waits for a writer.
    let kind = fs::metadata(path).map_err(unreadable)?.file_type();
    let found = match kind {
        kind if kind.is_file() => return File::open(path).map_err(unreadable),
        kind if kind.is_dir() => "a directory",
        _ => "a device, pipe or socket",
    };
    Err(OpenError::NotAFile {
        path: path.to_path_buf(),
        found,
    })
}
