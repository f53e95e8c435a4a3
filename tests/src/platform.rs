//! What becomes of libraries on the platform that the tests run on, and of processes.

use std::sync::LazyLock;

use lpm_host::event::{Event, EventId};
use lpm_host::{Pcm, PinReason, UnloadOutcome, libunload};

use crate::{RecordedEvents, fixture};

/// Whether any library is unmapped. Where none is, the platform is the reason that is given.
const UNMAPS_SOME: bool = cfg!(any(
    windows,
    all(
        target_os = "linux",
        target_env = "gnu",
        target_pointer_width = "64"
    )
));

/// Whether libraries in Rust are unmapped, which have thread-locals: with glibc on aarch64 not
/// where its loader hands these on. Where they are not, the platform is the reason that is given.
///
/// # Panics
///
/// When that has to be tried, and cannot be.
#[must_use]
pub fn unmaps() -> bool {
    static TRIED: LazyLock<bool> = LazyLock::new(|| {
        let pcm = Pcm::builder().lpm(fixture("accepts"));
        let pcm = pcm.event_log(RecordedEvents::default()).build();
        let pcm = pcm.expect("builds");
        pcm.become_dsbm().expect("starts");
        let teardown = pcm.demote().expect("in charge");
        match &teardown.libraries[0].outcome {
            UnloadOutcome::Pinned { reasons } => !reasons.iter().all(is_the_platform),
            UnloadOutcome::Unmapped => true,
        }
    });
    UNMAPS_SOME && (cfg!(not(target_arch = "aarch64")) || *TRIED)
}

/// What is recorded of a library in Rust that nothing of its own keeps.
#[must_use]
pub fn gone() -> EventId {
    if unmaps() {
        EventId::LibraryUnmapped
    } else {
        EventId::LibraryPinned
    }
}

/// Whether that is recorded of a library that need not be in Rust, or not in this process.
#[must_use]
pub fn is_gone(event: &Event) -> bool {
    event.id == EventId::LibraryUnmapped || event.id == gone()
}

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
    let mut reasons = match outcome {
        UnloadOutcome::Unmapped => Vec::new(),
        UnloadOutcome::Pinned { reasons } => reasons.clone(),
    };
    let none = "unmapped, where nothing is";
    assert!(UNMAPS_SOME || !reasons.is_empty(), "{none}");
    assert!(
        !unmaps() || !reasons.iter().any(is_the_platform),
        "{outcome}"
    );
    reasons.retain(|reason| !is_the_platform(reason) && (unmaps() || !is_unseen(reason)));
    reasons
}

/// Whether what stands in the way is that a thread could not be looked at: where the platform is
/// emulated none can be, which is only asked about libraries without thread-locals there.
fn is_unseen(reason: &PinReason) -> bool {
    matches!(
        reason,
        PinReason::Library(libunload::PinReason::StackUnknown(_))
    )
}

fn is_the_platform(reason: &PinReason) -> bool {
    matches!(
        reason,
        PinReason::Library(
            libunload::PinReason::Platform { .. }
                | libunload::PinReason::ThreadLocalsInherited { .. }
        )
    )
}

/// Whether there is a process of this number: on Linux also one that has ended, and that nobody has
/// waited for.
#[cfg(target_os = "linux")]
#[must_use]
pub fn is_there(process: u32) -> bool {
    std::path::Path::new(&format!("/proc/{process}")).exists()
}

/// The same.
#[cfg(windows)]
#[must_use]
pub fn is_there(process: u32) -> bool {
    runs(process)
}

/// Whether a process runs; one that nobody has waited for yet does not.
#[cfg(target_os = "linux")]
#[must_use]
pub fn runs(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    let is_left = |rest: &str| rest.starts_with(" Z");
    stat.is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(is_left))
}

/// The same.
#[cfg(windows)]
#[must_use]
pub fn runs(process: u32) -> bool {
    use winsafe::prelude::kernel_Hprocess;
    use winsafe::{HPROCESS, co};

    let process = HPROCESS::OpenProcess(co::PROCESS::SYNCHRONIZE, false, process);
    process.is_ok_and(|process| process.WaitForSingleObject(Some(0)) == Ok(co::WAIT::TIMEOUT))
}

/// Whether this is wine in place of Windows.
#[must_use]
pub fn is_wine() -> bool {
    cfg!(windows) && std::env::var_os("WINELOADER").is_some()
}
