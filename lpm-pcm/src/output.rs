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
    /// What is printed before the next record.
    queued: Mutex<Vec<Record<'static>>>,
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
            queued: Mutex::default(),
        }
    }

    /// Prints a record.
    pub fn report(&self, record: &Record<'_>) {
        let mut inner = self.lock();
        self.print_queued(&mut inner);
        inner.attempt(|printer| printer.print(record));
    }

    /// Has a record printed before the next one, or with the next [`flush`](Self::flush), and does not wait
    /// for that.
    pub fn queue(&self, record: Record<'static>) {
        let mut queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        queued.push(record);
    }

    fn print_queued(&self, inner: &mut Inner) {
        let queued = {
            let mut queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *queued)
        };
        for record in &queued {
            inner.attempt(|printer| printer.print(record));
        }
    }

    /// Hands everything printed so far to the operating system.
    pub fn flush(&self) {
        let mut inner = self.lock();
        self.print_queued(&mut inner);
        inner.attempt(|printer| printer.flush());
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
