//! Decisions on many messages in one call.
//!
//! Each message comes with its request's handle, so that an LPM that puts off its answer need not
//! have it asked for. The runner stops when it has been at it for a [`MOMENT`]: then what was
//! answered so far is not held up by what is not, and the rest is asked again.

use std::time::{Duration, Instant};

use lpm_abi::AbiDecision;
use lpm_api::LpmStatus;

use super::answered::Answered;
use super::batch::Batch;
use super::calls::Function;
use super::decide::{Admit, Decided};
use super::process::Process;
use super::words::{Malformed, Put, Take};
use crate::verdict::PerFlow;

/// Words after which no further message is put: there is room for the longest one after that.
const ENOUGH: usize = 20_000;
/// After which a runner begins no further one, but for the few until it looks at the clock: that
/// takes as long as to ask an LPM.
const MOMENT: Duration = Duration::from_millis(1);
/// How many it is at most from one look to the next; the first two and the fourth are looked after,
/// too, so that one which is slow with each is found out soon.
const FEW: u64 = 8;

impl Process {
    /// Asks about the first of these messages: `answers` is what is said of the first ones, at
    /// least of one. Why it says nothing of any.
    pub(crate) fn admit_many(
        &self,
        asked: &Batch,
        answers: &mut Vec<Answered>,
    ) -> Result<(), LpmStatus> {
        answers.clear();
        let (asked_of, words) = asked.first(ENOUGH);
        let write = |put: &mut Put<'_>| {
            put.number(asked_of as u64);
        };
        let read = |take: &mut Take<'_>| {
            let count = take.narrow()?;
            if count == 0 || count > asked_of {
                return Err(Malformed);
            }
            for query in asked.queries().iter().take(count) {
                answers.push(Answered::take(take, query.flow_count)?);
            }
            Ok(())
        };
        self.call_with(Function::AdmitMany, write, words, || 0, read)
    }
}

impl Answered {
    fn take(take: &mut Take<'_>, flow_count: usize) -> Result<Self, Malformed> {
        let said = Decided::take(take)?;
        if said.decisions.len() != flow_count {
            return Err(Malformed);
        }
        Ok(Self {
            answer: said.answer,
            is_deferred: said.is_deferred,
            decisions: match said.decisions {
                // As nearly always.
                [decision] => PerFlow::from_buf_and_len([*decision, AbiDecision::UNANSWERED], 1),
                decisions => PerFlow::from_slice(decisions),
            },
        })
    }
}

/// Has `answer` answer one after the other.
pub(super) fn serve<'a>(
    take: &mut Take<'a>,
    put: &mut Put<'_>,
    answer: impl Fn(&Admit<'a>, &mut Put<'_>),
) -> Result<(), Malformed> {
    let count = take.number()?;
    let began = Instant::now();
    let place = put.place();
    for done in 1..=count {
        answer(&Admit::take(take)?, put);
        put.set(place, done);
        let looks = done.is_power_of_two() || done % FEW == 0;
        if looks && began.elapsed() >= MOMENT {
            break;
        }
    }
    Ok(())
}
