//! A loaded library, and the file it was loaded from.

use std::fs::Metadata;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::module::LoadedModule;

/// A loaded library, and the file it was loaded from.
#[derive(Clone)]
pub(crate) struct Module {
    pub(crate) loaded: Arc<LoadedModule>,
    pub(crate) stamp: Stamp,
}

/// Tells a file from one that replaced it or was written over it. Two that cannot be looked at are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(Option<File>);

/// Length and time do not tell builds that can be reproduced from each other, since they are the same by
/// intent; where the file is, and when that was changed, does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct File {
    length: u64,
    modified: Option<SystemTime>,
    place: Place,
}

impl Stamp {
    /// Of the file at this path, as it is now.
    pub(crate) fn of(path: &Path) -> Self {
        let metadata = path.metadata().ok();
        Self(metadata.map(|metadata| File {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            place: place(&metadata),
        }))
    }
}

/// Device, inode, and when the inode was changed, in seconds and nanoseconds.
#[cfg(unix)]
type Place = (u64, u64, i64, i64);

#[cfg(unix)]
fn place(metadata: &Metadata) -> Place {
    use std::os::unix::fs::MetadataExt;

    (
        metadata.dev(),
        metadata.ino(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    )
}

/// When the file was made: the standard library tells no more of where it is.
#[cfg(not(unix))]
type Place = Option<SystemTime>;

#[cfg(not(unix))]
fn place(metadata: &Metadata) -> Place {
    metadata.created().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_of_the_same_length_and_time_is_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("lib.so"), dir.path().join("next.so"));
        let epoch = SystemTime::UNIX_EPOCH;
        for (path, contents) in [(&path, "one"), (&other, "two")] {
            fs::write(path, contents).unwrap();
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(epoch).unwrap();
        }
        let before = Stamp::of(&path);
        assert_eq!(before, Stamp::of(&path));
        fs::rename(&other, &path).unwrap();
        assert_ne!(before, Stamp::of(&path));
    }
}
