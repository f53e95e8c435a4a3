//! Counters of LPMs that offer them.

use std::sync::{Arc, OnceLock};

use lpm_api::{LpmHandle, LpmStatus};

use crate::event::{EventId, EventLog};
use crate::lpm::compatibility::Incompatibility;
use crate::lpm::instance::Instance;
use crate::seat::{Route, Seat, Slot};

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
        let counters = match seat.route() {
            Route::Inline => match &*seat.gate.enter() {
                Slot::Running(lpm) => Some(lpm.statistics()),
                Slot::Closed => None,
            },
            Route::Worker => on_worker(seat, events),
            Route::Quarantine => {
                seat.skip();
                None
            }
        };
        let counters = counters.and_then(|counters| {
            counters.unwrap_or_else(|difference| {
                let detail = format!("its statistics are not those this host knows: {difference}");
                events.record(&seat.about.about(EventId::LpmCallFailed, detail));
                None
            })
        });
        Self {
            name: Arc::clone(&seat.about.name),
            handle: seat.handle,
            counters,
        }
    }
}

type Collected = Result<Option<Vec<(String, u64)>>, Incompatibility>;

/// Asks on a thread of the LPM's own, within its limit.
fn on_worker(seat: &Seat, events: &dyn EventLog) -> Option<Collected> {
    let collected = Arc::new(OnceLock::new());
    let theirs = Arc::clone(&collected);
    let call = move |lpm: &Instance| {
        // Nobody else sets it.
        let _ = theirs.set(lpm.statistics());
        LpmStatus::OK
    };
    seat.tell_on_worker("statistics", Box::new(call), events);
    collected.get().cloned()
}
