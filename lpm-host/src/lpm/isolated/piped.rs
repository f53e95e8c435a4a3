//! The child process itself where the wire is its standard input and output: started, waited for,
//! ended.
//!
//! One thread writes to it and one hears it, so that nobody waits at a pipe who has something else
//! to see to. The runner ends when its input does, which is when its PCM is gone; Windows ends it
//! with the PCM, too, should it not hear that.

use std::ffi::{CStr, c_int};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel as channel,
};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

#[cfg(windows)]
use windows_sys::Win32::{
    Foundation::HANDLE,
    System::Console::{STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle},
    System::Diagnostics::Debug::{SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SetErrorMode},
    System::Threading::CREATE_NEW_PROCESS_GROUP,
};

use super::frames::{Frame, Greeting, LONGEST, LONGEST_REPORT, Writer};
#[cfg(windows)]
use super::job;
use super::memory::Memory;
use super::program;
use super::spawned::Spawned;
use crate::lock::lock;

/// How long it may take until a process has room for what it is told: it has a thread that only
/// listens.
pub(crate) const LISTENS: Duration = Duration::from_secs(5);
/// How many frames may wait for either side.
const WAIT: usize = 64;
/// How long to wait until one looks again whether there is room, or an end.
const AGAIN: Duration = Duration::from_millis(10);
/// The same of an end that a closed pipe is expected to tell before.
const SELDOM: Duration = Duration::from_millis(500);

/// What a process that is to be started is told, and where its answers go.
pub(crate) struct Ends {
    told: Receiver<Vec<u8>>,
    memory: Memory,
}

/// What a process takes that is to be started: the PCM's places for calls, and its way to tell it
/// something.
#[expect(
    clippy::unnecessary_wraps,
    reason = "shared memory may not be to be had"
)]
pub(crate) fn prepare() -> io::Result<(Memory, Arc<Writer>, Ends)> {
    let (outbox, told) = channel(WAIT);
    let to_runner = Arc::new(Writer::new(Outbox(outbox), LONGEST));
    let memory = Memory::new(Arc::clone(&to_runner));
    let ends = Ends {
        told,
        memory: memory.clone(),
    };
    Ok((memory, to_runner, ends))
}

/// What a process that was started has got: the places for calls, and the ways from and to its PCM,
/// which was greeted. They are this process's own from now on: its standard input is empty, and
/// what is printed goes where errors go.
pub(crate) fn own_ends() -> io::Result<(Memory, impl Read, Arc<Writer>)> {
    let (from, mut to) = (own(&io::stdin())?, own(&io::stdout())?);
    give_away_standard_streams()?;
    // One that is at fault ends, and asks nobody.
    #[cfg(windows)]
    // SAFETY: it takes a number.
    unsafe {
        SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX)
    };
    Greeting::own().send(&mut to)?;
    let to = Arc::new(Writer::new(to, LONGEST_REPORT));
    Ok((Memory::new(Arc::clone(&to)), from, to))
}

/// What is told to a process, until a thread writes it there.
struct Outbox(SyncSender<Vec<u8>>);

