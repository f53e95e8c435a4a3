//! The one thing the caller vouches for: the code of the libraries it names.

pub(crate) mod error;
#[cfg(unix)]
mod owner;
pub(crate) mod requirements;

use std::path::{Path, PathBuf};

use self::requirements::Requirements;
use super::lpmapi::exports;

/// A shared library whose code the caller vouches for.
///
/// Nothing checks what native code does: once loaded, a library can do whatever the process can.
/// Making this value is therefore `unsafe`, and the only place where a user of this crate has to
/// be; loading it later is not. In a crate that forbids unsafe code,
/// [`trust_library!`](crate::trust_library) makes it, with the word `unsafe` in plain sight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LpmLibrary {
    path: PathBuf,
    requirements: Requirements,
}

impl LpmLibrary {
    /// The name of the symbol that every LPM exports.
    pub const SYMBOL: &str = abi_stable::library::ROOT_MODULE_LOADER_NAME;

    /// The names of the functions of `lpmapi.h`, all of which an LPM in C exports instead.
    pub const FUNCTIONS_OF_LPMAPI: [&'static str; 7] = exports::NAMES;

    /// Vouches for the library at this path. The file is not looked at before the PCM loads it.
    ///
    /// # Safety
    ///
    /// Whatever file stands at `path` when the PCM loads it must be one whose code may run in this
    /// process: an LPM built with `export_lpm!`, or a file that does not load at all. Its
    /// initializers run on loading; afterwards it is called according to the LPM ABI.
    #[must_use]
    pub unsafe fn trust(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            requirements: Requirements::default(),
        }
    }

    /// Refuses the file unless it is like this, each time before it is mapped.
    #[must_use]
    pub fn require(mut self, requirements: Requirements) -> Self {
        self.requirements = requirements;
        self
    }

    /// What the file has to be like.
    pub(crate) const fn requirements(&self) -> &Requirements {
        &self.requirements
    }

    /// The path, as given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Vouches for a library where `unsafe` blocks are forbidden; the same promise as
/// [`LpmLibrary::trust`].
///
/// ```
/// let library = lpm_host::trust_library!(unsafe "/usr/lib/lpm/libidentity.so");
/// assert_eq!(library.path(), std::path::Path::new("/usr/lib/lpm/libidentity.so"));
/// ```
#[macro_export]
macro_rules! trust_library {
    (unsafe $path:expr) => {{
        let path = $path;
        // SAFETY: whoever writes `unsafe` in front of the path vouches for the file.
        unsafe { $crate::LpmLibrary::trust(path) }
    }};
}
