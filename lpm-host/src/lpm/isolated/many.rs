//! Decisions on many messages in one call.
//!
//! Each message comes with its request's handle, so that an LPM that puts off its answer need not
//! have it asked for. The runner stops when it has been at it for a [`MOMENT`]: then what was
//! answered so far is not held up by what is not, and the rest is asked again.

use std::cell::Cell;
use std::time::{Duration, Instant};

use lpm_api::LpmStatus;

use super::answered::Answered;
use super::calls::{self, Admit, Function};
use super::process::Process;
use super::words::{Malformed, Put, Take};
use crate::message::ReceivedMessage;
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
    /// Asks about these messages, each with the number of its flows and the handle of its request:
    /// `answers` is what is said of the first ones, at least of one. Why it says nothing of any.
    pub(crate) fn admit_many<'a>(
        &self,
        asked: impl Iterator<Item = (ReceivedMessage<'a>, usize, u64)> + Clone,
        answers: &mut Vec<Answered>,
    ) -> Result<(), LpmStatus> {
        answers.clear();
        let written = Cell::new(0);
        let write = |put: &mut Put<'_>| {
            let count = put.place();
            for (received, flows, handle) in asked.clone() {
                Admit::received(&received, flows, handle).put(put);
                written.set(written.get() + 1);
                if put.length() > ENOUGH {
                    break;
                }
            }
            put.set(count, written.get());
        };
        let read = |take: &mut Take<'_>| {
            let count = take.number()?;
            if count == 0 || count > written.get() {
                return Err(Malformed);
            }
            for (_, (_, flows, _)) in (0..count).zip(asked.clone()) {
                answers.push(Answered::take(take, flows)?);
            }
            Ok(())
        };
        self.call(Function::AdmitMany, write, || 0, read)
    }
}

impl Answered {
    fn take(take: &mut Take<'_>, flow_count: usize) -> Result<Self, Malformed> {
        let answer = calls::take_answer(take)?;
        let decisions = take.plain()?;
        if decisions.len() != flow_count {
            return Err(Malformed);
        }
        let decisions = PerFlow::from_slice(decisions);
        Ok(Self {
            answer,
            is_deferred: take.flag()?,
            decisions,
        })
    }
}

/// Has `answer` answer one after the other, and say whether the handle was taken.
pub(super) fn serve<'a>(
    take: &mut Take<'a>,
    put: &mut Put<'_>,
    answer: impl Fn(&Admit<'a>, &mut Put<'_>) -> bool,
) -> Result<(), Malformed> {
    let count = take.number()?;
    let began = Instant::now();
    let place = put.place();
    for done in 1..=count {
        let is_deferred = answer(&Admit::take(take)?, put);
        put.number(is_deferred);
        put.set(place, done);
        let looks = done.is_power_of_two() || done % FEW == 0;
        if looks && began.elapsed() >= MOMENT {
            break;
        }
    }
    Ok(())
}
