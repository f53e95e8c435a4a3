//! A format that records are printed in.

use std::io;

use super::record::Record;

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
