//! A loaded library, and the file it was loaded from.

use std::path::Path;
use std::sync::Arc;

use libunload::FileStamp;

use super::module::LoadedModule;

/// A loaded library, and the file it was loaded from.
#[derive(Clone)]
pub(crate) struct Module {
    pub(crate) loaded: Arc<LoadedModule>,
    pub(crate) stamp: Stamp,
}

/// Tells a file from one that replaced it or was written over it. Two that cannot be looked at are
/// equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(Option<FileStamp>);

impl Stamp {
    /// Of the file at this path, as it is now.
    pub(crate) fn of(path: &Path) -> Self {
        Self(FileStamp::of(path).ok())
    }
}

// Elsewhere one that is as old is taken for the same.
#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::time::SystemTime;

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
