//! Where the system has no bounds for a process that are known here.

use std::convert::Infallible;

use crate::confinement::Confinement;

/// Confines nothing, and says so.
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it may fail")]
pub(super) fn confine(to: &Confinement) -> Result<Vec<String>, Infallible> {
    Ok(lacks(to))
}

/// What the system cannot do of that.
pub(super) fn lacks(to: &Confinement) -> Vec<String> {
    if *to == Confinement::default() {
        return Vec::new();
    }
    vec![format!(
        "{} has no bounds for a process that are known here: its LPM is not restricted",
        std::env::consts::OS
    )]
}
