//! The LPMs that are asked, in configured order.

use std::sync::Arc;

use lpm_api::LpmStatus;

use crate::answers::faults::Telling;
use crate::event::EventLog;
use crate::lpm::instance::Instance;
use crate::seat::backlog::Kept;
use crate::seat::seated::{Route, Seat, Slot};

/// The LPMs of a PCM at one time; replaced as a whole.
#[derive(Clone)]
pub(crate) struct Roster {
    pub(crate) seats: Box<[Arc<Seat>]>,
    /// Whether the PCM is in charge. Where it is not there are no LPMs.
    pub(crate) in_charge: bool,
}

impl Roster {
    /// Of a PCM that is not in charge.
    pub(crate) fn standby() -> Self {
        Self {
            seats: Box::default(),
            in_charge: false,
        }
    }

    /// Makes a call into each LPM whose result is a status, in configured order. On an LPM with
    /// threads of its own `job` makes the call, and is waited for within the LPM's limit from `now` on. One in
    /// quarantine is told by `job` when it is back.
    ///
    /// An LPM that was stopped has nothing to be told any more, nor has one that is stopped soon.
    pub(crate) fn tell(
        &self,
        telling: Telling,
        now: u32,
        events: &dyn EventLog,
        call: impl Fn(&Instance) -> LpmStatus,
        job: impl Fn() -> Box<dyn FnOnce(&Instance) -> LpmStatus + Send>,
    ) {
        let kept = || Kept {
            telling,
            call: job(),
        };
        for seat in &self.seats {
            match seat.route() {
                Route::Inline => {
                    let status = match &*seat.gate.enter() {
                        Slot::Running(lpm) => call(lpm),
                        Slot::Closed => LpmStatus::OK,
                    };
                    if !status.is_ok() {
                        seat.put_away_if_it_overstepped();
                        events.record(&telling.failed(&seat.about, status));
                    }
                }
                Route::Worker => seat.tell_on_worker(kept(), now, events),
                Route::Quarantine => seat.tell_or_keep(kept(), events),
            }
        }
    }
}
