//! Counters of LPMs that offer them.

use std::sync::{Arc, OnceLock};

use lpm_api::LpmStatus;

use crate::answers::faults::Telling;
use crate::event::EventId;
use crate::lpm::compatibility::Incompatibility;
use crate::lpm::instance::Instance;
use crate::seat::backlog::Kept;
use crate::seat::seated::{Route, Seat, Slot};
use crate::serving::Serving;
use crate::status::LpmStatistics;

/// The counters of one LPM.
pub(crate) fn of(seat: &Seat, serving: &Serving) -> LpmStatistics {
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
    LpmStatistics {
        name: Arc::clone(&seat.about.name),
        handle: seat.handle,
        counters,
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
