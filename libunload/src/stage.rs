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
//! Debugging information, most of a library's file, is not copied. A copy in memory is kept when its
//! library is unloaded, and serves again if the file still has the same [stamp](FileStamp) then.
//!
//! A copy on disk is removed as soon as it is mapped; the kernel keeps its contents. Windows does not
//! remove a mapped file, so the copy lies there until the library is unloaded. A host that crashes may
//! leave a copy behind: the directory around it is locked while its process lives, and a directory that
//! nobody locks is removed when the next host starts.

#[cfg(target_os = "linux")]
mod kept;
#[cfg(target_os = "linux")]
mod memory;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempDir;

use crate::error::OpenError;
use crate::lock::lock;
use crate::stamp::FileStamp;

/// How the names of the directories with copies begin; the process number follows.
const PREFIX: &str = "libunload.";

/// How much of a library is copied, in bytes: a file that is mostly a hole is as long as it likes.
const MOST_COPIED: u64 = 4 << 30;

/// How the private copies are made.
#[derive(Clone, Debug, Default)]
pub struct Copies {
    directory: Option<PathBuf>,
    no_delete: NoDelete,
    /// Of libraries that were unloaded.
    #[cfg(target_os = "linux")]
    kept: kept::Kept,
}

/// What to do with a library that is linked as not to be unloaded (`DF_1_NODELETE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoDelete {
    /// Load it; it will stay mapped.
    Keep,
    /// Clear the flag in the private copy, where what the library does is watched. Libraries bear it because
    /// their thread-local destructors and exit handlers could outlive them, or because their compiler sets
    /// it for all: that is taken care of here.
    #[default]
    Clear,
    /// Do not load it.
    Refuse,
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

    /// The policy for libraries that are linked as not to be unloaded.
    pub(super) fn no_delete_policy(&self) -> NoDelete {
        self.no_delete
    }

    /// Takes the copy that is kept of the file at `path`, if it has this stamp, with what its user knew of it.
    #[cfg(target_os = "linux")]
    pub(super) fn take<K: 'static>(&self, path: &Path, stamp: FileStamp) -> Option<(Staged, K)> {
        let (file, known) = self.kept.take(path, stamp)?;
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
        }) = staged
        {
            self.kept.add(path, file, stamp, Box::new(known));
        }
        #[cfg(not(target_os = "linux"))]
        drop((path, staged, known));
    }

    /// Copies the file `source`, which stands at `path`.
    pub(super) fn copy(&self, path: &Path, source: &File) -> Result<Staged, OpenError> {
        let directory = self.directory.clone().unwrap_or_else(std::env::temp_dir);
        let in_memory = || Staged::in_memory(source, path);
        let on_disk = || Staged::on_disk(source, path, &directory);
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

/// A copy on disk. The order of the fields is the order of closing and removing.
pub(super) struct StagedFile {
    file: File,
    path: PathBuf,
    _claim: Option<Claim>,
    directory: TempDir,
}

impl Staged {
    /// `None` if the original changes all the time.
    fn on_disk(source: &File, original: &Path, parent: &Path) -> io::Result<Option<Self>> {
        remove_abandoned(parent);
        let staged = StagedFile::create(parent, original)?;
        let copied = copy(source, &staged.file)?;
        #[cfg(target_os = "linux")]
        memory::check_executable(&staged.file)?;
        Ok(copied.then_some(Self::File(staged)))
    }

    /// Fails without an error where there is no such thing.
    #[cfg(target_os = "linux")]
    fn in_memory(source: &File, original: &Path) -> Result<Option<Self>, Option<io::Error>> {
        let file = memory::create(original)?;
        memory::check_named(&file)?;
        let stamp = FileStamp::settled(source)?;
        let copied = copy(source, &file)?;
        memory::check_executable(&file)?;
        // Then it was changed meanwhile.
        let stamp =
            stamp.filter(|stamp| source.metadata().is_ok_and(|now| *stamp == (&now).into()));
        Ok(copied.then_some(Self::Memory { file, stamp }))
    }

    #[cfg(not(target_os = "linux"))]
    fn in_memory(_source: &File, _original: &Path) -> Result<Option<Self>, Option<io::Error>> {
        Err(None)
    }

    /// The open copy.
    pub(super) fn file(&self) -> &File {
        match self {
            Self::File(staged) => &staged.file,
            #[cfg(target_os = "linux")]
            Self::Memory { file, .. } => file,
        }
    }

    /// The path to load the copy from.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::File(staged) => staged.path.clone(),
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
            Self::File(staged) => {
                staged.file = File::open(&staged.path)?;
                Ok(())
            }
            #[cfg(target_os = "linux")]
            Self::Memory { file, .. } => memory::seal(file),
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

/// Copies the file, with holes for its debugging information; `false` when the file was changed meanwhile,
/// time and again.
fn copy(source: &File, copy: &File) -> io::Result<bool> {
    const ATTEMPTS: usize = 3;
    for _ in 0..ATTEMPTS {
        let before = source.metadata()?;
        let parts = parts(source, before.len());
        let length: u64 = parts.iter().map(|part| part.end - part.start).sum();
        if length > MOST_COPIED {
            return Err(io::Error::other("it has more than 4 GiB to copy"));
        }
        copy.set_len(0)?;
        copy.set_len(before.len())?;
        let complete = parts.iter().try_fold(true, |complete, part| {
            Ok::<_, io::Error>(complete && copy_part(source, copy, part)?)
        })?;
        // Times are coarse: a file may be written to again without them telling. What is read twice with the same
        // result, all of it the second time after all of it the first, was so at the moment between.
        if complete
            && parts.iter().try_fold(true, |same, part| {
                Ok::<_, io::Error>(same && is_same_part(source, copy, part)?)
            })?
            && FileStamp::from(&before) == (&source.metadata()?).into()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Copies a part of a file to the same place; `false` if it is not all there.
///
/// By hand, since pages that the kernel passes on in ways of its own can stay busy for a while, and a file
/// with busy pages cannot be sealed.
fn copy_part(mut source: &File, mut copy: &File, part: &Range<u64>) -> io::Result<bool> {
    const AT_ONCE: usize = 256 << 10;
    source.seek(SeekFrom::Start(part.start))?;
    copy.seek(SeekFrom::Start(part.start))?;
    let mut left = part.end.saturating_sub(part.start);
    let mut bytes = vec![0; AT_ONCE.min(usize::try_from(left).unwrap_or(AT_ONCE))];
    while left > 0 {
        let wanted = bytes
            .len()
            .min(usize::try_from(left).unwrap_or(bytes.len()));
        match source.read(&mut bytes[..wanted]) {
            Ok(0) => return Ok(false),
            Ok(count) => {
                copy.write_all(&bytes[..count])?;
                left -= count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Whether a part of a file is the same in both, by hand as above.
fn is_same_part(mut source: &File, mut copy: &File, part: &Range<u64>) -> io::Result<bool> {
    const AT_ONCE: usize = 256 << 10;
    source.seek(SeekFrom::Start(part.start))?;
    copy.seek(SeekFrom::Start(part.start))?;
    let mut left = part.end.saturating_sub(part.start);
    let size = AT_ONCE.min(usize::try_from(left).unwrap_or(AT_ONCE));
    let (mut theirs, mut ours) = (vec![0; size], vec![0; size]);
    while left > 0 {
        let count = size.min(usize::try_from(left).unwrap_or(size));
        match source.read_exact(&mut theirs[..count]) {
            // It has become shorter.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        copy.read_exact(&mut ours[..count])?;
        if theirs[..count] != ours[..count] {
            return Ok(false);
        }
        left -= count as u64;
    }
    Ok(true)
}

/// What has to be copied.
#[cfg(all(unix, not(target_vendor = "apple")))]
fn parts(source: &File, length: u64) -> Vec<Range<u64>> {
    around(super::elf::debugging_information(source), length)
}

/// What is left of a file of this length around holes, which are in ascending order.
#[cfg(all(unix, not(target_vendor = "apple")))]
fn around(holes: Vec<Range<u64>>, length: u64) -> Vec<Range<u64>> {
    let mut parts = Vec::new();
    let mut next = 0;
    for hole in holes {
        if next <= hole.start && hole.end <= length {
            // Sections adjoin as a rule, with nothing between them.
            if next < hole.start {
                parts.push(next..hole.start);
            }
            next = hole.end;
        }
    }
    parts.push(next..length);
    parts
}

/// What has to be copied.
#[cfg(not(all(unix, not(target_vendor = "apple"))))]
fn parts(_source: &File, length: u64) -> Vec<Range<u64>> {
    vec![0..length]
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
        match options.open(directory.join("libunload.claim")) {
            Ok(lock) => Ok(Some(Self { _lock: lock })),
            Err(error) if error.raw_os_error() == claimed => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(all(test, unix, not(target_vendor = "apple")))]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::{around, is_same_part};

    #[test]
    fn a_file_that_was_written_to_meanwhile_is_not_the_same() {
        let file = |contents: &[u8]| {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(contents).expect("written");
            file
        };
        let same = |source: &File, copy: &File| is_same_part(source, copy, &(1..600_000));
        let (source, mut changed) = (vec![1; 600_000], vec![1; 600_000]);
        let (source, copy) = (file(&source), file(&changed));
        assert!(same(&source, &copy).expect("read"));
        changed[599_999] = 2;
        assert!(!same(&file(&changed), &copy).expect("read"));
        source.set_len(599_999).expect("cut");
        assert!(!same(&source, &copy).expect("read"));
    }

    #[test]
    fn nothing_of_a_hole_is_left() {
        assert_eq!(around(vec![2..4, 4..6, 8..9], 10), [0..2, 6..8, 9..10]);
        assert_eq!(around(vec![0..1, 1..3, 5..8], 9), [3..5, 8..9]);
    }

    #[test]
    fn a_hole_that_the_file_does_not_have_is_none() {
        assert_eq!(around(vec![2..3, 6..9], 8), [0..2, 3..8]);
    }
}
