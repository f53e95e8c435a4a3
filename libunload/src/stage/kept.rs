//! Private copies in memory of libraries that were unloaded, in case they are loaded again.
//!
//! Goal: a cycle of loading and unloading in well under a millisecond. Copying, checking and preparing a library of some
//! megabytes takes several times as long as mapping it.

use std::any::Any;
use std::fs::File;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::lock::lock;
use crate::stamp::FileStamp;

/// The copies that are kept, at most one of each file.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Vec<Copy>>>);

/// A copy that no loader knows.
struct Copy {
    original: PathBuf,
    file: File,
    /// That of the original.
    stamp: FileStamp,
    known: Known,
}

/// What its user knows of a copy, and stays right while it is not changed.
pub(super) type Known = Box<dyn Any + Send>;

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let copies = lock(&self.0);
        let paths = copies.iter().map(|copy| &copy.original);
        f.debug_list().entries(paths).finish()
    }
}

impl Kept {
    /// Keeps a copy, instead of an older one of the same file.
    pub(super) fn add(&self, original: &Path, file: File, stamp: FileStamp, known: Known) {
        let mut copies = lock(&self.0);
        copies.retain(|copy| copy.original != original);
        copies.push(Copy {
            original: original.to_path_buf(),
            file,
            stamp,
            known,
        });
        // What the loader knew of a library may have been there before, and must not look like somebody's address in it.
        copies.spare_capacity_mut().fill_with(MaybeUninit::zeroed);
    }

    /// Takes the copy of this file, if there is one and the file still has this stamp.
    pub(super) fn take(&self, original: &Path, stamp: FileStamp) -> Option<(File, Known)> {
        let mut copies = lock(&self.0);
        let index = copies.iter().position(|copy| copy.original == original)?;
        let copy = copies.swap_remove(index);
        (copy.stamp == stamp).then_some((copy.file, copy.known))
    }
}
