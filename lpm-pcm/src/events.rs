//! Where events go besides the output: files, the journal, syslog, the Windows Event Log.
//!
//! The road of an event: [`Events::record`] → a bounded queue per sink → a thread per sink, which
//! writes it. So a sink that is slow or down holds neither a decision nor another sink.

mod entry;
mod file;
#[cfg(target_os = "linux")]
mod journald;
mod queue;
mod sink;
mod stream;
mod syslog;
mod told;
#[cfg(windows)]
mod windows;
mod writer;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lpm_host::event::{Event, Severity};
use thiserror::Error;

use crate::config::{EventTarget, EventsEntry};
use crate::output::record::MessageRecord;
use crate::signals;

use sink::Sink;
use writer::Writer;

pub use entry::Entry;
pub use queue::CAPACITY;
pub use sink::Tell;
pub use told::Told;

/// How long [`Events::finish`] waits for sinks that have not written everything yet.
pub const FINISH_LIMIT: Duration = Duration::from_secs(5);

/// A sink cannot be set up.
#[derive(Debug, Error)]
#[error("events to {place}: {source}; {advice}")]
pub struct SinkError {
    place: String,
    advice: &'static str,
    source: io::Error,
}

/// All sinks.
pub struct Events {
    writers: Vec<Writer>,
}

impl Events {
    /// Starts the sinks that the configuration names. `stderr` makes writers to standard error;
    /// problems of sinks are told to `tell`.
    ///
    /// # Errors
    /// A file cannot be opened, or the system refuses a thread. That a daemon cannot be reached is
    /// no error: events wait for it.
    pub fn start(
        entries: &[EventsEntry],
        stderr: impl Fn() -> Box<dyn Write + Send>,
        tell: &Tell,
    ) -> Result<Self, SinkError> {
        // Filled one by one, so that an error stops those that run already.
        let mut events = Self {
            writers: Vec::with_capacity(entries.len()),
        };
        for entry in entries {
            let place = entry.target.to_string();
            let writer = sink(&entry.target, &stderr)
                .and_then(|sink| {
                    let advice = advice(&entry.target);
                    Writer::start(place.clone(), advice, entry.min_severity, sink, tell)
                })
                .map_err(|source| SinkError {
                    place,
                    advice: advice(&entry.target),
                    source,
                })?;
            events.writers.push(writer.required(entry.required));
        }
        Ok(events)
    }

    /// Whether everything that happened so far is on record in all places that are required. Waits
    /// for what is on its way, [`FINISH_LIMIT`] at most.
    #[must_use]
    pub fn are_kept(&self) -> bool {
        let mut writers = self.writers.iter();
        writers.all(|writer| writer.is_kept(FINISH_LIMIT))
    }

    /// Puts an event on record, which happened while this message was decided.
    pub fn record(&self, event: &Event, about: Option<&MessageRecord>) {
        let mut interested = self
            .writers
            .iter()
            .filter(|writer| event.severity >= writer.min_severity())
            .peekable();
        if interested.peek().is_some() {
            let entry = Arc::new(Entry::now(event.clone(), about.cloned()));
            for writer in interested {
                writer.put(&entry);
            }
        }
    }

    /// Puts something else on record than an event: of severity info.
    pub fn keep(&self, told: Told) {
        let interested = self.writers.iter();
        let mut interested = interested
            .filter(|writer| writer.min_severity() <= Severity::Info)
            .peekable();
        if interested.peek().is_some() {
            let entry = Arc::new(Entry::told(told));
            for writer in interested {
                writer.put(&entry);
            }
        }
    }

    /// Waits until everything is written, [`FINISH_LIMIT`] at most, and tells what is not. To be
    /// called once, at the end: events that come later are lost. Returns whether everything is on
    /// record in all places that are required.
    #[must_use]
    pub fn finish(&self) -> bool {
        let deadline = Instant::now() + FINISH_LIMIT;
        for writer in &self.writers {
            writer.close(deadline);
        }
        let mut are_kept = true;
        for writer in &self.writers {
            are_kept &= writer.finish(deadline);
        }
        are_kept
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        for writer in &self.writers {
            writer.close(Instant::now());
        }
    }
}

fn sink(
    target: &EventTarget,
    stderr: &impl Fn() -> Box<dyn Write + Send>,
) -> io::Result<Box<dyn Sink>> {
    Ok(match target {
        EventTarget::Stderr { format } => Box::new(stream::Stream::new(stderr(), *format)),
        EventTarget::File { path, format } => {
            let reopen = signals::reopen_requests()?;
            Box::new(file::File::open(path.clone(), *format, reopen)?)
        }
        EventTarget::Syslog { facility, address } => {
            Box::new(syslog::Syslog::new(*facility, address.clone()))
        }
        #[cfg(target_os = "linux")]
        EventTarget::Journald => Box::new(journald::Journald::new()),
        #[cfg(windows)]
        EventTarget::Windows => Box::new(windows::EventLog),
        // Configurations with these are refused.
        #[cfg(not(target_os = "linux"))]
        EventTarget::Journald => return Err(io::ErrorKind::Unsupported.into()),
        #[cfg(not(windows))]
        EventTarget::Windows => return Err(io::ErrorKind::Unsupported.into()),
    })
}

/// What the operator can do about a sink that does not work.
fn advice(target: &EventTarget) -> &'static str {
    match target {
        EventTarget::Stderr { .. } => "give the program a standard error that can be written to",
        EventTarget::File { .. } => {
            "make room or grant the right to write there, or give another `path` in [[events]]"
        }
        EventTarget::Journald => "start systemd-journald, or take the [[events]] table away",
        EventTarget::Syslog { .. } => {
            "start the syslog daemon, or give another `address` in [[events]]"
        }
        EventTarget::Windows => "start the Windows Event Log service",
    }
}
