//! While an LPM takes over what its predecessor left it, whoever would call it waits.
//!
//! It is in the list already, so that nobody asks the predecessor any more. Waits end when the
//! LPM's result time limit is over, from the begin on; what it is asked after that is rejected at
//! once, as in quarantine. What it is to be told is kept.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

use super::backlog::Kept;
use super::seated::{Route, Seat};
use crate::event::EventLog;

impl Seat {
    /// Has whoever would call the LPM wait.
    pub(crate) fn begin_taking_over(&self) {
        *self.entrance() = Instant::now();
        self.set_route(Route::TAKING_OVER);
    }

    /// Lets in who waits, after the LPM was told what it missed. One that is in quarantine now
    /// stays there.
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

    /// Puts the LPM in quarantine, to be initialized anew: nobody knows what it made of what it was
    /// given.
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
        drop(self.entrance());
        self.opened.notify_all();
    }

    /// Where calls go when the LPM has taken over: nowhere where that takes too long.
    #[cold]
    pub(super) fn wait_while_taking_over(&self) -> Route {
        let begun = self.entrance();
        let left = self
            .config
            .result_time_limit
            .saturating_sub(begun.elapsed());
        let is_taking_over = |_: &mut Instant| self.standing().is_none();
        let waited = self.opened.wait_timeout_while(begun, left, is_taking_over);
        drop(waited);
        self.standing().unwrap_or(Route::Quarantine)
    }

    /// Held to wait, and to let in who does. Says since when the LPM takes over.
    fn entrance(&self) -> MutexGuard<'_, Instant> {
        let entrance = self.entrance.lock();
        entrance.unwrap_or_else(PoisonError::into_inner)
    }
}
