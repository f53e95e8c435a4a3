//! Is it the same file? The one answer, for the copies that are kept and for whoever uses this
//! crate.

#[cfg(any(target_os = "linux", all(test, unix)))]
mod settled;

use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Tells the contents of a file from those of another, of one that replaced it, and of the same
/// file once it was written to: device, inode, length, and the times of the last change of its
/// contents and of anything about it (`ctime`, which nobody can set back). Elsewhere than on Unix:
/// length, and the times of its creation and last change.
///
/// A build that is reproducible, or an installer, may leave length and time of change as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileStamp {
    /// Device and inode.
    identity: (u64, u64),
    length: u64,
    modified: Option<SystemTime>,
    /// In seconds and nanoseconds.
    changed: (i64, i64),
}

impl FileStamp {
    /// That of the file at this path.
    ///
    /// # Errors
    ///
    /// The file cannot be asked about.
    pub fn of(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::from(&path.as_ref().metadata()?))
    }
}

impl From<&Metadata> for FileStamp {
    fn from(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let (identity, changed) = {
            use std::os::unix::fs::MetadataExt;
            let identity = (metadata.dev(), metadata.ino());
            (identity, (metadata.ctime(), metadata.ctime_nsec()))
        };
        #[cfg(not(unix))]
        let (identity, changed) = {
            let created = metadata.created().ok();
            let since = created.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
            let since = since.unwrap_or_default();
            let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
            ((0, 0), (seconds, since.subsec_nanos().into()))
        };
        Self {
            identity,
            length: metadata.len(),
            modified: metadata.modified().ok(),
            changed,
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, File};
    use std::thread;

    use super::settled::TICK;
    use super::*;

    /// A file with these contents, and its stamp once later changes are told from it.
    fn file(directory: &Path, name: &str, contents: &str) -> (std::path::PathBuf, FileStamp) {
        let path = directory.join(name);
        fs::write(&path, contents).expect("a file");
        let open = File::open(&path).expect("the file");
        FileStamp::settled(&open).expect("its stamp");
        let stamp = FileStamp::of(&path).expect("its stamp");
        (path, stamp)
    }

    #[test]
    fn a_file_that_only_looks_the_same_is_another() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, stamp) = file(directory.path(), "one", "before");
        assert_eq!(FileStamp::of(&path).expect("its stamp"), stamp);
        let time = path
            .metadata()
            .expect("the file")
            .modified()
            .expect("its time");
        let set_back = |path: &Path| {
            let file = File::options().write(true).open(path).expect("the file");
            file.set_modified(time).expect("set back");
        };

        // Replaced, as an installer does.
        let (other, _) = file(directory.path(), "other", "after!");
        set_back(&other);
        fs::rename(&other, &path).expect("replaced");
        let replaced = FileStamp::of(&path).expect("its stamp");
        assert_ne!(replaced, stamp);

        // Written over in place.
        thread::sleep(TICK);
        fs::write(&path, "later!").expect("written over");
        set_back(&path);
        assert_ne!(FileStamp::of(&path).expect("its stamp"), replaced);
    }
}
