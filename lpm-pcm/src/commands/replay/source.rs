//! The captures of a run, in order.
//!
//! Where reading may block for ever (standard input, a pipe), or takes work of its own (what is
//! compressed), it is done on a thread of its own: a signal must end the run all the same. Plain
//! files are read in place: to hand a message from thread to thread takes about as long as to read
//! it.

mod queue;

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::{fmt, io, vec};

use crate::capture::{self, Capture, CaptureError, CapturedMessage, Contents, Incomplete, STDIN};
use crate::output::progress::Progress;

use queue::{Abandoned, Taker, queue};

pub(super) use queue::Next;

/// How many items are read ahead, and as many are being worked on. A message has at most 64 KiB, so
/// this bounds the memory too.
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
pub(super) enum Source {
    /// Read when an item is asked for, which is the one that was read last.
    InPlace(Box<(Reading, SourceItem)>),
    Thread(Taker<SourceItem>),
}

impl Source {
    pub(super) fn start(captures: Vec<PathBuf>, progress: Progress) -> io::Result<Self> {
        let is_in_place = captures.iter().all(|path| capture::is_plain_file(path));
        let mut reading = Reading {
            captures: captures.into_iter(),
            progress,
            stage: Stage::Between,
        };
        if is_in_place {
            return Ok(Self::InPlace(Box::new((reading, SourceItem::default()))));
        }
        let (giver, items) = queue(READ_AHEAD);
        thread::Builder::new()
            .name("captures".to_owned())
            .spawn(move || {
                // What was given before has left in its place an item whose memory is used again.
                let mut item = SourceItem::default();
                while reading.next_into(&mut item) {
                    if let Err(Abandoned) = giver.give(&mut item) {
                        return;
                    }
                }
            })?;
        Ok(Self::Thread(items))
    }

    /// The next item. When it has to wait for one, it first runs `idle`.
    pub(super) fn next(&mut self, idle: impl FnOnce()) -> Next<&SourceItem> {
        match self {
            Self::InPlace(place) => {
                let (reading, item) = &mut **place;
                match reading.next_into(item) {
                    true => Next::Item(item),
                    false => Next::End,
                }
            }
            Self::Thread(items) => items.take(PATIENCE, idle),
        }
    }
}

/// The captures, being read.
pub(super) struct Reading {
    captures: vec::IntoIter<PathBuf>,
    progress: Progress,
    stage: Stage,
}

/// How far reading has come.
enum Stage {
    /// The next capture is to begin.
    Between,
    /// This one has begun.
    Begun(PathBuf),
    Open(Box<Capture>),
}

impl Reading {
    /// Reads the next item into one whose memory is used again; `false` at the end.
    fn next_into(&mut self, item: &mut SourceItem) -> bool {
        let end = match &mut self.stage {
            Stage::Between => {
                let Some(path) = self.captures.next() else {
                    return false;
                };
                *item = SourceItem::Begin(name(&path));
                self.stage = Stage::Begun(path);
                return true;
            }
            Stage::Begun(path) => {
                let progress = &self.progress;
                match Capture::open_counted(path, |file: File| progress.count(file)) {
                    Ok(capture) => {
                        self.stage = Stage::Open(Box::new(capture));
                        return self.next_into(item);
                    }
                    Err(fault) => SourceItem::End {
                        contents: Contents::default(),
                        fault: Some(fault),
                    },
                }
            }
            Stage::Open(capture) => match read(capture, item) {
                None => return true,
                Some(fault) => SourceItem::End {
                    contents: capture.contents(),
                    fault,
                },
            },
        };
        self.stage = Stage::Between;
        *item = end;
        true
    }
}

/// Reads the next item of a capture; at its end, the fault that ends it, if there is one.
fn read(capture: &mut Capture, item: &mut SourceItem) -> Option<Option<CaptureError>> {
    if !matches!(item, SourceItem::Message(_)) {
        *item = SourceItem::default();
    }
    let SourceItem::Message(message) = item else {
        return Some(None);
    };
    *item = match capture.next_into(message) {
        Some(Ok(capture::Next::Message)) => return None,
        Some(Ok(capture::Next::Incomplete(incomplete))) => SourceItem::Incomplete(incomplete),
        Some(Ok(capture::Next::Notice(notice))) => SourceItem::Notice(notice),
        Some(Err(error)) => return Some(Some(error)),
        None => return Some(None),
    };
    None
}

/// Looks at the files before anything is loaded, so that wrong names cost nothing: fails if not one
/// of the captures can be opened.
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
