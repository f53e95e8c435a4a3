//! Reading policy files.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::parse::PolicyError;
use super::sections::Policy;

/// The largest policy file that is read, 256 MiB: a million users fit, `/dev/zero` does not.
const LARGEST_FILE: u64 = 256 << 20;

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is a fault in the text of the policy or of the configuration.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The policy file cannot be read.
    #[error("cannot read the policy file {}{}: {error}", .path.display(), named_in(.config_source.as_deref()))]
    Read {
        /// The file, with its directory.
        path: PathBuf,
        /// Where the configuration comes from that names the file, if one does.
        config_source: Option<String>,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

impl Policy {
    /// Reads a policy file, as [`parse`](Self::parse) reads its text.
    ///
    /// # Errors
    /// The file cannot be read, is larger than 256 MiB, or has a fault.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        let text = read_text(path)?;
        Ok(Self::parse(&path.display().to_string(), &text)?)
    }
}

/// The text of a policy file.
pub(crate) fn read_text(path: &Path) -> Result<String, LoadError> {
    read(path).map_err(|error| LoadError::Read {
        path: path.to_owned(),
        config_source: None,
        error,
    })
}

impl LoadError {
    /// The same error, with the configuration that names the file.
    pub(crate) fn named_in(mut self, source: &str) -> Self {
        if let Self::Read { config_source, .. } = &mut self {
            *config_source = Some(source.to_owned());
        }
        self
    }
}

fn named_in(config_source: Option<&str>) -> String {
    config_source.map_or_else(String::new, |source| {
        format!(", which policy_file in {source} names")
    })
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(LARGEST_FILE + 1)
        .read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read <= LARGEST_FILE) {
        Ok(text)
    } else {
        Err(io::Error::other(format!(
            "it is larger than {} MiB",
            LARGEST_FILE >> 20
        )))
    }
}
