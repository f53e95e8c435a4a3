//! Unloading where imports are not redirected: what other platforms can promise.
//!
//! | platform | outcome |
//! |---|---|
//! | Windows | A library's thread-locals and threads do not outlive it unseen: the system calls the library when a thread ends, and verifies the rest. It is unmapped, and `GetModuleHandleExW` confirms that. |
//! | macOS | A library with thread-locals that have destructors is kept by the system; others are unmapped. What the system keeps is reported. |
//! | musl | `dlclose` does nothing; the library stays mapped, which is reported. |
//! | other | As the system does; what it keeps is reported. |
//!
//! Threads that a library left running are not found here.

use std::ffi::{CStr, c_void};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use super::os::Handle;
use super::stage::Staged;
use super::{HinderingFacts, NoDelete, OpenError, PinReason, UnloadOutcome};

/// A private copy that is ready to be loaded.
pub(super) struct Prepared {
    pub(super) facts: HinderingFacts,
}
