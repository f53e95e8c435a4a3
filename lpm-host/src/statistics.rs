//! Counters of LPMs that offer them.

use std::sync::Arc;

use lpm_api::LpmHandle;

use crate::seat::{Route, Seat, Slot};
use crate::{EventId, EventLog};

/// The counters of one LPM (extension [`Statistics`](lpm_api::Statistics)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LpmStatistics {
    /// The LPM's configured name.
    pub name: Arc<str>,
    /// Its handle.
    pub handle: LpmHandle,
    /// Each counter with its name; `None` where the LPM does not offer the extension, or is in
    /// quarantine.
    pub counters: Option<Vec<(String, u64)>>,
}

impl LpmStatistics {
    pub(crate) fn of(seat: &Seat, events: &dyn EventLog) -> Self {
        let counters = match (&*seat.gate.enter(), seat.route()) {
            (Slot::Running(lpm), Route::Inline | Route::Worker) => {
                lpm.statistics().unwrap_or_else(|difference| {
                    let detail =
                        format!("its statistics are not those this host knows: {difference}");
                    events.record(&seat.about.about(EventId::LpmCallFailed, detail));
                    None
                })
            }
            _ => None,
        };
        Self {
            name: Arc::clone(&seat.about.name),
            handle: seat.handle,
            counters,
        }
    }
}
