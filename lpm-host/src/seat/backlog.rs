//! What an LPM could not be told while it was in quarantine, in order.
//!
//! An LPM that counts flows would count wrongly ever after if it missed that some are gone. So what
//! there is to tell is kept until the call that hangs has returned. Past the bound nothing is kept
//! any more: the LPM is then initialized anew, and starts from nothing rather than from something
//! wrong.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lpm_api::LpmStatus;

use crate::answers::faults::Telling;
use crate::event::EventLog;
use crate::initialized::InitializedLpm;
use crate::lpm::instance::Instance;

/// So many an LPM may have missed: some megabytes of messages of usual length.
pub(crate) const MOST_KEPT: usize = 4096;

/// A call that tells an LPM something.
pub(crate) struct Kept {
    pub(crate) telling: Telling,
    pub(crate) call: Box<dyn FnOnce(&Instance) -> LpmStatus + Send>,
}

impl Kept {
    /// Makes the call.
    pub(crate) fn tell(self, lpm: &Instance, about: &InitializedLpm, events: &dyn EventLog) {
        let status = (self.call)(lpm);
        if !status.is_ok() {
            events.record(&self.telling.failed(about, status));
        }
    }
}

/// The calls that were not made.
#[derive(Default)]
pub(crate) struct Backlog(Mutex<List>);

#[derive(Default)]
pub(crate) struct List {
    kept: VecDeque<Kept>,
    is_lost: bool,
    /// A thread makes the calls.
    pub(crate) is_catching_up: bool,
    /// When to try again to initialize the LPM anew.
    renew_at: Option<u32>,
}

impl Backlog {
    pub(crate) fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is time to initialize the LPM anew, since it missed too much; not again for a
    /// while.
    pub(crate) fn is_to_be_renewed(&self, now: u32) -> bool {
        /// Milliseconds between two attempts.
        const AGAIN: u32 = 10_000;
        let mut list = self.lock();
        let is_due = |at: u32| now.wrapping_sub(at) < u32::MAX / 2;
        if !list.is_lost || !list.renew_at.is_none_or(is_due) {
            return false;
        }
        list.renew_at = Some(now.wrapping_add(AGAIN));
        true
    }
}

impl List {
    /// Adds a call, or gives up on all of them.
    pub(crate) fn push(&mut self, kept: Kept) {
        if self.is_lost {
            return;
        }
        if self.kept.len() == MOST_KEPT {
            self.lose();
            return;
        }
        self.kept.push_back(kept);
    }

    /// From now on the LPM has missed something for good.
    pub(crate) fn lose(&mut self) {
        self.is_lost = true;
        self.kept.clear();
    }

    /// Whether the LPM has missed something for good.
    pub(crate) const fn is_lost(&self) -> bool {
        self.is_lost
    }

    pub(crate) fn pop(&mut self) -> Option<Kept> {
        self.kept.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}
