//! Decisions on many requests, which an LPM in a process of its own made in one call.
//!
//! What serves one request at a time is done once for all of them: the LPM is looked up, its table
//! is locked, what it decided is counted. Whoever waits is told when all answers are there, since
//! what is called then is the embedder's code, and may take its time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use lpm_abi::{AbiDecision, AbiResult};
use lpm_api::{Decision, LpmStatus};

use super::late::forget_late;
use super::seated::Seat;
use super::worker::Query;
use crate::answers::admitting::Admitting;
use crate::answers::decisions::Decisions;
use crate::answers::pending::Notice;
use crate::lpm::instance::Instance;
use crate::lpm::isolated::answered::Answered;
use crate::requests::asked::{Asked, Question};
use crate::requests::registry::{self, Registered};
use crate::requests::results;
use crate::requests::shard::Refused;
use crate::tally::Decided;

/// Requests that a thread has, and what becomes of them; kept from one time to the next.
#[derive(Default)]
pub(super) struct Many {
    pub(super) queries: VecDeque<Query>,
    pub(super) answers: Vec<Answered>,
    taken: Vec<Taken>,
    notices: Vec<(Arc<Admitting>, Notice<Decisions>)>,
    refused: Vec<(Query, Taken)>,
}

/// A request that was on the table, and whether its time is over.
type Taken = Result<(Asked, bool), Refused>;

impl Answered {
    /// Whether it is a legal decision on each flow, and nothing besides.
    pub(super) fn is_usual(&self) -> bool {
        let is_legal = |decision: &AbiDecision| Decision::from_abi(*decision).is_some();
        self.answer.is_plain() && !self.is_deferred && self.decisions.iter().all(is_legal)
    }
}

impl Seat {
    /// Passes on [usual](Answered::is_usual) answers to the first requests: those from `first` on,
    /// so many.
    pub(super) fn hear_many(&self, lpm: &Instance, first: usize, count: usize, many: &mut Many) {
        let Many {
            queries,
            answers,
            taken,
            notices,
            refused,
        } = many;
        let answers = answers.get(first..).unwrap_or_default();
        let count = count.min(queries.len());
        // Where it is being stopped all its requests end, or have.
        let registered = registry::find(self.handle, Registered::clone);
        if let Some(registered) = &registered {
            let requests = queries.iter().take(count).map(|query| query.request);
            let take = |request| taken.push(request);
            self.requests
                .take_many_in_time(requests, &registered.clock, take);
        }
        // Whoever waits may stop the LPM at once, so what is to be told is told before.
        let mut decided = Decided::default();
        for (said, taken) in answers.iter().zip(&*taken) {
            if matches!(taken, Ok((_, false))) {
                said.decisions.iter().for_each(|one| decided.add(one.lpv));
            }
        }
        self.tally.count_decisions(&decided);
        let asked = queries.drain(..count).zip(answers);
        for ((query, said), taken) in asked.zip(taken.drain(..)) {
            let (admitting, order) = match taken {
                Ok((
                    Asked {
                        question: Question::Admit(admitting),
                        order,
                    },
                    false,
                )) => (admitting, order),
                other => {
                    refused.push((query, other));
                    continue;
                }
            };
            self.requests.answered(query.request);
            // So that whoever waits is the last who has it.
            drop(query);
            let add = |gathered: &mut Decisions| gathered.add(self.handle, order, &said.decisions);
            match admitting.said.answer_quietly(add) {
                Notice::Nobody => {}
                notice => notices.push((admitting, notice)),
            }
        }
        for (admitting, notice) in notices.drain(..) {
            // This thread serves others yet.
            let _ = catch_unwind(AssertUnwindSafe(|| admitting.said.tell(notice)));
        }
        for (query, taken) in refused.drain(..) {
            let told = catch_unwind(AssertUnwindSafe(|| self.refuse(query.request, taken)));
            if matches!(told, Ok(LpmStatus::TIME_OUT)) {
                forget_late(lpm, &query.admitting.received());
            }
        }
    }

    /// Why an answer to this request does not count, which is an event.
    #[cold]
    fn refuse(&self, request: u64, taken: Taken) -> LpmStatus {
        let result = AbiResult {
            lpm: self.handle.number(),
            request,
            status: LpmStatus::OK.0,
            flags: 0,
        };
        let taken = taken.map(|(asked, is_late)| (&*self.requests, asked, is_late));
        match results::in_time(taken, &result) {
            Ok((requests, asked)) => {
                requests.fail(asked, LpmStatus::INVALID_RESULTS);
                LpmStatus::INVALID_RESULTS
            }
            Err(why) => why,
        }
    }
}
