//! A private copy on disk, in a directory of its own.
//!
//! It is removed as soon as it is mapped; the kernel keeps its contents. Windows does not remove a
//! mapped file, so there it lies until the library is unloaded. A host that crashes may leave a
//! copy behind: the directory around it is locked while its process lives, and a directory that
//! nobody locks is removed when the next host starts.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempDir;

use crate::lock::lock;

/// How the names of the directories with copies begin; the process number follows.
const PREFIX: &str = "libunload.";

/// A copy on disk. The order of the fields is the order of closing and removing.
pub(crate) struct StagedFile {
    file: File,
    path: PathBuf,
    _claim: Option<Claim>,
    directory: TempDir,
}

impl StagedFile {
    /// Makes an empty file in a new directory, both for this user only.
    pub(super) fn create(parent: &Path, original: &Path) -> io::Result<Self> {
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

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Ends all writing to it.
    pub(super) fn seal(&mut self) -> io::Result<()> {
        self.file = File::open(&self.path)?;
        Ok(())
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

/// Removes the directories of hosts that ended without doing so; once per process and place.
pub(super) fn remove_abandoned(parent: &Path) {
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
        let claimed = crate::os::lock_exclusively(&lock)? && directory.exists();
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
        match options.open(directory.join("libunload.claim")) {
            Ok(lock) => Ok(Some(Self { _lock: lock })),
            Err(error) if error.raw_os_error() == claimed => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
