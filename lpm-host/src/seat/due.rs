//! What is due at an LPM's seat: requests whose time is over, and calls that do not return.

use std::sync::{Arc, PoisonError};

use lpm_api::LpmStatus;

use super::seated::{Route, Seat};
use super::watched::Hanging;
use crate::answers::faults;
use crate::event::{Event, EventId, EventLog};

impl Seat {
    /// Does what is due at `now`: ends requests that were not answered in time, and puts the LPM in
    /// quarantine while a call hangs in it. Returns whether the LPM has missed so much that it is
    /// to be initialized anew, now that no call hangs in it.
    #[must_use]
    pub(crate) fn do_what_is_due(
        self: &Arc<Self>,
        now: u32,
        on_this_thread: bool,
        events: &Arc<dyn EventLog>,
    ) -> bool {
        if self.standing().is_none() {
            // Who has it take over sees to the limit.
            return false;
        }
        self.time_next();
        if self
            .process
            .as_ref()
            .is_some_and(|process| process.has_ended())
        {
            self.quarantine();
            self.tellings.expire(now);
            return self.restarts.as_ref().is_some_and(|it| it.is_due(now));
        }
        let hanging = {
            let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            watched.look(self.gate.passes(), now, self.limit)
        };
        // Before anybody is told that an answer is late: what they do then must not wait for the
        // LPM once more.
        let begins = hanging.is_some() && self.standing() != Some(Route::Quarantine);
        if begins {
            self.quarantine();
        }
        let late = self.requests.expire(now);
        // Whoever waits may stop the LPM at once, so what is to be told is told before, too.
        if !late.is_empty() {
            let limit = self.config.result_time_limit;
            events.record(&faults::not_answered(&self.about, late.len(), limit));
        }
        match (&hanging, &self.process) {
            // What hangs in a process of its own ends with that.
            (Some(hanging), Some(process)) if process.is_calling() => {
                process.kill(self.does_not_return(hanging));
            }
            (Some(hanging), _) if begins => events.record(&self.quarantined(hanging)),
            _ => {}
        }
        self.tellings.expire(now);
        for asked in late {
            self.requests.fail(asked, LpmStatus::TIME_OUT);
        }
        if self.put_away_if_it_overstepped() || hanging.is_some() {
            return false;
        }
        if self.standing() == Some(Route::Quarantine) {
            self.come_back(on_this_thread, events);
        }
        self.backlog.is_to_be_renewed(now)
    }

    fn quarantined(&self, hanging: &Hanging) -> Event {
        let detail = format!(
            "{}: it is in quarantine, and all flows are rejected, until it does",
            self.does_not_return(hanging)
        );
        self.about
            .about(EventId::LpmQuarantined, detail)
            .status(LpmStatus::QUARANTINED)
    }

    fn does_not_return(&self, hanging: &Hanging) -> String {
        let calls = match hanging.count() {
            1 => "a call",
            _ => "calls",
        };
        let limit = self.config.result_time_limit;
        format!("{calls} into the LPM did not return within {limit:?} ({hanging})")
    }
}
