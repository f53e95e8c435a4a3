//! What has to hold of a library's file before any of it is mapped.
//!
//! Each check is of the private copy, or of the file that it was made from while that is open, so
//! that what was checked is what runs, whatever happens to the path in the meantime.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use minisign_verify::{PublicKey, Signature};
use sha2::{Digest, Sha256};

use super::error::{KeyError, TrustError};

/// What a library's file has to be like; by default anything goes.
///
/// ```
/// use lpm_host::trust::Requirements;
///
/// // What `minisign -G` prints.
/// let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
/// let library = lpm_host::trust_library!(unsafe "/usr/lib/lpm/libidentity.so");
/// let library = library.require(Requirements::default().kept_safe().signed_by(&[key])?);
/// # Ok::<(), lpm_host::trust::KeyError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct Requirements {
    kept_safe: bool,
    sha256: Option<[u8; 32]>,
    /// As text; each is a key.
    keys: Option<Vec<String>>,
}

impl Requirements {
    /// The file, and each folder and symbolic link on the way to it, can be written by root, the
    /// user that this process runs as, and the owner of this program, and by nobody else. A group
    /// of root's or of that user's own counts as its user; a folder in which everybody may only
    /// change what is theirs (`/tmp`) is safe. On Unix; elsewhere it always holds.
    pub const fn kept_safe(mut self) -> Self {
        self.kept_safe = true;
        self
    }

    /// The file has this SHA-256.
    pub const fn sha256(mut self, digest: [u8; 32]) -> Self {
        self.sha256 = Some(digest);
        self
    }

    /// Beside the file lies a signature of it by one of these keys, made with `minisign -S`:
    /// `FILE.minisig`. Without any key nothing is trusted.
    ///
    /// # Errors
    ///
    /// One of them is no public key of minisign.
    pub fn signed_by(mut self, keys: &[impl AsRef<str>]) -> Result<Self, KeyError> {
        let keys = keys.iter().map(|key| {
            let key = key.as_ref().trim().to_owned();
            match PublicKey::from_base64(&key) {
                Ok(_) => Ok(key),
                Err(_) => Err(KeyError { key }),
            }
        });
        self.keys = Some(keys.collect::<Result<_, _>>()?);
        Ok(self)
    }

    /// Its parts, for another process: whether the file is to be kept safe, its SHA-256, and the
    /// keys.
    pub(crate) fn parts(&self) -> (bool, Option<&[u8; 32]>, Option<&[String]>) {
        (self.kept_safe, self.sha256.as_ref(), self.keys.as_deref())
    }

    /// What has these parts.
    pub(crate) const fn of_parts(
        kept_safe: bool,
        sha256: Option<[u8; 32]>,
        keys: Option<Vec<String>>,
    ) -> Self {
        Self {
            kept_safe,
            sha256,
            keys,
        }
    }

    /// Whether the contents of the file matter, all of them.
    pub(crate) const fn of_contents(&self) -> bool {
        self.sha256.is_some() || self.keys.is_some()
    }

    /// Whether all of it holds of a file now, for whoever wants to know. Of a library that is
    /// loaded it is checked then, of the private copy.
    ///
    /// # Errors
    ///
    /// What does not hold, the first that is found.
    pub fn check_file(&self, library: &Path) -> Result<(), TrustError> {
        let file = File::open(library).map_err(|source| TrustError::Unreadable {
            library: library.to_owned(),
            path: library.to_owned(),
            source,
        })?;
        self.check(library, &file, &file)
    }

    /// Checks a library: `original` is its file, open, and `copy` the private copy of it.
    pub(crate) fn check(
        &self,
        path: &Path,
        original: &File,
        copy: &File,
    ) -> Result<(), TrustError> {
        #[cfg(unix)]
        if self.kept_safe {
            super::owner::check(path, original)?;
        }
        #[cfg(not(unix))]
        let _ = original;
        if !self.of_contents() {
            return Ok(());
        }
        let contents = whole(copy).map_err(|source| TrustError::Unreadable {
            library: path.to_owned(),
            path: path.to_owned(),
            source,
        })?;
        if let Some(expected) = self.sha256 {
            let found: [u8; 32] = Sha256::digest(&contents).into();
            if found != expected {
                return Err(TrustError::Digest {
                    library: path.to_owned(),
                    expected: hexadecimal(expected),
                    found: hexadecimal(found),
                });
            }
        }
        match &self.keys {
            Some(keys) => check_signature(path, &contents, keys),
            None => Ok(()),
        }
    }
}

/// A signature is some lines of text.
const LONGEST_SIGNATURE: u64 = 16 << 10;

fn check_signature(path: &Path, contents: &[u8], keys: &[String]) -> Result<(), TrustError> {
    let mut signature = OsString::from(path);
    signature.push(".minisig");
    let beside = PathBuf::from(signature);
    let unreadable = |source| TrustError::NoSignature {
        library: path.to_owned(),
        signature: beside.clone(),
        source,
    };
    let text = short_text(&beside).map_err(unreadable)?;
    let signed = Signature::decode(&text).is_ok_and(|signature| {
        let mut keys = keys
            .iter()
            .filter_map(|key| PublicKey::from_base64(key).ok());
        // In the mode that minisign signs in since 2021; the older one is refused.
        keys.any(|key| key.verify(contents, &signature, false).is_ok())
    });
    signed
        .then_some(())
        .ok_or_else(|| TrustError::BadSignature {
            library: path.to_owned(),
            signature: beside.clone(),
            keys: keys.len(),
        })
}

fn short_text(path: &Path) -> io::Result<String> {
    // A FIFO would hold whoever opens it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("is not a file"));
    }
    let mut text = String::new();
    File::open(path)?
        .take(LONGEST_SIGNATURE)
        .read_to_string(&mut text)?;
    Ok(text)
}

fn whole(mut copy: &File) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    copy.rewind()?;
    copy.read_to_end(&mut contents)?;
    Ok(contents)
}

fn hexadecimal(digest: [u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