impl Write for Outbox {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let began = Instant::now();
        let mut frame = bytes.to_vec();
        loop {
            frame = match self.0.try_send(frame) {
                Ok(()) => return Ok(bytes.len()),
                Err(TrySendError::Full(frame)) if began.elapsed() < LISTENS => frame,
                Err(TrySendError::Full(_)) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(TrySendError::Disconnected(_)) => {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
            };
            thread::sleep(AGAIN);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A process that was started.
pub(crate) struct Running {
    pub(crate) process: Spawned,
    said: Mutex<Receiver<Said>>,
}

/// What a process said.
enum Said {
    Greeting(Option<Greeting>),
    Frame(io::Result<Frame>),
}

impl Running {
    /// Starts the program as a runner.
    pub(crate) fn start(program: &Path, ends: Ends) -> io::Result<Self> {
        let Ends { told, memory } = ends;
        let mut command = Command::new(program);
        command
            .arg(program::COMMAND)
            .env(program::FILES, "pipes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        apart(&mut command);
        let mut child = command.spawn()?;
        #[cfg(windows)]
        job::takes(&child).inspect_err(|_| drop(child.kill()))?;
        let (say, said) = channel(WAIT);
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let running = Self {
            process: Spawned::new(child),
            said: Mutex::new(said),
        };
        let threads = || {
            let (Some(mut input), Some(output)) = (input, output) else {
                return Err(io::ErrorKind::BrokenPipe.into());
            };
            named("lpm-writer", move || {
                #[cfg(unix)]
                hold_back_sigpipe();
                let _gone = told.iter().try_for_each(|frame| input.write_all(&frame));
            })?;
            named("lpm-reader", move || hear(output, &memory, &say))
        };
        threads().inspect_err(|_: &io::Error| running.process.kill())?;
        Ok(running)
    }

    /// Waits for its end.
    pub(crate) fn wait(&self) -> io::Result<ExitStatus> {
        self.process.wait(|| thread::sleep(AGAIN))
    }

    /// What it says up to its end: others may hold the other end of the pipe longer.
    pub(crate) fn hear(&self) -> Heard<'_> {
        Heard {
            running: self,
            looked: Instant::now(),
            ended: None,
        }
    }
}

/// What a process says.
pub(crate) struct Heard<'a> {
    running: &'a Running,
    /// When it was last looked whether it has ended, and when that was seen.
    looked: Instant,
    ended: Option<Instant>,
}

impl Heard<'_> {
    /// What it says first; `None`: it is no runner.
    pub(crate) fn greeting(&mut self) -> Option<Greeting> {
        match self.next() {
            Some(Said::Greeting(greeting)) => greeting,
            _ => None,
        }
    }

    pub(crate) fn frame(&mut self) -> io::Result<Frame> {
        match self.next() {
            Some(Said::Frame(frame)) => frame,
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// What it said before its end is heard, and whom it left the pipe is not, who may go on and
    /// on.
    fn next(&mut self) -> Option<Said> {
        let said = lock(&self.running.said);
        loop {
            if self.looked.elapsed() >= SELDOM && self.ended.is_none() {
                self.looked = Instant::now();
                let has_ended = !matches!(self.running.process.status(), Ok(None));
                self.ended = has_ended.then_some(self.looked);
            }
            if self.ended.is_some_and(|end| end.elapsed() >= LISTENS) {
                return None;
            }
            match said.recv_timeout(SELDOM) {
                Ok(said) => return Some(said),
                Err(RecvTimeoutError::Timeout) if self.ended.is_none() => {}
                Err(_) => return None,
            }
        }
    }
}

/// Hands on what a process says: answers to who waits for them, and all else to who hears it.
fn hear(output: ChildStdout, memory: &Memory, say: &SyncSender<Said>) {
    let mut from = BufReader::new(output);
    let mut said = Said::Greeting(Greeting::receive(&mut from));
    loop {
        let is_over = matches!(said, Said::Greeting(None) | Said::Frame(Err(_)));
        if say.send(said).is_err() || is_over {
            return;
        }
        said = loop {
            match Frame::receive(&mut from, LONGEST_REPORT) {
                Ok(frame) if memory.hear_answer(&frame).is_ok() => {}
                other => break Said::Frame(other),
            }
        };
    }
}

fn named(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop)
}

/// Where a program has this signal end it, a process that has ended would end its PCM.
#[cfg(unix)]
fn hold_back_sigpipe() {
    // SAFETY: a set is nothing but its bytes, and emptied first.
    let mut signals: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: it is this function's own, and so is what becomes of this thread.
    unsafe {
        libc::sigemptyset(&raw mut signals);
        libc::sigaddset(&raw mut signals, libc::SIGPIPE);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signals, std::ptr::null_mut());
    }
}

/// What a terminal sends to a group of processes is for the PCM, which then ends this one.
#[cfg(unix)]
fn apart(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

/// The same.
#[cfg(windows)]
fn apart(command: &mut Command) {
    std::os::windows::process::CommandExt::creation_flags(command, CREATE_NEW_PROCESS_GROUP);
}

/// The file of a stream, for this process and not for those that it starts.
#[cfg(unix)]
fn own(stream: &impl std::os::fd::AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

/// The same.
#[cfg(windows)]
fn own(stream: &impl std::os::windows::io::AsHandle) -> io::Result<File> {
    stream.as_handle().try_clone_to_owned().map(File::from)
}

#[cfg(unix)]
const NOTHING: &CStr = c"/dev/null";
#[cfg(windows)]
const NOTHING: &CStr = c"NUL";

/// From now on nobody gets the wire as standard input or output.
fn give_away_standard_streams() -> io::Result<()> {
    // SAFETY: it reads the name, which is a constant.
    let nothing = unsafe { libc::open(NOTHING.as_ptr(), libc::O_RDWR) };
    // SAFETY: a number of a file, which is seen to be none where it is none.
    let put = |file, as_file| is_done(unsafe { libc::dup2(file, as_file) });
    put(nothing, 0)?;
    put(2, 1).or_else(|_| put(nothing, 1))?;
    #[cfg(windows)]
    for (file, stream) in [(0, STD_INPUT_HANDLE), (1, STD_OUTPUT_HANDLE)] {
        // SAFETY: the file is open, as was just seen to.
        let handle = unsafe { libc::get_osfhandle(file) };
        // SAFETY: the handle stays with that file, which nobody closes.
        let _ = unsafe { SetStdHandle(stream, handle as HANDLE) };
    }
    Ok(())
}

fn is_done(result: c_int) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
