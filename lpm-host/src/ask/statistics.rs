//! Counters of LPMs that offer them.

use std::sync::{Arc, OnceLock};

use lpm_api::{LpmHandle, LpmStatus};

use crate::answers::faults::Telling;
use crate::event::EventId;
use crate::lpm::compatibility::Incompatibility;
use crate::lpm::instance::Instance;
use crate::seat::backlog::Kept;
use crate::seat::seated::{Route, Seat, Slot};
use crate::serving::Serving;

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
    pub(crate) fn of(seat: &Seat, serving: &Serving) -> Self {
        let counters = match seat.route() {
            Route::Inline => match &*seat.gate.enter() {
                Slot::Running(lpm) => Some(lpm.statistics()),
                Slot::Closed => None,
            },
            Route::Worker => on_worker(seat, serving),
            Route::Quarantine => {
                seat.skip();
                None
            }
        };
        let counters = counters.and_then(|counters| {
            counters.unwrap_or_else(|difference| {
                let detail = format!("its statistics are not those this host knows: {difference}");
                serving
                    .events
                    .record(&seat.about.about(EventId::LpmCallFailed, detail));
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
fn on_worker(seat: &Seat, serving: &Serving) -> Option<Collected> {
    let collected = Arc::new(OnceLock::new());
    let theirs = Arc::clone(&collected);
    let call = move |lpm: &Instance| {
        // Nobody else sets it.
        let _ = theirs.set(lpm.statistics());
        LpmStatus::OK
    };
    let kept = Kept {
        telling: Telling::Statistics,
        call: Box::new(call),
    };
    seat.tell_on_worker(kept, serving.clock.now(), &*serving.events);
    collected.get().cloned()
}
