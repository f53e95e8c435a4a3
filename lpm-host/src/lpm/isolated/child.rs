//! The child process itself: started, waited for, ended.

use std::io::{self, BufReader, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionread};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::frames::{Frame, Greeting, LONGEST, LONGEST_REPORT, Writer};
use super::memory::Memory;
use super::program;
use super::spawned::Spawned;

/// How long it may take until a process has room for what it is told: it has a thread that only
/// listens.
pub(crate) const LISTENS: Duration = Duration::from_secs(5);

/// What a process that is to be started gets, and the way to hear it.
pub(crate) struct Ends {
    socket: UnixStream,
    theirs: UnixStream,
    memory: OwnedFd,
}

/// What a process takes that is to be started: the PCM's places for calls, and its way to tell it
/// something.
pub(crate) fn prepare() -> io::Result<(Memory, Arc<Writer>, Ends)> {
    let (shared, memory) = Memory::create()?;
    let (socket, theirs) = UnixStream::pair()?;
    socket.set_write_timeout(Some(LISTENS))?;
    let to_runner = Arc::new(Writer::new(socket.try_clone()?, LONGEST));
    let ends = Ends {
        socket,
        theirs,
        memory,
    };
    Ok((shared, to_runner, ends))
}

/// What a process that was started has got: the places for calls, and the ways from and to its PCM,
/// which was greeted. They are this process's own from now on.
pub(crate) fn own_ends() -> io::Result<(Memory, UnixStream, Arc<Writer>)> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let named = std::env::var(program::FILES).map_err(|_| missing())?;
    let (socket, memory) = named.split_once(',').ok_or_else(missing)?;
    let file = |number: &str| {
        let number: RawFd = number.parse().map_err(|_| missing())?;
        // SAFETY: whoever started this process as a runner gave it these files, and nobody else
        // here knows of them.
        let file = unsafe { OwnedFd::from_raw_fd(number) };
        // What the LPM starts does not get them.
        fcntl_setfd(&file, FdFlags::CLOEXEC)?;
        Ok::<_, io::Error>(file)
    };
    let (mut socket, memory) = (UnixStream::from(file(socket)?), file(memory)?);
    Greeting::own().send(&mut socket)?;
    let from = socket.try_clone()?;
    let to = Writer::new(socket, LONGEST_REPORT);
    Ok((Memory::map(&memory)?, from, Arc::new(to)))
}

/// A process that was started.
pub(crate) struct Running {
    pub(crate) process: Spawned,
    socket: UnixStream,
    /// Can be read once it has ended; `None` before Linux 5.3.
    end: Option<OwnedFd>,
}

impl Running {
    /// Starts the program as a runner, with its end of the socket and the file of the shared
    /// memory. The process ends with this thread, whatever that ends of.
    pub(crate) fn start(program: &Path, ends: Ends) -> io::Result<Self> {
        let Ends {
            socket,
            theirs,
            memory,
        } = ends;
        let parent = rustix::process::getpid();
        let mut command = Command::new(program);
        command
            .arg(program::COMMAND)
            .env(
                program::FILES,
                format!("{},{}", theirs.as_raw_fd(), memory.as_raw_fd()),
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
            fcntl_setfd(&theirs, FdFlags::empty())?;
            fcntl_setfd(&memory, FdFlags::empty())?;
            Ok(())
        };
        // SAFETY: what runs between `fork` and `exec` makes system calls, and neither allocates nor
        // locks.
        unsafe { command.pre_exec(prepare) };
        let process = Spawned::new(command.spawn()?);
        let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
        let end = pid.and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        Ok(Self {
            process,
            socket,
            end,
        })
    }

    /// Waits for its end.
    pub(crate) fn wait(&self) -> io::Result<ExitStatus> {
        let again = Timespec {
            tv_sec: 0,
            tv_nsec: 10_000_000,
        };
        self.process.wait(|| {
            // Whatever comes of it, it is looked again.
            let _ = match &self.end {
                Some(end) => poll(&mut [PollFd::new(end, PollFlags::IN)], None),
                None => poll(&mut [], Some(&again)),
            };
        })
    }

    /// What it says up to its end: others may hold the other end of the socket longer.
    pub(crate) fn hear(&self) -> Heard<'_> {
        Heard(BufReader::new(UpToItsEnd {
            socket: &self.socket,
            end: self.end.as_ref(),
            left: None,
        }))
    }
}

/// What a process says.
pub(crate) struct Heard<'a>(BufReader<UpToItsEnd<'a>>);

impl Heard<'_> {
    /// What it says first; `None`: it is no runner.
    pub(crate) fn greeting(&mut self) -> Option<Greeting> {
        Greeting::receive(&mut self.0)
    }

    pub(crate) fn frame(&mut self) -> io::Result<Frame> {
        Frame::receive(&mut self.0, LONGEST_REPORT)
    }
}

struct UpToItsEnd<'a> {
    socket: &'a UnixStream,
    end: Option<&'a OwnedFd>,
    /// Bytes that were there at its end, and that are still to be read.
    left: Option<u64>,
}

impl Read for UpToItsEnd<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(end) = self.end else {
            return (&*self.socket).read(buffer);
        };
        if self.left.is_none() {
            let mut both = [
                PollFd::new(self.socket, PollFlags::IN),
                PollFd::new(end, PollFlags::IN),
            ];
            poll(&mut both, None)?;
            if both[1].revents().is_empty() {
                return (&*self.socket).read(buffer);
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
