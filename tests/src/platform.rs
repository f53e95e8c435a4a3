//! What becomes of libraries on the platform that the tests run on.

use lpm_host::event::EventId;
use lpm_host::{PinReason, UnloadOutcome, libunload};

/// Whether libraries are unmapped. Where they are not, the platform is the reason that is given.
pub const UNMAPS: bool = cfg!(any(
    windows,
    all(
        target_os = "linux",
        target_env = "gnu",
        target_pointer_width = "64"
    )
));

/// What is recorded of a library that nothing of its own keeps.
pub const GONE: EventId = if UNMAPS {
    EventId::LibraryUnmapped
} else {
    EventId::LibraryPinned
};

/// Checks that nothing of its own keeps a library.
///
/// # Panics
///
/// When something does.
#[track_caller]
pub fn assert_gone(outcome: &UnloadOutcome) {
    assert_eq!(reasons_of_its_own(outcome), [], "{outcome}");
}

/// Why a library stays, besides the platform.
///
/// # Panics
///
/// When the platform does not do what is said of it.
#[track_caller]
#[must_use]
pub fn reasons_of_its_own(outcome: &UnloadOutcome) -> Vec<PinReason> {
    let platform = |reason: &PinReason| {
        matches!(
            reason,
            PinReason::Library(libunload::PinReason::Platform { .. })
        )
    };
    let mut reasons = match outcome {
        UnloadOutcome::Unmapped => Vec::new(),
        UnloadOutcome::Pinned { reasons } => reasons.clone(),
    };
    assert!(UNMAPS || !reasons.is_empty(), "unmapped, where nothing is");
    assert!(!UNMAPS || !reasons.iter().any(platform), "{outcome}");
    reasons.retain(|reason| !platform(reason));
    reasons
}
