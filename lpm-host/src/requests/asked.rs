//! Deferred requests of an LPM: issued here, and answered, over time, or rejected, exactly once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lpm_api::{LpmHandle, LpmStatus, RequestHandle};

use super::shard::Refused;
use super::table::Table;
use crate::answers::admitting::Admitting;
use crate::answers::objects::Objects;
use crate::answers::pending::Pending;
use crate::clock::Clock;
use crate::tally::Tally;

/// The requests that one LPM deferred.
pub(crate) struct Requests {
    pub(crate) lpm: LpmHandle,
    table: Table<Asked>,
    /// Milliseconds an answer may take.
    limit: u32,
    pub(crate) tally: Arc<Tally>,
    timed: Timed,
}

/// The request that is being timed: one at a time.
#[derive(Default)]
struct Timed {
    /// Its handle; 0 for none.
    request: AtomicU64,
    began: Mutex<Option<(u64, Instant)>>,
}

/// What one LPM still has to answer.
pub(crate) struct Asked {
    /// The LPM's place in configured order.
    pub(crate) order: u32,
    pub(crate) question: Question,
}

/// A question that several LPMs are asked.
pub(crate) enum Question {
    Admit(Arc<Admitting>),
    Objects(Arc<Pending<Objects>>),
}

impl Asked {
    /// Ends it without an answer of the LPM.
    fn fail(self, lpm: LpmHandle, why: LpmStatus) {
        let order = self.order;
        match self.question {
            Question::Admit(admitting) => {
                let said = admitting.said();
                said.answer(|decisions| decisions.add_failure(lpm, order, why));
            }
            Question::Objects(pending) => {
                pending.answer(|objects| objects.add_late(lpm, order, why));
            }
        }
    }

    /// Ends it without an answer, since the LPM gave that otherwise.
    pub(crate) fn withdraw(self) {
        match self.question {
            Question::Admit(admitting) => admitting.said().answer(|_| {}),
            Question::Objects(pending) => pending.answer(|_| {}),
        }
    }
}

impl Requests {
    pub(crate) fn new(lpm: LpmHandle, limit: u32, tally: Arc<Tally>) -> Self {
        Self {
            lpm,
            table: Table::new(),
            limit,
            tally,
            timed: Timed::default(),
        }
    }

    /// Puts a request on the table, from the coarse time `now` on. Where the LPM is being stopped
    /// already, the request comes back.
    pub(crate) fn issue(&self, asked: Asked, now: u32) -> Result<RequestHandle, Asked> {
        let deadline = now.wrapping_add(self.limit);
        let issued = self.table.issue(asked, deadline);
        issued.map(RequestHandle::new)
    }

    /// Takes a request off the table, for whoever has its result; whether its time is over by this
    /// clock is told besides.
    pub(crate) fn take_in_time(
        &self,
        request: RequestHandle,
        clock: &Clock,
    ) -> Result<(Asked, bool), Refused> {
        self.table.take_in_time(request.number(), |deadline| {
            clock.has_passed(self.limit, deadline.wrapping_sub(self.limit))
        })
    }

    /// The same for many requests, each of which is given to `each`, which does nothing else.
    pub(crate) fn take_many_in_time(
        &self,
        requests: impl Iterator<Item = u64>,
        clock: &Clock,
        each: impl FnMut(Result<(Asked, bool), Refused>),
    ) {
        let is_over =
            |deadline: u32| clock.has_passed(self.limit, deadline.wrapping_sub(self.limit));
        self.table.take_many_in_time(requests, is_over, each);
    }

    /// Takes a request off the table, for whoever knows that there is no result.
    pub(crate) fn take(&self, request: RequestHandle) -> Result<Asked, Refused> {
        self.table.take(request.number())
    }

    /// How long an answer may take.
    pub(crate) const fn limit(&self) -> Duration {
        Duration::from_millis(self.limit as u64)
    }

    /// Takes the requests off the table whose time is over at `now`: they are to be failed.
    pub(crate) fn expire(&self, now: u32) -> Vec<Asked> {
        self.table.expire(now)
    }

    /// Ends a request without an answer of the LPM.
    pub(crate) fn fail(&self, asked: Asked, why: LpmStatus) {
        if let Question::Admit(_) = asked.question {
            self.tally.count_failure(why);
        }
        asked.fail(self.lpm, why);
    }

    /// Fails all requests, and takes no more.
    pub(crate) fn close(&self, why: LpmStatus) {
        self.table.close(|asked| self.fail(asked, why));
    }

    /// How many requests are open.
    pub(crate) fn outstanding(&self) -> usize {
        self.table.outstanding()
    }

    /// Has a request timed that is on the table and that nobody knows of yet.
    pub(crate) fn time(&self, request: u64, began: Instant) {
        let timed = &self.timed;
        *timed.began.lock().unwrap_or_else(PoisonError::into_inner) = Some((request, began));
        timed.request.store(request, Ordering::Relaxed);
    }

    /// Notes how long the answer to a request took, if that is timed.
    #[inline]
    pub(crate) fn answered(&self, request: u64) {
        if self.timed.request.load(Ordering::Relaxed) == request {
            self.timed_is_answered(request);
        }
    }

    #[cold]
    fn timed_is_answered(&self, request: u64) {
        let began = self.timed.began.lock();
        let mut began = began.unwrap_or_else(PoisonError::into_inner);
        if let Some((_, began)) = began.take_if(|(timed, _)| *timed == request) {
            self.tally.time(began.elapsed());
        }
    }
}

impl From<Refused> for LpmStatus {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TimedOut => Self::TIME_OUT,
            Refused::Answered => Self::DUPLICATE_RESULTS,
            Refused::Unknown => Self::INVALID_REQUEST_HANDLE,
            Refused::Closed => Self::INVALID_LPM_HANDLE,
        }
    }
}
