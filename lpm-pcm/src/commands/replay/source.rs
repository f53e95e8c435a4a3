//! The captures of a run, read on a thread of their own: reading may block for ever (standard
//! input), and a signal must end the run all the same.

mod queue;

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::{fmt, io};

use crate::capture::{self, Capture, CaptureError, CapturedMessage, Contents, Incomplete, STDIN};
use crate::output::progress::Progress;

use queue::{Abandoned, Giver, Taker, queue};

pub(super) use queue::Next;

/// How many items are read ahead, and as many are being worked on. A message has at most 64 KiB, so this bounds
/// the memory too.
const READ_AHEAD: usize = 128;

/// How often a run that waits for input looks whether it has been told to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// What the captures bring.
pub(super) enum SourceItem {
    /// The capture with this name begins.
    Begin(Arc<str>),
    /// An RSVP message.
    Message(CapturedMessage),
    /// An RSVP message of which fragments are missing.
    Incomplete(Incomplete),
    /// Something to tell the operator.
    Notice(String),
    /// The capture ends, or cannot be read (further); the next one follows.
    End {
        /// What else there was in it.
        contents: Contents,
        fault: Option<CaptureError>,
    },
}

/// An empty message.
impl Default for SourceItem {
    fn default() -> Self {
        Self::Message(CapturedMessage::empty())
    }
}

/// The captures of a run, in order.
pub(super) struct Source {
    items: Taker<SourceItem>,
}

impl Source {
    pub(super) fn start(captures: Vec<PathBuf>, progress: Progress) -> io::Result<Self> {
        let (giver, items) = queue(READ_AHEAD);
        thread::Builder::new()
            .name("captures".to_owned())
            .spawn(move || {
                for path in &captures {
                    if read(path, &progress, &giver).is_err() {
                        // Nobody listens any more.
                        return;
                    }
                }
            })?;
        Ok(Self { items })
    }

    /// The next item. When it has to wait for one, it first runs `idle`.
    pub(super) fn next(&mut self, idle: impl FnOnce()) -> Next<&SourceItem> {
        self.items.take(PATIENCE, idle)
    }
}

/// Looks at the files before anything is loaded, so that wrong names cost nothing: fails if not one of
/// the captures can be opened.
///
/// Standard input, pipes and devices are left alone: looking would consume them.
pub(super) fn check(captures: &[PathBuf]) -> Result<(), NoCapture> {
    let mut faults = Vec::new();
    for path in captures {
        if path.as_os_str() == STDIN || is_stream(path) {
            return Ok(());
        }
        match Capture::open(path) {
            Ok(_) => return Ok(()),
            Err(error) => faults.push(error),
        }
    }
    Err(NoCapture(faults))
}

/// Not one of the captures can be opened.
#[derive(Debug)]
pub(super) struct NoCapture(Vec<CaptureError>);

impl fmt::Display for NoCapture {
    /// A line for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl Error for NoCapture {}

/// How many bytes the files among the captures have.
pub(super) fn total_size(captures: &[PathBuf]) -> u64 {
    let metadata = captures.iter().filter_map(|path| fs::metadata(path).ok());
    metadata
        .filter(fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}

fn read(path: &Path, progress: &Progress, giver: &Giver<SourceItem>) -> Result<(), Abandoned> {
    giver.give(&mut SourceItem::Begin(name(path)))?;
    let end = match Capture::open_counted(path, |file: File| progress.count(file)) {
        Ok(mut capture) => {
            let fault = read_messages(&mut capture, giver)?;
            let contents = capture.contents();
            SourceItem::End { contents, fault }
        }
        Err(fault) => SourceItem::End {
            contents: Contents::default(),
            fault: Some(fault),
        },
    };
    giver.give(&mut { end })
}

/// Reads on to the end, or to a fault.
fn read_messages(
    capture: &mut Capture,
    giver: &Giver<SourceItem>,
) -> Result<Option<CaptureError>, Abandoned> {
    let mut item = SourceItem::default();
    loop {
        // What was given before has left in its place an item whose memory is used again.
        let mut message = match item {
            SourceItem::Message(used) => used,
            _ => CapturedMessage::empty(),
        };
        item = match capture.next_into(&mut message) {
            Some(Ok(capture::Next::Message)) => SourceItem::Message(message),
            Some(Ok(capture::Next::Incomplete(incomplete))) => SourceItem::Incomplete(incomplete),
            Some(Ok(capture::Next::Notice(notice))) => SourceItem::Notice(notice),
            Some(Err(error)) => return Ok(Some(error)),
            None => return Ok(None),
        };
        giver.give(&mut item)?;
    }
}

/// What a capture is called.
fn name(path: &Path) -> Arc<str> {
    if path.as_os_str() == STDIN {
        return "standard input".into();
    }
    path.display().to_string().into()
}

/// Whether `path` names something that can be read only once.
fn is_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}
