//! Calls that tell an LPM something, and that somebody waits for: no longer than the result time
//! limit.
//!
//! They are not on the table of requests, since no LPM may answer them by a handle.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lpm_api::LpmStatus;

use crate::answers::pending::Pending;

/// What a call returned; `None` where the LPM was stopped meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told(pub(crate) Option<LpmStatus>);

/// Whether an LPM was told what there is to tell, or was stopped and perhaps was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    ByIt,
    ByNobody,
}

/// A call whose end is waited for.
pub(crate) type Wait = Arc<Pending<Told>>;

/// The calls into one LPM.
#[derive(Default)]
pub(crate) struct Tellings(Mutex<List>);

#[derive(Default)]
struct List {
    /// With the time by which they are late.
    waits: Vec<(u32, Wait)>,
    is_closed: bool,
}

impl Tellings {
    /// A call that is late at `deadline`.
    pub(crate) fn begin(&self, deadline: u32) -> Wait {
        let wait = Arc::new(Pending::new(Told::default()));
        let mut list = self.lock();
        if !list.is_closed {
            wait.expect();
            list.waits.push((deadline, Arc::clone(&wait)));
        }
        wait
    }

    /// Ends a call, if it is still waited for.
    pub(crate) fn end(&self, wait: &Wait, told: Told) {
        let is_it = |(_, other): &(u32, Wait)| Arc::ptr_eq(other, wait);
        let ended = {
            let mut list = self.lock();
            let place = list.waits.iter().position(is_it);
            place.map(|place| list.waits.swap_remove(place))
        };
        if let Some((_, wait)) = ended {
            wait.answer(|end| *end = told);
        }
    }

    /// Ends the calls that are late at `now`.
    pub(crate) fn expire(&self, now: u32) {
        let late: Vec<_> = {
            let mut list = self.lock();
            let is_late = |deadline: u32| now.wrapping_sub(deadline) <= u32::MAX / 2;
            let (late, rest) = std::mem::take(&mut list.waits)
                .into_iter()
                .partition(|(deadline, _)| is_late(*deadline));
            list.waits = rest;
            late
        };
        for (_, wait) in late {
            wait.answer(|end| *end = Told(Some(LpmStatus::DEADLINE)));
        }
    }

    /// Ends all calls: the LPM is stopped.
    pub(crate) fn close(&self) {
        let waits = {
            let mut list = self.lock();
            list.is_closed = true;
            std::mem::take(&mut list.waits)
        };
        for (_, wait) in waits {
            wait.answer(|_| {});
        }
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
