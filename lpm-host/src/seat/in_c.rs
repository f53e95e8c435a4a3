//! What is different about an LPM in C: it is told a request's handle with every call, and says
//! when it returns whether it will use it; and it may write where it should not.

use std::sync::atomic::Ordering;

use lpm_abi::AbiAnswer;
use lpm_api::{LpmStatus, RequestHandle};

use super::seated::Seat;
use crate::event::EventId;
use crate::requests::results;
use crate::requests::shard::Refused;

impl Seat {
    /// Whether an LPM that took a handle for its answer gives that later.
    pub(crate) fn defers(&self, answer: AbiAnswer) -> bool {
        self.conduct.is_none() || answer.flags() & AbiAnswer::DEFERRED != 0
    }

    /// The handle under which an answer comes later, if one was taken and it does.
    #[cold]
    pub(crate) fn still_open(&self, issued: Option<u64>, answer: AbiAnswer) -> Option<u64> {
        let request = issued?;
        self.put_away_if_it_overstepped();
        if self.defers(answer) {
            return Some(request);
        }
        match self.requests.take(RequestHandle::new(request)) {
            Ok(asked) => {
                self.requests.answered(request);
                asked.withdraw();
                None
            }
            // Its answer came the other way, while it was being called.
            Err(Refused::Answered) => {
                results::record_duplicate(self.handle, request);
                Some(request)
            }
            Err(_) => None,
        }
    }

    /// Puts an LPM that wrote beyond what it was given in quarantine for good; whether it is.
    pub(crate) fn put_away_if_it_overstepped(&self) -> bool {
        let Some(overstep) = self.overstep() else {
            return false;
        };
        self.quarantine();
        if !self.is_put_away.swap(true, Ordering::Relaxed) {
            let detail = format!(
                "{overstep}: it is in quarantine until it is stopped, and all flows are rejected; memory of this \
                 process may be damaged"
            );
            let event = self.about.about(EventId::LpmOverstepped, detail);
            self.events.record(&event.status(LpmStatus::QUARANTINED));
        }
        true
    }
}
