//! What every place is that events are written to.

use std::fmt::Display;
use std::io;
use std::sync::Arc;

use super::entry::Entry;

/// Tells the operator, in one line, what is wrong with a sink. Called from any thread.
pub type Tell = Arc<dyn Fn(&dyn Display) + Send + Sync>;

/// A place that events are written to, one after the other.
pub(super) trait Sink: Send {
    /// Writes an entry. After an error the same entry comes again: what of it was written already
    /// is the sink's to know.
    fn write(&mut self, entry: &Entry) -> io::Result<()>;
}
