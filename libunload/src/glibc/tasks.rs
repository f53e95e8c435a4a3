//! The threads of this process, as the kernel knows them.

use std::fs;
use std::io;

use crate::outcome::ThreadLabel;

/// A thread of this process, told from a later one that gets the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Thread {
    pub(super) id: libc::pid_t,
    /// In clock ticks since the system was started; 0 if that could not be read.
    pub(super) started: u64,
}

impl Thread {
    /// The thread that asks.
    pub(super) fn current() -> Self {
        let id = current_id();
        Self {
            id,
            started: start_time(id).unwrap_or(0),
        }
    }

    /// Whether the kernel still knows the thread.
    pub(super) fn is_alive(self) -> bool {
        match start_time(self.id) {
            Some(started) => self.started == 0 || self.started == started,
            // Without /proc one can only ask whether somebody has the number.
            None => exists(self.id),
        }
    }

    pub(super) fn label(self) -> ThreadLabel {
        label(self.id)
    }
}

/// The threads of this process.
pub(super) fn numbers() -> io::Result<Vec<libc::pid_t>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let name = entry?.file_name();
        numbers.extend(
            name.to_str()
                .and_then(|name| name.parse::<libc::pid_t>().ok()),
        );
    }
    Ok(numbers)
}

/// What the kernel tells of a thread in words (`status`); nothing of one that has ended.
pub(super) struct Status(String);

impl Status {
    pub(super) fn of(thread: libc::pid_t) -> Self {
        let status = fs::read_to_string(format!("/proc/self/task/{thread}/status"));
        Self(status.unwrap_or_default())
    }

    /// What stands behind a name, which ends with its colon.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.0.lines();
        lines.find_map(|line| line.strip_prefix(name).map(str::trim))
    }
}

/// The number of the thread that asks.
pub(super) fn current_id() -> libc::pid_t {
    // SAFETY: no preconditions.
    unsafe { libc::gettid() }
}

/// How an operator finds the thread of this number.
pub(super) fn label(id: libc::pid_t) -> ThreadLabel {
    let name = fs::read(format!("/proc/self/task/{id}/comm")).unwrap_or_default();
    let name = String::from_utf8_lossy(name.trim_ascii_end()).into_owned();
    ThreadLabel {
        id: u64::try_from(id).unwrap_or_default(),
        name,
    }
}

/// When the thread was started, in clock ticks since the system was.
fn start_time(id: libc::pid_t) -> Option<u64> {
    let status = fs::read(format!("/proc/self/task/{id}/stat")).ok()?;
    // The name, in parentheses, may contain anything; the start is the 20th field after it.
    let name_end = status.iter().rposition(|&byte| byte == b')')?;
    let after = std::str::from_utf8(status.get(name_end + 1..)?).ok()?;
    after.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// How far threads have got, to tell those that get no processor from those that stay where they
/// are.
#[derive(Default)]
pub(super) struct Progress(Vec<(libc::pid_t, u64)>);

impl Progress {
    /// Whether each of these threads could go on but has had no processor since this was last
    /// asked.
    pub(super) fn stands_still(&mut self, threads: &[libc::pid_t]) -> bool {
        let times = threads.iter().map(|&id| Some((id, time_if_ready(id)?)));
        let now: Vec<_> = times.flatten().collect();
        let all = now.len() == threads.len() && now.iter().all(|thread| self.0.contains(thread));
        self.0 = now;
        all
    }
}

/// How long the thread has had a processor, in nanoseconds, if it waits for one, or for the kernel
/// to get it some memory or the like; `None` also where the kernel does not tell.
fn time_if_ready(id: libc::pid_t) -> Option<u64> {
    let status = fs::read(format!("/proc/self/task/{id}/stat")).ok()?;
    let name_end = status.iter().rposition(|&byte| byte == b')')?;
    let state = status.get(name_end + 2)?;
    let times = fs::read_to_string(format!("/proc/self/task/{id}/schedstat")).ok()?;
    let time = times.split_ascii_whitespace().next()?.parse().ok()?;
    matches!(state, b'R' | b'D').then_some(time)
}

pub(super) fn exists(id: libc::pid_t) -> bool {
    // SAFETY: signal 0 is not sent; it only asks whether it could be.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), id, 0) == 0 }
}
