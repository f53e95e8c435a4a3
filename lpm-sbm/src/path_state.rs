//! Whether there is Path state for a Resv.

use serde::Serialize;

/// Whether a Resv has the Path state that it answers. Serialized in snake_case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathState {
    /// It does.
    Known,
    /// There is none for its session.
    NoPath,
    /// There is some for its session, but none of it by the senders that it names.
    NoSender,
}
