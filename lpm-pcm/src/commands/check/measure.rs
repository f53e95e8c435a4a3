//! What this process takes of the system.

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
    pub(super) fn now() -> Self {
        Self {
            memory: resident_bytes(),
            threads: entries("/proc/self/task"),
            files: entries("/proc/self/fd"),
        }
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(1024 * kilobytes)
}

fn entries(folder: &str) -> Option<u64> {
    Some(fs::read_dir(folder).ok()?.count() as u64)
}
