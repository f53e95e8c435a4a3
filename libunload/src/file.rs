//! What a library's file tells by itself.

use std::path::{Path, PathBuf};

use crate::error::{FormatProblem, OpenError};
use crate::facts::{Hazard, HinderingFacts};
use crate::stage;

/// What a library's file tells, read without running any of its code.
#[derive(Clone, Debug)]
pub struct LibraryFile {
    path: PathBuf,
    size: u64,
    contents: Contents,
}

/// How much can be told depends on the platform.
#[derive(Clone, Debug, Default)]
struct Contents {
    facts: HinderingFacts,
    makers: Vec<String>,
    /// Sorted.
    exports: Option<Vec<String>>,
}

impl LibraryFile {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is no shared library that could be loaded here; [`OpenError`] says
    /// why.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let path = path.into();
        let file = stage::open_source(&path)?;
        let unreadable = |source| OpenError::Unreadable {
            path: path.clone(),
            source,
        };
        let size = file.metadata().map_err(unreadable)?.len();
        let contents = Contents::read(&file).map_err(|problem| OpenError::Format {
            path: path.clone(),
            problem,
        })?;
        Ok(Self {
            path,
            size,
            contents,
        })
    }

    /// The path, as given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What it was built for: machine, system and C library, such as `x86_64-linux-gnu`. A file for
    /// another machine is not read, so that the first two are this host's.
    #[must_use]
    pub fn target(&self) -> String {
        let (machine, system) = (std::env::consts::ARCH, std::env::consts::OS);
        let needs = |start| self.needed().iter().any(|name| name.starts_with(start));
        let libc = match system {
            "linux" if needs("libc.so.6") => "-gnu",
            "linux" if needs("libc.musl-") || needs("libc.so") => "-musl",
            _ => "",
        };
        format!("{machine}-{system}{libc}")
    }

    /// The compilers and linkers that made it, as far as they left their names (ELF), such as
    /// `rustc version 1.95.0 (59807616e 2026-04-14)`.
    #[must_use]
    pub fn makers(&self) -> &[String] {
        &self.contents.makers
    }

    /// The libraries it needs, by name.
    #[must_use]
    pub fn needed(&self) -> &[String] {
        &self.contents.facts.needed
    }

    /// Whether it exports a symbol of this name; `None` where the platform's format is not looked
    /// into.
    #[must_use]
    pub fn exports(&self, symbol: &str) -> Option<bool> {
        let exports = self.contents.exports.as_ref()?;
        Some(
            exports
                .binary_search_by(|name| name.as_str().cmp(symbol))
                .is_ok(),
        )
    }

    /// What could hinder unloading it, or endanger its host (ELF).
    #[must_use]
    pub fn hazards(&self) -> Vec<Hazard> {
        self.contents.facts.hazards()
    }
}

#[cfg(all(unix, not(target_vendor = "apple")))]
impl Contents {
    fn read(file: &std::fs::File) -> Result<Self, FormatProblem> {
        let image = crate::elf::Image::read_with_exports(file)?;
        let mut facts = image.facts().clone();
        let stay = facts.needed.iter().filter(|name| stays(name));
        facts.needed_that_stay = stay.count();
        Ok(Self {
            facts,
            makers: image.makers().to_vec(),
            exports: Some(image.exports().to_vec()),
        })
    }
}

/// Whether a library of the system that is needed under this name is never unmapped once it is
/// loaded; `false` where it is not found, and for the C library, which is there anyway.
#[cfg(all(unix, not(target_vendor = "apple")))]
fn stays(name: &str) -> bool {
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    let folders = ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib"];
    let below = folders.map(|folder| Path::new(folder).join(&triplet));
    let mut folders = below.into_iter().chain(folders.map(PathBuf::from));
    let file = folders.find_map(|folder| stage::open_source(&folder.join(name)).ok());
    let image = file.and_then(|file| crate::elf::Image::read(&file).ok());
    let is_c_library = ["libc.", "libpthread.", "ld-"]
        .iter()
        .any(|start| name.starts_with(start));
    !is_c_library && !name.contains('/') && image.is_some_and(|image| image.facts().no_delete)
}

#[cfg(windows)]
impl Contents {
    fn read(file: &std::fs::File) -> Result<Self, FormatProblem> {
        let image = crate::pe::Image::read(file)?;
        Ok(Self {
            facts: image.facts,
            ..Self::default()
        })
    }
}

#[cfg(target_vendor = "apple")]
impl Contents {
    fn read(file: &std::fs::File) -> Result<Self, FormatProblem> {
        match file.metadata() {
            Ok(metadata) if metadata.len() == 0 => Err(FormatProblem::Empty),
            _ => Ok(Self::default()),
        }
    }
}
