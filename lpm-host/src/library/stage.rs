//! The private copy that is loaded in place of the library's file.
//!
//! A library is never loaded from where it lies: overwriting a file that is mapped changes or
//! removes code that runs, and the loader takes an unchanged path for the library it already has. The
//! copy has a path that nobody else knows and that is never used again. What is checked is the copy,
//! so what is checked is what runs.
//!
//! On Linux the copy is kept in memory, unless the embedder names a directory: that leaves nothing
//! behind and needs no file system that is writable and not mounted `noexec`. Each way stands in for
//! the other where it fails.
//!
//! A copy on disk is removed as soon as it is mapped; the kernel keeps its contents. Windows does not
//! remove a mapped file, so the copy lies there until the library is unloaded. A host that crashes may
//! leave a copy behind: the directory around it is locked while its process lives, and a directory that
//! nobody locks is removed when the next host starts.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempDir;

use super::{OpenError, lock};

/// How the names of the directories with copies begin; the process number follows.
const PREFIX: &str = "lpm-host.";

/// How the private copies are made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Staging {
    directory: Option<PathBuf>,
    no_delete: NoDelete,
}

/// What to do with a library that is linked as not to be unloaded (`DF_1_NODELETE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoDelete {
    /// Load it; it will stay mapped.
    #[default]
    Keep,
    /// Clear the flag in the copy. Right for libraries that bear it because their thread-local
    /// destructors and exit handlers could outlive them: those are taken care of here.
    Clear,
    /// Do not load it.
    Refuse,
}

