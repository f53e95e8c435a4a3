//! What this process takes of the system; `None` where the system does not say.

use std::fs;

/// Memory that is resident, in bytes.
pub(super) fn resident_bytes() -> Option<u64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(1024 * kilobytes)
}

/// Threads.
pub(super) fn threads() -> Option<usize> {
    entries("/proc/self/task")
}

/// Open files and sockets.
pub(super) fn open_files() -> Option<usize> {
    entries("/proc/self/fd")
}

fn entries(folder: &str) -> Option<usize> {
    Some(fs::read_dir(folder).ok()?.count())
}
