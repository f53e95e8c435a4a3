//! An LPM that was initialized, as it is known outside: in results, and in events about it.

use std::sync::Arc;

use lpm_api::{LpmHandle, PeType};

use crate::event::{Event, EventId};
use crate::source::LpmSource;

/// An LPM that was initialized.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InitializedLpm {
    /// Its configured name.
    pub name: Arc<str>,
    /// Its handle.
    pub handle: LpmHandle,
    /// The policy element type it serves.
    pub pe_type: PeType,
    /// What it comes from: its library, as configured where it was first named, since one file is
    /// loaded once.
    pub source: LpmSource,
}

impl InitializedLpm {
    /// An event about this LPM.
    pub(crate) fn about(&self, id: EventId, detail: impl Into<String>) -> Event {
        let event = Event::new(id, detail)
            .lpm(Arc::clone(&self.name))
            .handle(self.handle);
        self.source.put_on(event)
    }
}
