//! Deferred requests of an LPM: issued here, and answered, over time, or rejected, exactly once.

pub(crate) mod registry;
pub(crate) mod results;
pub(crate) mod table;

use std::sync::Arc;

use lpm_api::{LpmHandle, LpmStatus, RequestHandle};

use self::table::{Refused, Table};
use crate::answers::decisions::Decisions;
use crate::answers::faults::Function;
use crate::answers::objects::Objects;
use crate::answers::pending::Pending;

/// The requests that one LPM deferred.
pub(crate) struct Requests {
    pub(crate) lpm: LpmHandle,
    table: Table<Asked>,
    /// Milliseconds an answer may take.
    limit: u32,
}

/// What one LPM still has to answer.
pub(crate) struct Asked {
    /// The LPM's place in configured order.
    pub(crate) order: u32,
    pub(crate) question: Question,
}

/// A question that several LPMs are asked.
pub(crate) enum Question {
    Admit(Arc<Pending<Decisions>>),
    Objects(Arc<Pending<Objects>>),
}

impl Question {
    /// The call in which the LPM is asked.
    pub(crate) const fn function(&self) -> Function {
        match self {
            Self::Admit(_) => Function::Admit,
            Self::Objects(_) => Function::RsvpObjects,
        }
    }
}

impl Asked {
    /// Ends it without an answer of the LPM.
    pub(crate) fn fail(self, lpm: LpmHandle, why: LpmStatus) {
        let order = self.order;
        match self.question {
            Question::Admit(pending) => {
                pending.answer(|decisions| decisions.add_failure(lpm, order, why));
            }
            Question::Objects(pending) => {
                pending.answer(|objects| objects.add_late(lpm, order, why))
            }
        }
    }
}

impl Requests {
    pub(crate) fn new(lpm: LpmHandle, limit: u32) -> Self {
        Self {
            lpm,
            table: Table::new(),
            limit,
        }
    }

    /// Puts a request on the table, from the coarse time `now` on. Where the LPM is being stopped
    /// already, the request comes back.
    pub(crate) fn issue(&self, asked: Asked, now: u32) -> Result<RequestHandle, Asked> {
        let deadline = now.wrapping_add(self.limit);
        let issued = self.table.issue(asked, deadline);
        issued.map(RequestHandle::new)
    }

    /// Takes a request off the table, for whoever has its result.
    pub(crate) fn take(&self, request: RequestHandle) -> Result<Asked, Refused> {
        self.table.take(request.number())
    }

    /// Fails the requests whose time is over at `now`, and says how many.
    pub(crate) fn expire(&self, now: u32) -> usize {
        let expired = self.table.expire(now);
        let count = expired.len();
        for asked in expired {
            asked.fail(self.lpm, LpmStatus::TIME_OUT);
        }
        count
    }

    /// Fails all requests, and takes no more.
    pub(crate) fn close(&self) {
        let why = LpmStatus::INVALID_LPM_HANDLE;
        self.table.close(|asked| asked.fail(self.lpm, why));
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