impl Staging {
    /// Keeps the copies in memory, or else in the system's directory for temporary files.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Makes the copies in this directory, which is created if need be, or else in memory.
    pub(crate) fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: Some(directory.into()),
            ..Self::default()
        }
    }

    /// What to do with libraries that are linked as not to be unloaded.
    pub(crate) fn no_delete(mut self, policy: NoDelete) -> Self {
        self.no_delete = policy;
        self
    }

    /// The policy for libraries that are linked as not to be unloaded.
    pub(super) fn no_delete_policy(&self) -> NoDelete {
        self.no_delete
    }

    /// Copies the file at `path`.
    pub(super) fn stage(&self, path: &Path) -> Result<Staged, OpenError> {
        let source = open_source(path)?;
        let directory = self.directory.clone().unwrap_or_else(std::env::temp_dir);
        let in_memory = || Staged::in_memory(&source, path);
        let on_disk = || Staged::on_disk(&source, path, &directory);
        let (copied, memory) = match &self.directory {
            None => match in_memory() {
                Ok(copied) => (Ok(copied), None),
                Err(memory) => (on_disk(), memory),
            },
            Some(_) => on_disk().map_or_else(
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
            Ok(Copied {
                staged,
                unchanged: true,
            }) => Ok(staged),
            Ok(Copied {
                unchanged: false, ..
            }) => Err(OpenError::Changing { path }),
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
    Memory(File),
}

/// A copy on disk. The order of the fields is the order of closing and removing.
pub(super) struct StagedFile {
    file: File,
    path: PathBuf,
    _claim: Option<Claim>,
    directory: TempDir,
}

/// A private copy, and whether the original stayed the same while it was made.
struct Copied {
    staged: Staged,
    unchanged: bool,
}

impl Staged {
    fn on_disk(source: &File, original: &Path, parent: &Path) -> io::Result<Copied> {
        remove_abandoned(parent);
        let staged = StagedFile::create(parent, original)?;
        let unchanged = copy(source, &staged.file)?;
        #[cfg(target_os = "linux")]
        memory::check_executable(&staged.file)?;
        Ok(Copied {
            staged: Self::File(staged),
            unchanged,
        })
    }

    /// Fails without an error where there is no such thing.
    #[cfg(target_os = "linux")]
    fn in_memory(source: &File, original: &Path) -> Result<Copied, Option<io::Error>> {
        let file = memory::create(original)?;
        let unchanged = copy(source, &file)?;
        memory::check_executable(&file)?;
        Ok(Copied {
            staged: Self::Memory(file),
            unchanged,
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn in_memory(_source: &File, _original: &Path) -> Result<Copied, Option<io::Error>> {
        Err(None)
    }

    /// The open copy.
    pub(super) fn file(&self) -> &File {
        match self {
            Self::File(staged) => &staged.file,
            #[cfg(target_os = "linux")]
            Self::Memory(file) => file,
        }
    }

    /// The path to load the copy from.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::File(staged) => staged.path.clone(),
            #[cfg(target_os = "linux")]
            Self::Memory(file) => {
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
            Self::File(staged) => {
                staged.file = File::open(&staged.path)?;
                Ok(())
            }
            #[cfg(target_os = "linux")]
            Self::Memory(file) => memory::seal(file),
        }
    }

    /// Removes what need not stay while the library is loaded: a file, unless the system does not let
    /// go of it (Windows) or looks for it again (macOS).
    pub(super) fn after_loading(self) -> Option<Self> {
        match self {
            Self::File(_) if cfg!(all(unix, not(target_vendor = "apple"))) => None,
            staying => Some(staying),
        }
    }
}

impl StagedFile {
    /// Makes an empty file in a new directory, both for this user only.
    fn create(parent: &Path, original: &Path) -> io::Result<Self> {
        create_parent(parent)?;
        loop {
            let mut builder = tempfile::Builder::new();
            let prefix = format!("{PREFIX}{}.", std::process::id());
            builder.prefix(&prefix);
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
            let directory = builder.tempdir_in(parent)?;
            let claim = match Claim::new(directory.path()) {
                // Another host has cleaned up between making and claiming it.
                Ok(None) => continue,
                Ok(claim) => claim,
                // Not every file system locks directories; on others nobody cleans up.
                Err(_) => None,
            };
            // The name says to people and debuggers what is mapped.
            let path = directory
                .path()
                .join(original.file_name().unwrap_or("library".as_ref()));
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.open(&path)?;
            return Ok(Self {
                file,
                path,
                _claim: claim,
                directory,
            });
        }
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // `TempDir` removes the rest; it says nothing when it cannot, as after a change of users.
        if let Err(error) = fs::remove_file(&self.path) {
            let directory = self.directory.path().display();
            tracing::warn!("cannot remove the private copy in {directory}: {error}");
        }
    }
}

fn create_parent(parent: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(parent)
}

fn open_source(path: &Path) -> Result<File, OpenError> {
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

/// Copies the whole file; `false` when it was changed meanwhile, time and again.
fn copy(mut source: &File, mut copy: &File) -> io::Result<bool> {
    const ATTEMPTS: usize = 3;
    for _ in 0..ATTEMPTS {
        let before = source.metadata()?;
        io::Seek::rewind(&mut source)?;
        io::Seek::rewind(&mut copy)?;
        copy.set_len(0)?;
        let copied = io::copy(&mut source, &mut copy)?;
        let after = source.metadata()?;
        if copied == before.len() && same_contents(&before, &after) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn same_contents(before: &Metadata, after: &Metadata) -> bool {
    before.len() == after.len() && before.modified().ok() == after.modified().ok()
}

/// Removes the directories of hosts that ended without doing so; once per process and place.
fn remove_abandoned(parent: &Path) {
    static DONE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    {
        let mut done = lock(&DONE);
        if done.iter().any(|path| path == parent) {
            return;
        }
        done.push(parent.to_path_buf());
    }
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX));
        if ours && entry.file_type().is_ok_and(|kind| kind.is_dir()) && abandoned(&entry.path()) {
            // Without permission it is another user's.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether no living process claims the directory.
fn abandoned(directory: &Path) -> bool {
    matches!(Claim::new(directory), Ok(Some(_)))
}

/// Says to other hosts that the process that uses a directory lives, until this is dropped.
struct Claim {
    /// The directory, locked; on Windows, a file in it that nobody else can open or remove.
    _lock: File,
}

impl Claim {
    /// Claims a directory; `None` if another process does, or has just removed it.
    #[cfg(unix)]
    fn new(directory: &Path) -> io::Result<Option<Self>> {
        let lock = match File::open(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let claimed = super::os::lock_exclusively(&lock)? && directory.exists();
        Ok(claimed.then_some(Self { _lock: lock }))
    }

    /// Claims a directory; `None` if another process does, or has just removed it.
    #[cfg(windows)]
    fn new(directory: &Path) -> io::Result<Option<Self>> {
        use std::os::windows::fs::OpenOptionsExt;
        use windows_sys::Win32::Foundation::ERROR_SHARING_VIOLATION;

        let claimed = i32::try_from(ERROR_SHARING_VIOLATION).ok();
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create(true)
            .truncate(false)
            .share_mode(0);
        match options.open(directory.join("lpm-host.claim")) {
            Ok(lock) => Ok(Some(Self { _lock: lock })),
            Err(error) if error.raw_os_error() == claimed => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Files without a place in the file system.
#[cfg(target_os = "linux")]
mod memory {
    use std::ffi::CString;
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsRawFd, FromRawFd};
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    /// An empty file in memory, named after the library.
    pub(super) fn create(original: &Path) -> io::Result<File> {
        let mut name = original.file_name().unwrap_or_default().as_bytes().to_vec();
        // The system allows 249 bytes.
        name.truncate(200);
        let name = CString::new(name)?;
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: the name is a C string.
        let descriptor = unsafe { libc::memfd_create(name.as_ptr(), flags) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was made above and belongs to nobody else.
        Ok(unsafe { File::from_raw_fd(descriptor) })
    }

    /// Lets nobody change the file any more, not even through `/proc`.
    ///
    /// The kernel refuses while something of its own still refers to a page of the file, as it may for
    /// a moment after copying; where that does not end, the file is left unsealed, which only matters
    /// to whoever may write to this process's memory anyway.
    pub(super) fn seal(file: &File) -> io::Result<()> {
        const ATTEMPTS: u32 = 20;
        let seals =
            libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        for _ in 0..ATTEMPTS {
            // SAFETY: the descriptor is open, and sealing touches no memory.
            if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } == 0 {
                return Ok(());
            }
            match io::Error::last_os_error() {
                busy if busy.kind() == io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                refused => return Err(refused),
            }
        }
        tracing::debug!("the private copy of a library stays unsealed: its pages are busy");
        Ok(())
    }

    /// Maps a page of the file as code: fails on file systems that are mounted `noexec`, and where a
    /// security policy forbids it.
    pub(super) fn check_executable(file: &File) -> io::Result<()> {
        let access = libc::PROT_READ | libc::PROT_EXEC;
        let (anywhere, descriptor) = (std::ptr::null_mut(), file.as_raw_fd());
        // SAFETY: a new private mapping, at an address of the kernel's choice.
        let page = unsafe { libc::mmap(anywhere, 1, access, libc::MAP_PRIVATE, descriptor, 0) };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping above, which nobody uses.
        unsafe { libc::munmap(page, 1) };
        Ok(())
    }
}
