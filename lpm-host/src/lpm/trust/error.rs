//! Why a library's file is not trusted.

use std::io;
use std::path::PathBuf;

/// A text that is no public key of minisign.
#[derive(Debug, thiserror::Error)]
#[error(
    "{key:?} is not a public key of minisign: expected a line such as `RWQf6LRC…`, 56 characters"
)]
pub struct KeyError {
    /// The text.
    pub key: String,
}

/// Why a library's file is not trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The file, or a folder that leads to it, can be written by somebody who is neither root, nor
    /// the user that this process runs as, nor the owner of this program.
    #[error(
        "{}: not loaded, because {} can be written by {writers}: let only root or the PCM's user write it",
        library.display(), path.display()
    )]
    Writable {
        /// The library.
        library: PathBuf,
        /// The file or folder, or symbolic link.
        path: PathBuf,
        /// Who else: `everybody`, `group 1000`, `user 1001`.
        writers: String,
    },

    /// The file is another one than the one that is required.
    #[error("{}: not loaded, because its SHA-256 is {found}, expected {expected}", library.display())]
    Digest {
        /// The library.
        library: PathBuf,
        /// In hexadecimal.
        expected: String,
        /// In hexadecimal.
        found: String,
    },

    /// There is no signature, or it cannot be read.
    #[error("{}: not loaded, because its signature {} cannot be read", library.display(), signature.display())]
    NoSignature {
        /// The library.
        library: PathBuf,
        /// The file that has to be beside it.
        signature: PathBuf,
        /// Why not.
        source: io::Error,
    },

    /// The signature is by none of the keys, or of another file.
    #[error(
        "{}: not loaded, because {} is not a signature of it by one of the {keys} keys that are trusted",
        library.display(), signature.display()
    )]
    BadSignature {
        /// The library.
        library: PathBuf,
        /// The file with the signature.
        signature: PathBuf,
        /// How many keys there are.
        keys: usize,
    },

    /// The file, its copy or a folder cannot be looked at.
    #[error("{}: not loaded, because {} cannot be checked", library.display(), path.display())]
    Unreadable {
        /// The library.
        library: PathBuf,
        /// What cannot be looked at.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}
