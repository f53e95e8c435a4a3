//! Passwords, and URLs that have one in them.

use std::fmt;
use std::path::PathBuf;

/// A text that is not to be seen. It is printed as `(secret)`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text from being printed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whoever is to be told.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Where a secret is, if not in the configuration itself. It is read each time it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this variable of the environment.
    Environment(String),
    /// On the first line of this file.
    File(PathBuf),
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSecret {
    #[error("the environment variable {0}: {1}")]
    Environment(String, #[source] std::env::VarError),
    #[error("the file {}: {}", .0.display(), .1)]
    File(PathBuf, #[source] std::io::Error),
}

impl Place {
    /// The secret.
    pub(crate) fn read(&self) -> Result<Secret, NoSecret> {
        match self {
            Self::Environment(variable) => std::env::var(variable)
                .map(Secret)
                // What it holds instead of text may still be the secret.
                .map_err(|error| match error {
                    std::env::VarError::NotUnicode(_) => {
                        std::env::VarError::NotUnicode("(secret)".into())
                    }
                    error @ std::env::VarError::NotPresent => error,
                })
                .map_err(|error| NoSecret::Environment(variable.clone(), error)),
            Self::File(path) => std::fs::read_to_string(path)
                .map(|text| Secret(text.lines().next().unwrap_or_default().to_owned()))
                .map_err(|error| NoSecret::File(path.clone(), error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("open sesame");
        assert_eq!(
            format!("{secret:?} {:?}", Some(&secret)),
            "(secret) Some((secret))"
        );
        assert_eq!(secret.reveal(), "open sesame");
    }
}
