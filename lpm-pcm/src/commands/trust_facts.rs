//! What holds of a library's file of what `[trust]` can require: who may write it, and whose
//! signature lies beside it.

use std::io::ErrorKind;
use std::path::Path;

use lpm_host::trust::{Requirements, TrustError};
use serde::{Deserialize, Serialize};

/// What holds, in the words of the JSON output.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TrustFacts {
    /// Only root, this user and the owner of this program may write the file and what leads to it;
    /// null where the system does not tell.
    pub(crate) owner: Option<bool>,
    /// Who else may write what, in words.
    pub(crate) others: Option<String>,
    pub(crate) signature: SignatureFact,
    /// What is wrong with the signature, in words.
    pub(crate) problem: Option<String>,
}

/// What is known of a signature beside a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignatureFact {
    /// There is none.
    None,
    /// There is a file, and no key to check it with.
    Unchecked,
    /// It is by one of the keys.
    Valid,
    /// It is by none of the keys, of another file, or cannot be read.
    Refused,
}

impl TrustFacts {
    /// Of this file; `keys` are public keys of minisign.
    pub(crate) fn of(library: &Path, keys: &[String]) -> Self {
        let others = Requirements::default().kept_safe().check_file(library);
        let (signature, problem) = signature(library, keys);
        Self {
            owner: cfg!(unix).then_some(others.is_ok()),
            others: others.err().map(|error| in_short(&error)),
            signature,
            problem,
        }
    }
}

fn signature(library: &Path, keys: &[String]) -> (SignatureFact, Option<String>) {
    let checked = match Requirements::default().signed_by(keys) {
        Ok(signed) => signed.check_file(library),
        Err(error) => return (SignatureFact::Refused, Some(error.to_string())),
    };
    match checked {
        Ok(()) => (SignatureFact::Valid, None),
        Err(TrustError::NoSignature { source, .. }) if source.kind() == ErrorKind::NotFound => {
            (SignatureFact::None, None)
        }
        Err(TrustError::BadSignature { .. }) if keys.is_empty() => (SignatureFact::Unchecked, None),
        Err(error) => (SignatureFact::Refused, Some(in_short(&error))),
    }
}

/// Without the name of the library, which is known, and what would come of it.
fn in_short(error: &TrustError) -> String {
    match error {
        TrustError::Writable { path, writers, .. } => {
            format!("{} can be written by {writers}", path.display())
        }
        TrustError::BadSignature { signature, .. } => format!(
            "{} is no signature of it by one of the keys given",
            signature.display()
        ),
        TrustError::NoSignature {
            signature, source, ..
        } => format!("{} cannot be read: {source}", signature.display()),
        TrustError::Unreadable { path, source, .. } => {
            format!("{} cannot be checked: {source}", path.display())
        }
        other => other.to_string(),
    }
}
