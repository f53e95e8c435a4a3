//! Private copies in memory of libraries that were unloaded, in case they are loaded again.
//!
//! A file with the same name, size and times need not be the same file. So the contents are compared,
//! which takes a fraction of the time of making a copy and looking into it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::super::lock;
use super::super::platform::Prepared;
use super::Staged;

/// The copies that are kept, at most one of each file.
#[derive(Clone, Default)]
pub(super) struct Copies(Arc<Mutex<Vec<Copy>>>);

/// A copy that no loader knows.
struct Copy {
    original: PathBuf,
    file: File,
    /// What of the original was copied.
    parts: Vec<Range<u64>>,
    prepared: Prepared,
}

impl std::fmt::Debug for Copies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let copies = lock(&self.0);
        let paths = copies.iter().map(|copy| &copy.original);
        f.debug_list().entries(paths).finish()
    }
}

impl Copies {
    /// Keeps a copy, instead of an older one of the same file.
    pub(super) fn add(&self, original: &Path, staged: Staged, prepared: Prepared) {
        let Staged::Memory { file, parts } = staged else {
            return;
        };
        let mut copies = lock(&self.0);
        copies.retain(|copy| copy.original != original);
        copies.push(Copy {
            original: original.to_path_buf(),
            file,
            parts,
            prepared,
        });
    }

    /// Takes the copy of this file, if there is one and the file has the same contents.
    pub(super) fn take(&self, original: &Path, source: &File) -> Option<(Staged, Prepared)> {
        let copy = {
            let mut copies = lock(&self.0);
            let index = copies.iter().position(|copy| copy.original == original)?;
            copies.swap_remove(index)
        };
        if !copy.is_of(source).unwrap_or(false) {
            return None;
        }
        let Copy {
            file,
            parts,
            prepared,
            ..
        } = copy;
        Some((Staged::Memory { file, parts }, prepared))
    }
}

impl Copy {
    /// Whether a copy of this file would be the same.
    fn is_of(&self, source: &File) -> io::Result<bool> {
        const AT_ONCE: usize = 64 << 10;
        if source.metadata()?.len() != self.file.metadata()?.len() {
            return Ok(false);
        }
        // The parts tell which they are.
        let (mut theirs, mut ours) = (vec![0; AT_ONCE], vec![0; AT_ONCE]);
        for part in &self.parts {
            let mut next = part.start;
            while next < part.end {
                let count =
                    usize::try_from(part.end - next).map_or(AT_ONCE, |left| left.min(AT_ONCE));
                let (theirs, ours) = (&mut theirs[..count], &mut ours[..count]);
                source.read_exact_at(theirs, next)?;
                self.file.read_exact_at(ours, next)?;
                self.prepared.undo_changes(ours, next);
                if theirs != ours {
                    return Ok(false);
                }
                next += count as u64;
            }
        }
        Ok(true)
    }
}
