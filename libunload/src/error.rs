//! Why a library could not be opened.

use std::io;
use std::path::PathBuf;

/// Why a library could not be opened. Nothing of it has run, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be read: it does not exist, or permission is missing.
    #[error("cannot read the library {}: {source}; check the path and its permissions", path.display())]
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
    #[error("{} is no shared library that can be loaded here: {problem}", path.display())]
    Format {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        problem: FormatProblem,
    },

    /// The library is linked as not to be unloaded, and such libraries are to be refused.
    #[error(
        "{} bears the flag DF_1_NODELETE and would never be unmapped; link it without `-z nodelete`, \
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
    #[error("it does not begin like {} (expected {:02x?}, found {found:02x?})", FORMAT.0, FORMAT.1)]
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

/// How libraries are called here, and how their files begin.
const FORMAT: (&str, &[u8]) = if cfg!(windows) {
    ("a DLL", b"MZ")
} else {
    ("an ELF file", b"\x7fELF")
};
