//! What a process takes of the system.

use std::fmt::Display;
use std::fs;

/// What is in use at one time; `None` where the system does not say.
#[derive(Clone, Copy)]
pub(super) struct InUse {
    /// Memory that is resident, in bytes.
    pub(super) memory: Option<u64>,
    pub(super) threads: Option<u64>,
    /// Open files and sockets.
    pub(super) files: Option<u64>,
}

impl InUse {
    pub(super) const NOTHING: Self = Self {
        memory: Some(0),
        threads: Some(0),
        files: Some(0),
    };
    pub(super) const UNKNOWN: Self = Self {
        memory: None,
        threads: None,
        files: None,
    };

    /// By this process.
    pub(super) fn now() -> Self {
        Self::of("self")
    }

    /// By a process of this number.
    pub(super) fn of(process: impl Display) -> Self {
        Self {
            memory: resident_bytes(&format!("/proc/{process}/status")),
            threads: entries(&format!("/proc/{process}/task")),
            files: entries(&format!("/proc/{process}/fd")),
        }
    }
}

fn resident_bytes(status: &str) -> Option<u64> {
    let status = fs::read_to_string(status).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(1024 * kilobytes)
}

fn entries(folder: &str) -> Option<u64> {
    Some(fs::read_dir(folder).ok()?.count() as u64)
}
