//! What the system's loader says.

/// Why the loader does not do what it was asked for, in its words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LoaderError(pub(crate) String);
