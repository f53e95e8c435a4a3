//! Telling an LPM what it missed, once it is back from quarantine.

use std::sync::Arc;
use std::thread;

use super::backlog::Kept;
use super::seated::{Route, Seat, Slot};
use crate::event::{EventId, EventLog};

impl Seat {
    /// Tells the LPM, unless it is in quarantine: then it is told when it is back.
    pub(crate) fn tell_or_keep(&self, kept: Kept, events: &dyn EventLog) {
        let Err(kept) = self.keep_while_taking_over(kept) else {
            return;
        };
        {
            let mut list = self.backlog.lock();
            // Under the lock: whoever catches up leaves quarantine under it, too.
            if self.standing() == Some(Route::Quarantine) {
                self.skip();
                if self.overstep().is_some() {
                    // It is told nothing any more.
                    return;
                }
                if let Some(worker) = &self.worker {
                    // Its threads do one thing after the other.
                    if self.give_to(worker, kept).is_err() {
                        list.lose();
                    }
                } else {
                    list.push(kept);
                }
                return;
            }
        }
        if let Slot::Running(lpm) = &*self.gate.enter() {
            kept.tell(lpm, &self.about, events);
        }
    }

    /// Lets calls in again, after the LPM was told what it missed: on this thread, or on one of its
    /// own, which the LPM may hold up.
    pub(crate) fn come_back(self: &Arc<Self>, on_this_thread: bool, events: &Arc<dyn EventLog>) {
        {
            let mut list = self.backlog.lock();
            if list.is_catching_up || list.is_lost() {
                return;
            }
            list.is_catching_up = true;
            if list.is_empty() || on_this_thread {
                drop(list);
                return self.catch_up(&**events);
            }
        }
        let (seat, log) = (Arc::clone(self), Arc::clone(events));
        let started = thread::Builder::new()
            .name(String::from("lpm-catch-up"))
            .spawn(move || seat.catch_up(&*log));
        if started.is_err() {
            // At the next look there may be a thread.
            self.backlog.lock().is_catching_up = false;
        }
    }

    fn catch_up(&self, events: &dyn EventLog) {
        let mut told = 0_u64;
        loop {
            let kept = {
                let mut list = self.backlog.lock();
                match list.pop() {
                    Some(kept) => kept,
                    None if list.is_lost() => {
                        list.is_catching_up = false;
                        return;
                    }
                    None => {
                        list.is_catching_up = false;
                        let missed = self.release();
                        drop(list);
                        let detail = format!(
                            "the call returned: the LPM is asked again; calls it missed meanwhile: \
                             {missed}, of which it was told afterwards: {told}"
                        );
                        events.record(&self.about.about(EventId::LpmReleased, detail));
                        return;
                    }
                }
            };
            match &*self.gate.enter() {
                Slot::Running(lpm) => kept.tell(lpm, &self.about, events),
                // It was stopped, and has nothing to be told any more.
                Slot::Closed => return,
            }
            told += 1;
        }
    }
}
