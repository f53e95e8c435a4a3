//! Records from any thread, printed one after the other.
//!
//! What is queued waits for the next record, so that who queues it does not wait for the output.
//! After the first error nothing is printed any more.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lpm_host::event::{Event, EventLog};
use lpm_rsvp::MessageType;

use super::printer::{PrintedRow, Printer};
use super::record::{MessageRecord, Origin, Record};

/// Where records go, from any thread. Keeps the first error, after which nothing is printed.
pub struct Reporter {
    inner: Mutex<Inner>,
    /// What is printed before the next record.
    queued: Mutex<Vec<Record<'static>>>,
    /// The message that was decided on last, or is now.
    message: Mutex<Option<MessageRecord>>,
    is_deciding: AtomicBool,
    /// Whether there is anything queued.
    has_queued: AtomicBool,
    has_failed: AtomicBool,
}

struct Inner {
    printer: Box<dyn Printer>,
    failure: Option<io::Error>,
}

impl Reporter {
    /// Reports through `printer`.
    pub fn new(printer: impl Printer + 'static) -> Self {
        Self {
            inner: Mutex::new(Inner {
                printer: Box::new(printer),
                failure: None,
            }),
            queued: Mutex::default(),
            message: Mutex::default(),
            is_deciding: AtomicBool::new(false),
            has_queued: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
        }
    }

    /// What happens from now on happens while this message is decided: which one it is by number,
    /// where it was found, and its type.
    pub fn about(&self, number: u64, origin: &Origin, message: MessageType) {
        let mut about = self.message.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *about {
            Some(about) => {
                about.number = number;
                about.origin.become_like(origin);
                about.message = message;
            }
            None => {
                *about = Some(MessageRecord {
                    number,
                    origin: origin.clone(),
                    message,
                });
            }
        }
        self.is_deciding.store(true, Ordering::Release);
    }

    /// What happens from now on happens while no message is decided.
    pub fn about_none(&self) {
        self.is_deciding.store(false, Ordering::Release);
    }

    /// The message that is being decided.
    #[must_use]
    pub fn message(&self) -> Option<MessageRecord> {
        let message = self.message.lock().unwrap_or_else(PoisonError::into_inner);
        match self.is_deciding.load(Ordering::Acquire) {
            true => message.clone(),
            false => None,
        }
    }

    /// Prints a record.
    pub fn report(&self, record: &Record<'_>) {
        let mut inner = self.lock();
        self.print_queued(&mut inner);
        self.attempt(&mut inner, |printer| printer.print(record));
    }

    /// Prints a record, and gives back the row of it, if it has one that can be printed again.
    pub fn report_row(&self, record: &Record<'_>) -> Option<PrintedRow> {
        let mut inner = self.lock();
        self.print_queued(&mut inner);
        self.attempt(&mut inner, |printer| printer.print(record));
        inner.printer.last_row()
    }

    /// Prints a row again, for a message that was found here and is decided likewise. `false` if it
    /// has to be made anew.
    #[must_use]
    pub fn report_again(&self, origin: &Origin, row: &PrintedRow) -> bool {
        let mut inner = self.lock();
        self.print_queued(&mut inner);
        let mut is_printed = true;
        self.attempt(&mut inner, |printer| {
            is_printed = printer.print_again(origin, row)?;
            Ok(())
        });
        is_printed
    }

    /// Has a record printed before the next one, or with the next [`flush`](Self::flush), and does
    /// not wait for that.
    pub fn queue(&self, record: Record<'static>) {
        let mut queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        queued.push(record);
        self.has_queued.store(true, Ordering::Release);
    }

    fn print_queued(&self, inner: &mut Inner) {
        if !self.has_queued.load(Ordering::Acquire) {
            return;
        }
        self.has_queued.store(false, Ordering::Relaxed);
        let queued = {
            let mut queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *queued)
        };
        for record in &queued {
            self.attempt(inner, |printer| printer.print(record));
        }
    }

    /// Hands everything printed so far to the operating system.
    pub fn flush(&self) {
        let mut inner = self.lock();
        self.print_queued(&mut inner);
        self.attempt(&mut inner, |printer| printer.flush());
    }

    /// Whether printing has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// The error that printing failed with.
    #[must_use]
    pub fn take_failure(&self) -> Option<io::Error> {
        self.lock().failure.take()
    }

    fn attempt(&self, inner: &mut Inner, work: impl FnOnce(&mut dyn Printer) -> io::Result<()>) {
        if inner.failure.is_none() {
            inner.failure = work(inner.printer.as_mut()).err();
            if inner.failure.is_some() {
                self.has_failed.store(true, Ordering::Relaxed);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventLog for Reporter {
    fn record(&self, event: &Event) {
        self.report(&Record::event(event, self.message().as_ref()));
    }
}
