//! Which program runs LPMs, and how it knows that it is to.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::IsolationError;

/// The first argument of a runner.
pub(crate) const COMMAND: &str = "lpm-runner";
/// In the environment of a runner: the numbers of its socket and of the shared memory, where it has
/// such.
pub(crate) const FILES: &str = "LPM_RUNNER";

/// Whether this program runs LPMs when it is asked to.
static RUNS_LPMS: AtomicBool = AtomicBool::new(false);

/// From now on this program is known to run LPMs.
pub(crate) fn this_one_runs_lpms() {
    RUNS_LPMS.store(true, Ordering::Relaxed);
}

/// Whether this process was started to run an LPM.
pub(crate) fn is_asked() -> bool {
    env::var_os(FILES).is_some() && env::args_os().nth(1).as_deref() == Some(OsStr::new(COMMAND))
}

/// The program that runs LPMs: `configured`, or this one.
pub(crate) fn find(configured: Option<&Path>) -> Result<PathBuf, IsolationError> {
    // One that starts another, and so on, would never come to an end.
    if is_asked() {
        return Err(IsolationError::IsRunner);
    }
    match configured {
        Some(program) => Ok(program.to_path_buf()),
        // On Linux also where its file was replaced, or is elsewhere by now.
        None if RUNS_LPMS.load(Ordering::Relaxed) => match cfg!(target_os = "linux") {
            true => Ok(PathBuf::from("/proc/self/exe")),
            false => env::current_exe().map_err(IsolationError::System),
        },
        None => Err(IsolationError::NoRunner),
    }
}
