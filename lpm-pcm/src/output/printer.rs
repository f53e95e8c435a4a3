//! A format that records are printed in.

use std::io;

use super::record::{Origin, Record};

/// A row that can be printed again.
#[derive(Clone, Debug)]
pub struct PrintedRow {
    /// Which layout it was printed in, and where in the line it begins.
    pub(super) layout: (u32, usize),
    /// What it says besides packet and time.
    pub(super) text: Box<str>,
}

/// Prints records in one format.
pub trait Printer: Send {
    /// Prints a record.
    ///
    /// # Errors
    /// What the operating system says.
    fn print(&mut self, record: &Record<'_>) -> io::Result<()>;

    /// The row of the decision that was printed last, where it has one row, and nothing else is
    /// kept of it.
    fn last_row(&self) -> Option<PrintedRow> {
        None
    }

    /// Prints such a row for a message that was found here. `false` if it has to be made anew.
    ///
    /// # Errors
    /// What the operating system says.
    fn print_again(&mut self, _: &Origin, _row: &PrintedRow) -> io::Result<bool> {
        Ok(false)
    }

    /// Hands everything printed so far to the operating system.
    ///
    /// # Errors
    /// What the operating system says.
    fn flush(&mut self) -> io::Result<()>;
}
