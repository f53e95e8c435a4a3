//! Where the file of a library that was opened lies, and what lies beside it.

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::companions;
use crate::os::Handle;

/// The original of a library that was opened.
pub(super) struct Origin {
    pub(super) file: CString,
    search_path: Vec<String>,
}

impl Origin {
    /// `None` if the path cannot be told.
    pub(super) fn new(original: &Path, search_path: &[String]) -> Option<Self> {
        let file = std::path::absolute(original).ok()?;
        Some(Self {
            file: CString::new(file.into_os_string().into_vec()).ok()?,
            search_path: search_path.to_vec(),
        })
    }

    fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.file.to_bytes()))
    }

    /// Whether the library means itself by this path.
    pub(super) fn is(&self, path: &Path) -> bool {
        let own = self.path();
        let is_same = || Some(fs::canonicalize(path).ok()? == fs::canonicalize(own).ok()?);
        path == own || path.file_name() == own.file_name() && is_same() == Some(true)
    }

    /// What the library means by this name, where the loader would look from beside the copy;
    /// `None` if it would not.
    pub(super) fn beside(&self, name: &CStr) -> Option<PathBuf> {
        let text = name.to_str().ok()?;
        let folder = self.path().parent()?;
        if text.contains('/') {
            return companions::beside(folder, text);
        }
        // What the loader finds first, it finds.
        let has_it = |file: &PathBuf| file.is_file();
        let mut found = self.search_path.iter().filter_map(|directory| {
            let beside = companions::beside(folder, directory).map(|found| found.join(text));
            match beside {
                Some(file) => has_it(&file).then_some(Some(file)),
                None => has_it(&Path::new(directory).join(text)).then_some(None),
            }
        });
        found.next()?.filter(|_| !is_loaded(name))
    }
}

/// Whether the loader has something under this name, which it takes first. It is asked by `dlopen`,
/// whose lock children of `fork` get as a free one.
fn is_loaded(name: &CStr) -> bool {
    let found = Handle::open_again(name);
    // SAFETY: it was open before, and stays so.
    found.is_some_and(|found| unsafe { found.close() }.is_ok())
}
