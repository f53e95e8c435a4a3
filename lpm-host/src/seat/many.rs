//! Decisions on many requests, which an LPM in a process of its own made in one call.
//!
//! What serves one request at a time is done once for all of them: the LPM is looked up, its table
//! is locked, what it decided is counted. Whoever waits is told when all answers are there, since
//! what is called then is the embedder's code, and may take its time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use lpm_abi::{AbiDecision, AbiResult};
use lpm_api::{Decision, LpmStatus};

use super::late::forget_late;
use super::seated::Seat;
use crate::answers::admitting::Admitting;
use crate::answers::decisions::Decisions;
use crate::answers::pending::Notice;
use crate::lpm::instance::Instance;
use crate::lpm::isolated::answered::Answered;
use crate::lpm::isolated::batch::Batch;
use crate::requests::asked::{Asked, Question};
use crate::requests::registry::{self, Registered};
use crate::requests::results;
use crate::requests::shard::Refused;
use crate::tally::Decided;

/// Requests that a thread has, and what becomes of them; kept from one time to the next.
#[derive(Default)]
pub(super) struct Many {
    pub(super) asked: Batch,
    pub(super) answers: Vec<Answered>,
    /// Of which what is said counts, by the places of the requests; and the place of the LPM.
    heard: Vec<(usize, u32, Arc<Admitting>)>,
    notices: Vec<(Arc<Admitting>, Notice<Decisions>)>,
    /// By the same places.
    refused: Vec<(usize, Taken)>,
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
            asked,
            answers,
            heard,
            notices,
            refused,
        } = many;
        let answers = answers.get(first..).unwrap_or_default();
        let (mut said, mut decided) = (answers.iter(), Decided::default());
        let mut place = 0;
        let hear = |taken| {
            let said = said.next();
            match (taken, said) {
                (
                    Ok((
                        Asked {
                            order,
                            question: Question::Admit(admitting),
                        },
                        false,
                    )),
                    Some(said),
                ) => {
                    said.decisions.iter().for_each(|one| decided.add(one.lpv));
                    heard.push((place, order, admitting));
                }
                (taken, _) => refused.push((place, taken)),
            }
            place += 1;
        };
        // Where it is being stopped all its requests end, or have.
        if let Some(registered) = registry::find(self.handle, Registered::clone) {
            let requests = asked.queries().iter().take(count);
            let requests = requests.map(|query| query.request);
            self.requests
                .take_many_in_time(requests, &registered.clock, hear);
        }
        // Whoever waits may stop the LPM at once, so what is to be told is told before.
        self.tally.count_decisions(&decided);
        for (place, order, admitting) in heard.drain(..) {
            let (Some(query), Some(said)) = (asked.queries().get(place), answers.get(place)) else {
                continue;
            };
            self.requests.answered(query.request);
            let decisions = &said.decisions;
            if let Some(notice) = admitting.decide_quietly(self.handle, order, decisions) {
                notices.push((admitting, notice));
            }
        }
        for (admitting, notice) in notices.drain(..) {
            // This thread serves others yet.
            let _ = catch_unwind(AssertUnwindSafe(|| admitting.said().tell(notice)));
        }
        for (place, taken) in refused.drain(..) {
            let Some((query, received)) = asked.iter().nth(place) else {
                continue;
            };
            let told = catch_unwind(AssertUnwindSafe(|| self.refuse(query.request, taken)));
            if matches!(told, Ok(LpmStatus::TIME_OUT)) {
                forget_late(lpm, &(&received).into());
            }
        }
        asked.skip(count);
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
