//! Standard error.

use std::io::{self, Write};

use crate::config::Format;

use super::entry::Entry;
use super::sink::Sink;

/// Writes lines to a stream.
pub(super) struct Stream {
    out: Box<dyn Write + Send>,
    format: Format,
}

impl Stream {
    pub(super) fn new(out: Box<dyn Write + Send>, format: Format) -> Self {
        Self { out, format }
    }
}

impl Sink for Stream {
    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        self.out.write_all(&entry.line(self.format))?;
        self.out.flush()
    }
}
