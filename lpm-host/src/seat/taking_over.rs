//! While an LPM takes over what its predecessor left it, whoever would call it waits.
//!
//! It is in the list already, so that nobody asks the predecessor any more. A wait lasts no longer than the LPM's
//! result time limit; what it is to be told by then is kept, as in quarantine.

use std::sync::{Arc, PoisonError};

use super::backlog::Kept;
use super::seated::{Route, Seat};
use crate::event::EventLog;

impl Seat {
    /// Has whoever would call the LPM wait.
    pub(crate) fn begin_taking_over(&self) {
        self.set_route(Route::TAKING_OVER);
    }

    /// Lets in who waits, after the LPM was told what it missed. One that is in quarantine now stays there.
    pub(crate) fn end_taking_over(self: &Arc<Self>, events: &Arc<dyn EventLog>) {
        {
            // Under the lock: what is kept is added under it, too.
            let list = self.backlog.lock();
            if self.standing().is_some() {
                return;
            }
            if list.is_empty() {
                self.release();
            } else {
                self.quarantine();
            }
        }
        self.let_in();
        if self.standing() == Some(Route::Quarantine) {
            self.come_back(true, events);
        }
    }

    /// Puts the LPM in quarantine, to be initialized anew: nobody knows what it made of what it was given.
    pub(crate) fn spoil(&self) {
        self.backlog.lock().lose();
        self.quarantine();
        self.let_in();
    }

    /// Keeps what the LPM is to be told while it takes over; gives it back where it does not.
    pub(super) fn keep_while_taking_over(&self, kept: Kept) -> Result<(), Kept> {
        let mut list = self.backlog.lock();
        if self.standing().is_some() {
            return Err(kept);
        }
        list.push(kept);
        Ok(())
    }

    fn let_in(&self) {
        drop(self.entrance.lock().unwrap_or_else(PoisonError::into_inner));
        self.opened.notify_all();
    }

    /// Where calls go when the LPM has taken over: nowhere where that takes too long.
    #[cold]
    pub(super) fn wait_while_taking_over(&self) -> Route {
        let entrance = self.entrance.lock();
        let entrance = entrance.unwrap_or_else(PoisonError::into_inner);
        let limit = self.config.result_time_limit;
        let is_taking_over = |(): &mut ()| self.standing().is_none();
        let waited = self
            .opened
            .wait_timeout_while(entrance, limit, is_taking_over);
        drop(waited);
        self.standing().unwrap_or(Route::Quarantine)
    }
}
