//! Why a library could not be opened.

use std::io;
use std::path::{Path, PathBuf};

/// Why a library could not be opened. Nothing of it has run, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be read: it does not exist, or permission is missing.
    #[error("cannot read the library {}: {source}; {}", path.display(), what_to_check(path, source))]
    Unreadable {
        /// The library.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },

    /// The path names something else than a file.
    #[error("{} is {found}, not a shared library file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },

    /// The file was written to while it was copied, several times over.
    #[error("{} changes while it is being read; try again when it has been written", path.display())]
    Changing {
        /// The library.
        path: PathBuf,
    },

    /// No private copy of the library could be made.
    #[error(
        "cannot make a private copy of {} in {}: {source}{}; free space there, or choose a directory \
         that is writable and not mounted noexec",
        path.display(), directory.display(),
        memory.as_ref().map(|error| format!(", nor in memory: {error}")).unwrap_or_default()
    )]
    Staging {
        /// The library.
        path: PathBuf,
        /// Where the copy was to be.
        directory: PathBuf,
        /// What the system says.
        source: io::Error,
        /// What it says of a copy in memory, on systems that have that.
        memory: Option<io::Error>,
    },

    /// The file is no shared library for this machine.
    #[error("{} cannot be loaded here: {problem}", path.display())]
    Format {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        problem: FormatProblem,
    },

    /// The library is linked as not to be unloaded, and such libraries are to be refused.
    #[error(
        "{} has the flag DF_1_NODELETE and would never be unmapped; link it without `-z nodelete`, \
         or let the host clear the flag in its copy",
        path.display()
    )]
    NoDelete {
        /// The library.
        path: PathBuf,
    },

    /// The system's loader refused the library. Libraries it depends on may have been initialized.
    #[error("the system cannot load {}: {message}", path.display())]
    Loader {
        /// The library.
        path: PathBuf,
        /// What the loader says; it names the private copy.
        message: String,
    },

    /// Code that runs while a library is opened or unloaded asked to open another.
    #[error(
        "{} was to be opened by code that runs while another library is opened or unloaded; \
         do that later, or on another thread",
        path.display()
    )]
    Nested {
        /// The library.
        path: PathBuf,
    },
}

/// What is wrong with a file that should be a shared library.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatProblem {
    /// The file has no bytes.
    #[error("it is empty")]
    Empty,

    /// The file does not begin like a library.
    #[error("{}", begins_otherwise(found))]
    Magic {
        /// Its first bytes.
        found: Vec<u8>,
    },

    /// The file was made for another kind of machine.
    #[error("it is for another machine (expected {expected}, found {found})")]
    Machine {
        /// This machine.
        expected: String,
        /// The file's.
        found: String,
    },

    /// The file is an ELF file of another kind.
    #[error("it is {found}; build it as a shared library (Rust: crate-type `cdylib`)")]
    Kind {
        /// What it is.
        found: &'static str,
    },

    /// The end of the file is missing.
    #[error("it is cut off: {expected} bytes expected, {found} found; copy it again")]
    Truncated {
        /// How long the file has to be at least.
        expected: u64,
        /// How long it is.
        found: u64,
    },

    /// The file contradicts itself.
    #[error("it is damaged: {detail}")]
    Damaged {
        /// In which way.
        detail: String,
    },

    /// The file says more than is looked at.
    #[error("it has more than {limit} {what}, which no library needs")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much is looked at.
        limit: u64,
    },

    /// The library was linked against another C library, of which a process must have only one.
    #[error("it needs {found}, but this host runs on {expected}; build it for the host's target")]
    ForeignLibc {
        /// The host's C library.
        expected: &'static str,
        /// What the library needs.
        found: String,
    },
}

/// What to do about a library that cannot be read, where files beside it tell that.
fn what_to_check(path: &Path, source: &io::Error) -> String {
    const ALWAYS: &str = "check the path and its permissions";
    if source.kind() != io::ErrorKind::NotFound {
        return ALWAYS.to_owned();
    }
    let archive = path.with_extension("rlib");
    if archive.is_file() {
        return format!(
            "{} is beside it: give the crate the crate-type `cdylib`, and build it again",
            archive.display()
        );
    }
    for (built, asked) in [("debug", "release"), ("release", "debug")] {
        let other: PathBuf = path
            .iter()
            .map(|part| if part == asked { built.as_ref() } else { part })
            .collect();
        if other != path && other.is_file() {
            return format!(
                "{} is there: build for {asked}, or name that",
                other.display()
            );
        }
    }
    match std::path::absolute(path) {
        Ok(absolute) if absolute != path => {
            format!("{ALWAYS}; in full it is {}", absolute.display())
        }
        _ => ALWAYS.to_owned(),
    }
}

/// What is said of a file that does not begin like a library.
fn begins_otherwise(found: &[u8]) -> String {
    if found.starts_with(b"!<ar") {
        return "it is an archive of compiled code (.rlib, .a, .lib), from which programs are linked; give the crate \
                the crate-type `cdylib`, and name the shared library that is built then"
            .to_owned();
    }
    let (what, expected) = FORMAT;
    format!(
        "it is no shared library: it does not begin like {what} (expected {expected:02x?}, found {found:02x?})"
    )
}

/// How libraries are called here, and how their files begin.
const FORMAT: (&str, &[u8]) = if cfg!(windows) {
    ("a DLL", b"MZ")
} else {
    ("an ELF file", b"\x7fELF")
};

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_library_that_is_not_there_is_looked_for_beside() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, "").expect("written");
        };
        let said = |name: &str| {
            let path = folder.path().join(name);
            let source = fs::metadata(&path).expect_err("it is not there");
            OpenError::Unreadable { path, source }.to_string()
        };
        assert!(said("libx.so").ends_with("; check the path and its permissions"));
        file("target/debug/libx.so");
        let built = said("target/release/libx.so");
        let debug: std::path::PathBuf = ["target", "debug", "libx.so"].iter().collect();
        assert!(
            built.contains(&format!("{} is there: build for release", debug.display())),
            "{built}"
        );
        file("target/release/libx.rlib");
        let kind = said("target/release/libx.so");
        assert!(
            kind.contains("libx.rlib is beside it: give the crate the crate-type `cdylib`"),
            "{kind}"
        );
        let source = io::Error::from(io::ErrorKind::NotFound);
        let relative = OpenError::Unreadable {
            path: "no/libx.so".into(),
            source,
        }
        .to_string();
        let absolute = std::path::absolute("no/libx.so").expect("a path");
        assert!(
            relative.ends_with(&format!("in full it is {}", absolute.display())),
            "{relative}"
        );
    }

    #[test]
    fn an_archive_is_called_one() {
        let found = b"!<arch>\n".to_vec();
        let said = FormatProblem::Magic { found }.to_string();
        assert!(
            said.contains("an archive") && said.contains("cdylib"),
            "{said}"
        );
    }
}
