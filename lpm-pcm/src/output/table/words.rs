//! Parts of sentences.

use std::fmt;
use std::time::Duration;

use crate::output::record::PacketsRecord;

/// How long something took, where that is known.
pub(super) struct Took(pub(super) Option<u64>);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(nanos) => write!(f, ", {:.1?}", Duration::from_nanos(nanos)),
            None => Ok(()),
        }
    }
}

/// So many packets of this and that.
pub(super) struct List<'a>(pub(super) &'a [PacketsRecord]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, PacketsRecord { what, packets }) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{what} {packets}")?;
        }
        Ok(())
    }
}
