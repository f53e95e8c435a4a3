//! JSON: one object a line. The format is described in `docs/src/json.md`.

use std::io::{self, Write};

use super::plain::write_json;
use super::printer::Printer;
use super::record::Record;

/// Prints records as JSON.
pub struct Json<W> {
    out: W,
}

impl<W: Write> Json<W> {
    /// Prints to `out`, which should be buffered.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Printer for Json<W> {
    fn print(&mut self, record: &Record<'_>) -> io::Result<()> {
        write_json(&mut self.out, record)?;
        self.out.write_all(b"\n")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
