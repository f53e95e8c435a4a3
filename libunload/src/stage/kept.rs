//! Private copies in memory of libraries that were unloaded, in case they are loaded again.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::Staged;
use crate::library::Known;
use crate::lock::lock;

/// The copies that are kept, at most one of each file.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Vec<Copy>>>);

/// A copy that no loader knows.
struct Copy {
    original: PathBuf,
    file: File,
    /// What of the original was copied.
    parts: Vec<Range<u64>>,
    known: Known,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let copies = lock(&self.0);
        let paths = copies.iter().map(|copy| &copy.original);
        f.debug_list().entries(paths).finish()
    }
}

impl Kept {
    /// Keeps a copy, instead of an older one of the same file.
    pub(super) fn add(&self, original: &Path, staged: Staged, known: Known) {
        let Staged::Memory { file, parts } = staged else {
            return;
        };
        let mut copies = lock(&self.0);
        copies.retain(|copy| copy.original != original);
        copies.push(Copy {
            original: original.to_path_buf(),
            file,
            parts,
            known,
        });
    }

    /// Takes the copy of this file, if there is one.
    pub(super) fn take(&self, original: &Path) -> Option<(Staged, Known)> {
        let mut copies = lock(&self.0);
        let index = copies.iter().position(|copy| copy.original == original)?;
        let Copy {
            file, parts, known, ..
        } = copies.swap_remove(index);
        Some((Staged::Memory { file, parts }, known))
    }
}
