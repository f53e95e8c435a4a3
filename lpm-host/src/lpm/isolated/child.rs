//! The child process itself: started, waited for, ended.

use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionread};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::super::lock::lock;
use super::program;

/// A process that was started.
pub(crate) struct Running {
    child: Mutex<Child>,
    id: u32,
    /// Can be read once it has ended; `None` before Linux 5.3.
    end: Option<OwnedFd>,
}

impl Running {
    /// Starts the program as a runner, with its end of the socket and the file of the shared
    /// memory. The process ends with this thread, whatever that ends of.
    pub(crate) fn start(program: &Path, socket: UnixStream, memory: OwnedFd) -> io::Result<Self> {
        let parent = rustix::process::getpid();
        let mut command = Command::new(program);
        command
            .arg(program::COMMAND)
            .env(
                program::FILES,
                format!("{},{}", socket.as_raw_fd(), memory.as_raw_fd()),
            )
            .stdin(Stdio::null())
            // What a terminal sends to a group of processes is for the PCM, which then ends this
            // one.
            .process_group(0);
        let prepare = move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            if rustix::process::getppid() != Some(parent) {
                // It ended before that.
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            fcntl_setfd(&socket, FdFlags::empty())?;
            fcntl_setfd(&memory, FdFlags::empty())?;
            Ok(())
        };
        // SAFETY: what runs between `fork` and `exec` makes system calls, and neither allocates nor
        // locks.
        unsafe { command.pre_exec(prepare) };
        let child = command.spawn()?;
        let id = child.id();
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
        let end = pid.and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        let child = Mutex::new(child);
        Ok(Self { child, id, end })
    }

    /// Its number in the system.
    pub(crate) const fn id(&self) -> u32 {
        self.id
    }

    /// Ends it at once.
    pub(crate) fn kill(&self) {
        // Where it was waited for, the number is known to be no longer its own.
        let _ = lock(&self.child).kill();
    }

    /// Waits for its end.
    pub(crate) fn wait(&self) -> io::Result<ExitStatus> {
        loop {
            let status = lock(&self.child).try_wait()?;
            if let Some(status) = status {
                return Ok(status);
            }
            let again = Timespec {
                tv_sec: 0,
                tv_nsec: 10_000_000,
            };
            // Whatever comes of it, it is looked again.
            let _ = match &self.end {
                Some(end) => poll(&mut [PollFd::new(end, PollFlags::IN)], None),
                None => poll(&mut [], Some(&again)),
            };
        }
    }

    /// Reads from the socket, up to the end of the process: others may hold the other end of the
    /// socket longer.
    pub(crate) fn hear<'a>(&'a self, socket: &'a UnixStream) -> impl Read + 'a {
        Heard {
            socket,
            end: self.end.as_ref(),
            left: None,
        }
    }
}

struct Heard<'a> {
    socket: &'a UnixStream,
    end: Option<&'a OwnedFd>,
    /// Bytes that were there at its end, and that are still to be read.
    left: Option<u64>,
}

impl Read for Heard<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(end) = self.end else {
            return self.socket.read(buffer);
        };
        if self.left.is_none() {
            let mut both = [
                PollFd::new(self.socket, PollFlags::IN),
                PollFd::new(end, PollFlags::IN),
            ];
            poll(&mut both, None)?;
            if both[1].revents().is_empty() {
                return self.socket.read(buffer);
            }
            // What it said before its end is heard first, and no more: whom it left the socket may
            // go on and on.
            self.left = Some(ioctl_fionread(self.socket)?);
        }
        let Some(left) = self.left.as_mut().filter(|left| **left > 0) else {
            return Ok(0);
        };
        let most = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = self.socket.read(&mut buffer[..most])?;
        *left -= read as u64;
        Ok(read)
    }
}

/// How a process ended: `killed by signal 11 (SIGSEGV)`, or with which status.
pub(crate) fn describe(status: io::Result<ExitStatus>) -> String {
    let status = match status {
        Ok(status) => status,
        Err(error) => return format!("nobody knows how: {error}"),
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it exited with status {code}"),
        (None, Some(signal)) => {
            let name = SIGNALS.iter().find(|(number, _)| *number == signal);
            let name = name.map_or_else(String::new, |(_, name)| format!(" ({name})"));
            format!("killed by signal {signal}{name}")
        }
        (None, None) => status.to_string(),
    }
}

/// What ends processes, most of all those that are at fault.
const SIGNALS: [(i32, &str); 16] = [
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGALRM, "SIGALRM"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGKILL, "SIGKILL"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGQUIT, "SIGQUIT"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGSYS, "SIGSYS"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGXCPU, "SIGXCPU"),
    (libc::SIGXFSZ, "SIGXFSZ"),
];

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn how_a_process_ended_is_told_in_words() {
        let told = |raw| describe(Ok(ExitStatus::from_raw(raw)));
        assert_eq!(told(3 << 8), "it exited with status 3");
        assert_eq!(told(libc::SIGSEGV), "killed by signal 11 (SIGSEGV)");
        // With a core, and one without a name.
        assert_eq!(told(libc::SIGABRT | 0x80), "killed by signal 6 (SIGABRT)");
        assert_eq!(told(40), "killed by signal 40");
    }
}
