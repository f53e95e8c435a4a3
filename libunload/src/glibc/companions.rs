//! Libraries that lie next to the library that needs them.
//!
//! A library's search path may say `$ORIGIN`: where the library lies. The private copy lies
//! elsewhere, so what is to be found in this way is opened from beside the original first. The
//! loader then takes what is open, by its `soname`. Such a library is not copied: overwriting it
//! while it is in use is not safe.

use std::path::{Path, PathBuf};

use crate::os::{Handle, LoaderError};

/// Libraries that are held open until the library that needs them is loaded, and holds them itself.
pub(super) struct Companions(Vec<Handle>);

/// The files beside `original` that its search path leads to.
pub(super) fn find(original: &Path, search_path: &[String], needed: &[String]) -> Vec<PathBuf> {
    if search_path.is_empty() {
        return Vec::new();
    }
    let Some(origin) = std::path::absolute(original)
        .ok()
        .and_then(|path| path.parent().map(Path::to_path_buf))
    else {
        return Vec::new();
    };
    let directories: Vec<_> = search_path
        .iter()
        .filter_map(|directory| beside(&origin, directory))
        .collect();
    let file = |name: &String| {
        let candidates = directories.iter().map(|directory| directory.join(name));
        candidates.into_iter().find(|candidate| candidate.is_file())
    };
    needed.iter().filter_map(file).collect()
}

/// What a search path that begins with `$ORIGIN` means; others do not depend on where the library
/// lies.
pub(super) fn beside(origin: &Path, directory: &str) -> Option<PathBuf> {
    let rest = ["$ORIGIN", "${ORIGIN}"]
        .iter()
        .find_map(|variable| directory.strip_prefix(variable))?;
    match rest.strip_prefix('/') {
        Some(below) => Some(origin.join(below)),
        None if rest.is_empty() => Some(origin.to_path_buf()),
        None => None,
    }
}

impl Companions {
    /// Opens these files.
    ///
    /// # Safety
    ///
    /// The caller vouches for the initializers in them.
    pub(super) unsafe fn open(files: &[PathBuf]) -> Result<Self, LoaderError> {
        let mut companions = Self(Vec::new());
        for file in files {
            // SAFETY: the caller's promise.
            match unsafe { Handle::open(file) } {
                Ok(handle) => companions.0.push(handle),
                Err(message) => {
                    // SAFETY: nothing of them was used.
                    unsafe { companions.close() };
                    return Err(message);
                }
            }
        }
        Ok(companions)
    }

    /// Lets go of them; those that nobody needs are unmapped.
    ///
    /// # Safety
    ///
    /// Nothing was used of those that nobody needs.
    pub(super) unsafe fn close(self) {
        for handle in self.0 {
            // SAFETY: the caller's promise.
            if let Err(message) = unsafe { handle.close() } {
                tracing::warn!("the loader could not close a library: {message}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_stands_for_the_directory_of_the_original() {
        let origin = Path::new("/opt/lpm");
        let beside = |directory| beside(origin, directory);
        assert_eq!(beside("$ORIGIN").as_deref(), Some(origin));
        assert_eq!(beside("${ORIGIN}/lib"), Some(origin.join("lib")));
        assert_eq!(beside("$ORIGIN/../lib"), Some(origin.join("../lib")));
        assert_eq!(beside("$ORIGINAL/lib"), None);
        assert_eq!(beside("/usr/lib"), None);
    }
}
