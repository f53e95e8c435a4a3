//! The LPMs that are asked, in configured order.

use std::sync::Arc;

use lpm_api::LpmStatus;

use crate::answers::faults::Telling;
use crate::event::EventLog;
use crate::lpm::instance::Instance;
use crate::seat::backlog::Kept;
use crate::seat::seated::{Route, Seat, Slot};
use crate::seat::told::Heard;

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
    /// threads of its own `job` makes the call, and is waited for within the LPM's limit from `now`
    /// on. One in quarantine is told by `job` when it is back.
    ///
    /// An LPM that was stopped has nothing to be told any more, nor has one that is stopped soon;
    /// the one that takes over its state is told instead.
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
        let tell = |seat: &Seat| match seat.route() {
            Route::Inline => {
                let status = match &*seat.gate.enter() {
                    Slot::Running(lpm) => call(lpm),
                    Slot::Closed => return Heard::ByNobody,
                };
                if !status.is_ok() {
                    seat.put_away_if_it_overstepped();
                    events.record(&telling.failed(&seat.about, status));
                }
                Heard::ByIt
            }
            Route::Worker => seat.tell_on_worker(kept(), now, events),
            Route::Quarantine => {
                seat.tell_or_keep(kept(), events);
                Heard::ByIt
            }
        };
        for seat in &self.seats {
            let mut seat = seat;
            while tell(seat) == Heard::ByNobody {
                let Some(successor) = seat.successor.get() else {
                    break;
                };
                seat = successor;
            }
        }
    }
}
