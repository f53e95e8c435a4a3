//! What is due at an LPM's seat: requests whose time is over, and calls that do not return.

use std::sync::PoisonError;

use lpm_api::LpmStatus;

use super::Seat;
use super::watched::{Found, Hanging};
use crate::clock::milliseconds;
use crate::event::{Event, EventId, EventLog};

impl Seat {
    /// Does what is due at `now`: ends requests that were not answered in time, and puts the LPM in
    /// quarantine while a call hangs in it.
    pub(crate) fn do_what_is_due(&self, now: u32, events: &dyn EventLog) {
        let late = self.requests.expire(now);
        if late > 0 {
            events.record(&self.not_answered(late));
        }
        let limit = milliseconds(self.config.result_time_limit);
        let found = {
            let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            watched.look(self.gate.passes(), now, limit)
        };
        match found {
            Found::AsBefore => {}
            Found::Hangs(hanging) => {
                self.quarantine();
                events.record(&self.quarantined(&hanging));
            }
            Found::Returned => {
                let missed = self.release();
                let detail = format!(
                    "the call returned: the LPM is asked again; calls it missed meanwhile: {missed}"
                );
                events.record(&self.about.about(EventId::LpmReleased, detail));
            }
        }
    }

    fn not_answered(&self, late: usize) -> Event {
        let limit = self.config.result_time_limit;
        let requests = match late {
            1 => "request was",
            _ => "requests were",
        };
        let detail = format!(
            "{late} deferred {requests} not answered within {limit:?}: the flows are rejected"
        );
        self.about
            .about(EventId::LpmTimedOut, detail)
            .status(LpmStatus::TIME_OUT)
    }

    fn quarantined(&self, hanging: &Hanging) -> Event {
        let calls = match hanging.count() {
            1 => "a call",
            _ => "calls",
        };
        let detail = format!(
            "{calls} into the LPM did not return within {:?} ({hanging}): it is in quarantine, and \
             all flows are rejected, until it does",
            self.config.result_time_limit,
        );
        self.about
            .about(EventId::LpmQuarantined, detail)
            .status(LpmStatus::QUARANTINED)
    }
}
