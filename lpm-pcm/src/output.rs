//! What `pcm` prints: one [`Record`] after the other, as a table for people or as JSON for
//! programs.

mod json;
mod plain;
mod progress;
mod record;
mod table;

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lpm_host::{Event, EventLog};

pub use json::Json;
pub(crate) use plain::Plain;
pub use progress::Progress;
pub use record::{FlowRecord, Record, rfc3339};
pub use table::Table;

/// Prints records in one format.
pub trait Printer: Send {
    /// Prints a record.
    ///
    /// # Errors
    /// What the operating system says.
    fn print(&mut self, record: &Record<'_>) -> io::Result<()>;

    /// Hands everything printed so far to the operating system.
    ///
    /// # Errors
    /// What the operating system says.
    fn flush(&mut self) -> io::Result<()>;
}

/// Where records go, from any thread. Keeps the first error, after which nothing is printed.
pub struct Reporter {
    inner: Mutex<Inner>,
}

struct Inner {
    printer: Box<dyn Printer>,
    failure: Option<io::Error>,
}

impl Reporter {
    /// Reports through `printer`.
    pub fn new(printer: impl Printer + 'static) -> Reporter {
        Reporter {
            inner: Mutex::new(Inner {
                printer: Box::new(printer),
                failure: None,
            }),
        }
    }

    /// Prints a record.
    pub fn report(&self, record: &Record<'_>) {
        self.lock().attempt(|printer| printer.print(record));
    }

    /// Hands everything printed so far to the operating system.
    pub fn flush(&self) {
        self.lock().attempt(|printer| printer.flush());
    }

    /// Whether printing has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.lock().failure.is_some()
    }

    /// The error that printing failed with.
    #[must_use]
    pub fn take_failure(&self) -> Option<io::Error> {
        self.lock().failure.take()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn attempt(&mut self, work: impl FnOnce(&mut dyn Printer) -> io::Result<()>) {
        if self.failure.is_none() {
            self.failure = work(self.printer.as_mut()).err();
        }
    }
}

impl EventLog for Reporter {
    fn record(&self, event: &Event) {
        self.report(&Record::event(event));
    }
}
