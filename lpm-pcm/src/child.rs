//! This program as a child of itself: code of a library that may hang, crash or end the process
//! runs there.
//!
//! The parent says on standard input what to do, and the child writes what it finds into a file, a
//! line of JSON a finding, so that nothing is lost when it comes to a bad end, and nothing that a
//! library prints gets in between. What the child does is in `in_child`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// How much is kept of what a child prints, in bytes.
const MOST_PRINTED: usize = 64 << 10;

/// What became of a child.
#[derive(Debug)]
pub struct Finished<R> {
    /// What it found, in order.
    pub records: Vec<R>,
    /// How it ended.
    pub end: End,
    /// What it printed on standard output, which the library did: the child itself prints nothing.
    pub printed: String,
    /// What it printed on standard error.
    pub complained: String,
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It did all it was to do.
    Well,
    /// It ended early, in this way.
    Early(String),
    /// It was ended after this time.
    TookTooLong(Duration),
}

/// A child process could not be run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChildError {
    /// There is no file for what it finds, or it cannot be read.
    #[error("cannot make a file for what the child process finds: {0}")]
    Findings(#[source] io::Error),
    /// The program is not where it was.
    #[error("cannot find the file of this program: {0}")]
    Program(#[source] io::Error),
    /// It cannot be started.
    #[error("{}: cannot be started as a child process: {source}", program.display())]
    Start {
        /// This program.
        program: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It cannot be waited for.
    #[error("cannot wait for the child process: {0}")]
    Wait(#[source] io::Error),
    /// Its task cannot be written down.
    #[error("cannot read what the child process is to do: {0}")]
    Task(#[source] serde_json::Error),
}

/// Has a child do a task of a command with the library, and waits for its end, no longer than the
/// limit.
///
/// # Errors
/// The child cannot be started, or a file for its findings cannot be made.
pub fn run<R: DeserializeOwned>(
    command: &str,
    task: &impl Serialize,
    library: &Path,
    limit: Duration,
) -> Result<Finished<R>, ChildError> {
    let task = serde_json::to_vec(task).map_err(ChildError::Task)?;
    let findings = tempfile::NamedTempFile::new().map_err(ChildError::Findings)?;
    let program = program().map_err(ChildError::Program)?;
    let mut child = Command::new(&program)
        .args(["in-child", command])
        .arg("--into")
        .arg(findings.path())
        .arg("--")
        .arg(library)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| ChildError::Start { program, source })?;
    let printed = Printed::read(child.stdout.take());
    let complained = Printed::read(child.stderr.take());
    if let Some(mut stdin) = child.stdin.take() {
        // A child that does not read ended early, which is seen below.
        let _ = stdin.write_all(&task);
    }
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    let status = loop {
        if let Some(status) = child.try_wait().map_err(ChildError::Wait)? {
            break Some(status);
        }
        if begun.elapsed() >= limit {
            let _ = child.kill();
            child.wait().map_err(ChildError::Wait)?;
            break None;
        }
        thread::sleep(pause);
        pause = (2 * pause).min(Duration::from_millis(20));
    };
    let mut text = String::new();
    File::open(findings.path())
        .and_then(|mut file| file.read_to_string(&mut text))
        .map_err(ChildError::Findings)?;
    // The last line of one that was ended may be half a line.
    let records = text
        .lines()
        .map_while(|line| serde_json::from_str(line).ok());
    Ok(Finished {
        records: records.collect(),
        end: match status {
            None => End::TookTooLong(limit),
            Some(status) if status.success() => End::Well,
            Some(status) => End::Early(describe(status)),
        },
        printed: printed.text(),
        complained: complained.text(),
    })
}

/// Where a child writes what it finds, from any thread.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Mutex<File>>);

impl Journal {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().append(true).open(path)?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// Writes a line. What cannot be written is not found, and the parent says so.
    pub fn write(&self, record: &impl Serialize) {
        if let Ok(mut line) = serde_json::to_vec(record) {
            line.push(b'\n');
            let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = file.write_all(&line);
        }
    }
}

/// What a child prints, read as long as it prints.
struct Printed {
    text: Arc<Mutex<Vec<u8>>>,
    reader: thread::JoinHandle<()>,
}

impl Printed {
    fn read(from: Option<impl Read + Send + 'static>) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let Some(mut from) = from else { return };
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut part) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = MOST_PRINTED.saturating_sub(kept.len()).min(length);
                kept.extend_from_slice(&part[..room]);
            }
        });
        Self { text, reader }
    }

    /// What was printed. Processes that the library started may go on printing; they are not waited
    /// for.
    fn text(self) -> String {
        let begun = Instant::now();
        while !self.reader.is_finished() && begun.elapsed() < Duration::from_secs(1) {
            thread::sleep(Duration::from_millis(1));
        }
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// This program's file. Where the system does not tell it, as on Linux without `/proc`, it is what
/// it was called as.
fn program() -> io::Result<PathBuf> {
    std::env::current_exe().or_else(|error| {
        let called_as = std::env::args_os().next().map(PathBuf::from);
        called_as
            .filter(|path| path.is_absolute() && path.is_file())
            .ok_or(error)
    })
}

#[cfg(unix)]
fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;

    match (status.signal(), status.code()) {
        (Some(signal), _) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("unknown");
            format!("ended by signal {signal} ({name})")
        }
        (None, code) => format!("exited with status {}", code.unwrap_or_default()),
    }
}

#[cfg(not(unix))]
fn describe(status: ExitStatus) -> String {
    format!("exited with {status}")
}
