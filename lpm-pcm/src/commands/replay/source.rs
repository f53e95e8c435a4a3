//! The captures of a run, read on a thread of their own: reading may block for ever (standard
//! input), and a signal must end the run all the same.

mod queue;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::capture::{Capture, CaptureError, CapturedMessage, STDIN};
use crate::output::Progress;

use queue::{Abandoned, Giver, Taker, queue};

pub(super) use queue::Next;

/// How many items are read ahead, and as many are being worked on. A message has at most 64 KiB, so this bounds
/// the memory too.
const READ_AHEAD: usize = 128;

/// How often a run that waits for input looks whether it has been told to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// What the captures bring.
pub(super) enum SourceItem {
    /// An RSVP message.
    Message(CapturedMessage),
    /// Something to tell the operator.
    Notice(String),
    /// A capture cannot be read (further); the next one follows.
    Fault(CaptureError),
}

/// An empty message.
impl Default for SourceItem {
    fn default() -> SourceItem {
        SourceItem::Message(CapturedMessage::empty())
    }
}

/// The captures of a run, in order.
pub(super) struct Source {
    items: Taker<SourceItem>,
}

impl Source {
    pub(super) fn start(captures: Vec<PathBuf>, progress: Progress) -> io::Result<Source> {
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
        Ok(Source { items })
    }

    /// The next item. When it has to wait for one, it first runs `idle`.
    pub(super) fn next(&mut self, idle: impl FnOnce()) -> Next<&SourceItem> {
        self.items.take(PATIENCE, idle)
    }
}

/// Looks at the files before anything is loaded, so that a wrong name costs nothing.
///
/// Standard input, pipes and devices are left alone: looking would consume them.
pub(super) fn check(captures: &[PathBuf]) -> Result<(), String> {
    let faults: Vec<_> = captures
        .iter()
        .filter(|path| path.as_os_str() != STDIN && !is_stream(path))
        .filter_map(|path| Capture::open(path).err())
        .map(|error| error.to_string())
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("\n"))
    }
}

/// How many bytes the files among the captures have.
pub(super) fn total_size(captures: &[PathBuf]) -> u64 {
    let metadata = captures.iter().filter_map(|path| fs::metadata(path).ok());
    metadata
        .filter(fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}

fn read(path: &Path, progress: &Progress, giver: &Giver<SourceItem>) -> Result<(), Abandoned> {
    let mut capture = match Capture::open_counted(path, |file: File| progress.count(file)) {
        Ok(capture) => capture,
        Err(error) => return giver.give(&mut SourceItem::Fault(error)),
    };
    let mut item = SourceItem::default();
    loop {
        // What was given before has left in its place an item whose memory is used again.
        let mut message = match item {
            SourceItem::Message(used) => used,
            _ => CapturedMessage::empty(),
        };
        item = match capture.next_into(&mut message) {
            Some(Ok(None)) => SourceItem::Message(message),
            Some(Ok(Some(notice))) => SourceItem::Notice(notice),
            Some(Err(error)) => SourceItem::Fault(error),
            None => return Ok(()),
        };
        giver.give(&mut item)?;
    }
}

/// Whether `path` names something that can be read only once.
fn is_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}
