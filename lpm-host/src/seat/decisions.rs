//! Decisions that an LPM makes on threads of its own; they come to the request as those do that
//! were put off.
//!
//! An LPM in a process of its own is asked about many messages in one call, so that two changes of
//! process serve all that wait.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lpm_abi::{AbiAnswer, AbiDecision, AbiResult};
use lpm_api::LpmStatus;

use super::late::forget_late;
use super::many::Many;
use super::seated::Seat;
use crate::answers::faults::{Function, Judged, Returned, judge};
use crate::lpm::calls::{self, Asker};
use crate::lpm::instance::Instance;
use crate::lpm::isolated::batch::{Batch, Query};
use crate::lpm::isolated::decide::Received;
use crate::requests::results;
use crate::verdict::PerFlow;

impl Seat {
    /// Asks the LPM about the first of these messages, and about as many more as it takes at once;
    /// the others stay.
    pub(super) fn decide(&self, lpm: &Instance, many: &mut Many) {
        let Some(process) = &self.process else {
            self.decide_here(lpm, &many.asked);
            many.asked.skip(1);
            return;
        };
        if let Err(why) = process.admit_many(&many.asked, &mut many.answers) {
            // Nothing is known of any of them.
            for (query, received) in many.asked.iter() {
                self.hear(lpm, query, &received, AbiAnswer::failed(why), false, &[]);
            }
            many.asked.clear();
            return;
        }
        let mut heard = 0;
        while let Some(said) = many.answers.get(heard) {
            let usual = many.answers[heard..]
                .iter()
                .take_while(|said| said.is_usual());
            let count = usual.count();
            if count > 0 {
                self.hear_many(lpm, heard, count, many);
            } else {
                if let Some((query, received)) = many.asked.iter().next() {
                    let decisions = &said.decisions;
                    self.hear(
                        lpm,
                        query,
                        &received,
                        said.answer,
                        said.is_deferred,
                        decisions,
                    );
                }
                many.asked.skip(1);
            }
            heard += count.max(1);
        }
    }

    /// Asks about the first of these messages on this thread.
    fn decide_here(&self, lpm: &Instance, asked: &Batch) {
        let Some((query, received)) = asked.iter().next() else {
            return;
        };
        let asker = OnWorker {
            received: &received,
            request: query.request,
            is_deferred: Cell::new(false),
        };
        let mut decisions = PerFlow::from_elem(AbiDecision::UNANSWERED, query.flow_count);
        let places = Cell::from_mut(&mut *decisions).as_slice_of_cells();
        let answer = lpm.admit(&calls::request(&asker, places));
        let is_deferred = asker.is_deferred.get();
        self.hear(lpm, query, &received, answer, is_deferred, &decisions);
    }

    /// Passes on what the LPM said, where that is its answer.
    fn hear(
        &self,
        lpm: &Instance,
        query: &Query,
        received: &Received<'_>,
        answer: AbiAnswer,
        is_deferred: bool,
        decisions: &[AbiDecision],
    ) {
        let returned = Returned {
            answer,
            is_deferred: is_deferred && self.defers(answer),
            // Its request says so.
            after: None,
        };
        match judge(Function::Admit, &self.about, &returned, &*self.events) {
            Judged::Deferred => self.tally.count_deferred(),
            Judged::Missing(why) => self.fail(query.request, why),
            Judged::Here | Judged::Late => {
                let result = AbiResult {
                    lpm: self.handle.number(),
                    request: query.request,
                    status: LpmStatus::OK.0,
                    flags: answer.flags(),
                };
                // What is under it calls wakers, which are the embedder's code, and this thread
                // serves others yet.
                let take = || results::take_decisions(&result, decisions);
                let taken = catch_unwind(AssertUnwindSafe(take));
                if matches!(taken, Ok(LpmStatus::TIME_OUT)) {
                    forget_late(lpm, &received.into());
                }
            }
        }
    }
}

/// A message that an LPM is asked about on a thread of its own.
struct OnWorker<'a> {
    received: &'a Received<'a>,
    request: u64,
    is_deferred: Cell<bool>,
}

impl<'a> Asker for OnWorker<'a> {
    type Received = Received<'a>;

    fn received(&self) -> &Received<'a> {
        self.received
    }

    fn issue(&self) -> u64 {
        self.is_deferred.set(true);
        self.request
    }
}
