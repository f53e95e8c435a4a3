//! Private copies in memory of libraries that were unloaded, in case this process loads them again.
//!
//! Goal: a cycle of loading and unloading in well under a millisecond. Copying, checking and
//! preparing a library of some megabytes takes several times as long as mapping it.

use std::any::Any;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Mutex;

use super::no_delete::NoDelete;
use crate::lock::lock;
use crate::stamp::FileStamp;

/// The copies that are kept, at most one for each [`Purpose`], the oldest first.
static KEPT: Mutex<Vec<Copy>> = Mutex::new(Vec::new());

/// How much memory they may take, in bytes; the oldest go first.
const MOST_KEPT: u64 = 512 << 20;

/// A copy that no loader knows.
struct Copy {
    purpose: Purpose,
    file: File,
    /// That of the original.
    stamp: FileStamp,
    /// The memory it takes, in bytes.
    size: u64,
    known: Known,
}

/// What a copy was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Purpose {
    /// Where the original is.
    pub(super) original: PathBuf,
    /// Where copies were to be made.
    pub(super) directory: Option<PathBuf>,
    /// What was changed in it.
    pub(super) no_delete: NoDelete,
}

/// What its user knows of a copy, and stays right while it is not changed.
pub(super) type Known = Box<dyn Any + Send>;

/// Keeps a copy, instead of an older one for the same purpose.
pub(super) fn add(purpose: Purpose, file: File, stamp: FileStamp, known: Known) {
    // In blocks of 512 bytes, whatever the file system: holes take none.
    let size = file.metadata().map_or(0, |file| file.blocks() * 512);
    let mut copies = lock(&KEPT);
    copies.retain(|copy| copy.purpose != purpose);
    copies.push(Copy {
        purpose,
        file,
        stamp,
        size,
        known,
    });
    let mut taken: u64 = copies.iter().map(|copy| copy.size).sum();
    while taken > MOST_KEPT {
        taken -= copies.remove(0).size;
    }
    // What the loader knew of a library may have been there before, and must not look like
    // somebody's address in it.
    copies.spare_capacity_mut().fill_with(MaybeUninit::zeroed);
}

/// Takes the copy for this purpose, if there is one and the original still has this stamp.
pub(super) fn take(purpose: &Purpose, stamp: FileStamp) -> Option<(File, Known)> {
    let mut copies = lock(&KEPT);
    let index = copies.iter().position(|copy| copy.purpose == *purpose)?;
    let copy = copies.remove(index);
    (copy.stamp == stamp).then_some((copy.file, copy.known))
}
