//! The usual message: a Path or Resv about one flow, which every LPM accepts at once, asked for by
//! a thread that is in no other call.
//!
//! One pass serves the list of LPMs and, one after the other, the LPMs in it; what they say stays
//! in registers. Where an LPM does anything but accept (it rejects, has no opinion, puts off its
//! answer, panics, logs in a span, is called on threads of its own, is being stopped), [`Asking`]
//! takes over from there.
//!
//! A decision takes 136 instructions so, the LPM's own 16 included; the way of [`Asking`] alone
//! took 270.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use libunload::gate::{First, Look};
use lpm_abi::{AbiAdmit, AbiAnswer, AbiDecision};
use lpm_api::{Decision, Priority};

use super::alone;
use super::asking::{Asking, Progress};
use crate::answers::admitting::Admitting;
use crate::answers::aggregate::Aggregate;
use crate::clock::Clock;
use crate::error::PcmError;
use crate::lpm::calls;
use crate::lpm::panics;
use crate::lpm::under_way::{self, Series};
use crate::message::ReceivedMessage;
use crate::roster::Roster;
use crate::seat::seated::{Route, Seat, Slot};
use crate::serving::Serving;
use crate::verdict::FlowVerdict;

/// What came of asking so.
pub(super) enum Asked {
    /// Every LPM accepts.
    Accepted(FlowVerdict),
    /// One did something else. `None`: one was stopped meanwhile, so that not all of them could be
    /// asked.
    Otherwise(Result<Option<Progress>, PcmError>),
    /// The only LPM is asked on a thread of its own.
    Alone(Arc<Admitting>),
    /// No LPM was asked: the message is another, or the thread is in a call.
    Nobody,
}

/// The LPM that did something else than accept.
struct Unusual {
    order: usize,
    /// What those before it said.
    said: Aggregate,
    /// What it answered, where it was asked.
    answer: Option<AbiAnswer>,
}

/// Asks the LPMs, and has `then` see to what comes of it, outside the list of LPMs.
#[inline]
pub(super) fn ask<R>(
    serving: &Serving,
    received: &ReceivedMessage<'_>,
    then: impl FnOnce(Asked) -> R,
) -> R {
    // Those of a Path or a Resv are counted.
    let first = match received.message.counted_flows() {
        Some(1) => serving.enter_first(),
        _ => None,
    };
    let Some(mut first) = first else {
        return then(Asked::Nobody);
    };
    let (roster, mut look) = first.split();
    let [seat] = &*roster.seats else {
        return then(ask_each(serving, received, first));
    };
    if !seat.is_inline() {
        let asked = elsewhere(serving, received, roster, look.lane());
        drop(first);
        return then(asked);
    }
    // The usual configuration. What puts off an answer is dropped in `go_on`.
    let asking = ManuallyDrop::new(Asking::new(received, roster, serving, 1));
    let places = [Cell::new(AbiDecision::UNANSWERED)];
    let request = calls::request(&*asking, &places);
    let Some(series) = Series::start(asking.now()) else {
        drop(first);
        return then(Asked::Nobody);
    };
    let (seat, clock): (&Seat, _) = (seat, &*serving.clock);
    let mut answer = None;
    let place = &places[0];
    let heard = hear(
        &asking,
        seat,
        &mut look,
        &request,
        place,
        clock,
        &mut answer,
    );
    if let Some(priority) = heard {
        seat.tally.count_at_once(look.lane());
        drop(series);
        let flow = accepted(priority, seat);
        drop(first);
        return then(Asked::Accepted(flow));
    }
    drop(series);
    let unusual = Unusual {
        order: 0,
        said: Aggregate::EMPTY,
        answer,
    };
    let progress = go_on(asking, &unusual, &places);
    drop(first);
    then(Asked::Otherwise(progress))
}

/// Asks several LPMs, or none.
#[inline(never)]
fn ask_each(
    serving: &Serving,
    received: &ReceivedMessage<'_>,
    mut first: First<'_, Roster>,
) -> Asked {
    let (roster, mut look) = first.split();
    let asking = ManuallyDrop::new(Asking::new(received, roster, serving, 1));
    let places = [Cell::new(AbiDecision::UNANSWERED)];
    let request = calls::request(&*asking, &places);
    let Some(series) = Series::start(asking.now()) else {
        return Asked::Nobody;
    };
    let clock = &*serving.clock;
    let place = &places[0];
    // Of those with the same priority the first counts.
    let (mut highest, mut by) = (0, None);
    let lane = look.lane();
    for seat in &roster.seats {
        let mut answer = None;
        let heard = match seat.is_inline() {
            true => hear(
                &asking,
                seat,
                &mut look,
                &request,
                place,
                clock,
                &mut answer,
            ),
            false => None,
        };
        let Some(priority) = heard else {
            drop(series);
            let unusual = otherwise(&asking, seat, answer, highest, by);
            return Asked::Otherwise(go_on(asking, &unusual, &places));
        };
        seat.tally.count_at_once(lane);
        if priority.value() > highest {
            highest = priority.value();
            by = Some(seat);
        }
        place.set(AbiDecision::UNANSWERED);
    }
    drop(series);
    if let (Some(priority), Some(by)) = (Priority::new(highest), by) {
        return Asked::Accepted(accepted(priority, by));
    }
    let nobody = Unusual {
        order: 0,
        said: Aggregate::EMPTY,
        answer: None,
    };
    Asked::Otherwise(go_on(asking, &nobody, &places))
}

/// Asks an LPM on this thread: its priority, where it accepts at once; else `None`, and its answer
/// is in `otherwise` where it was asked.
#[inline(always)]
fn hear(
    asking: &Asking<'_>,
    seat: &Seat,
    look: &mut Look<'_>,
    request: &AbiAdmit<'_>,
    place: &Cell<AbiDecision>,
    clock: &Clock,
    otherwise: &mut Option<AbiAnswer>,
) -> Option<Priority> {
    asking.now().set(&seat.about.name);
    let answer = look.at(&seat.gate, |slot| match slot {
        Slot::Running(lpm) => Some(lpm.admit_in_series(request)),
        Slot::Closed => None,
    });
    let answer = answer??;
    let lpv = place.get().lpv;
    if !answer.is_plain()
        || under_way::needs_attention()
        || !asking.began_at(clock.now())
        || !is_acceptance(lpv)
    {
        *otherwise = Some(answer);
        return None;
    }
    u16::try_from(lpv).ok().and_then(Priority::new)
}

/// Whether an LPM priority value is that of an acceptance: one comparison.
#[inline]
const fn is_acceptance(lpv: u32) -> bool {
    lpv.wrapping_sub(1) < Priority::MAX.value() as u32
}

/// That the flow is accepted with this priority.
#[inline]
fn accepted(priority: Priority, by: &Seat) -> FlowVerdict {
    FlowVerdict {
        decision: Decision::Accept(priority),
        by: Some(by.handle),
    }
}

/// The LPM that did something else, after what those before it said.
#[cold]
fn otherwise(
    asking: &Asking<'_>,
    seat: &Seat,
    answer: Option<AbiAnswer>,
    highest: u16,
    by: Option<&Arc<Seat>>,
) -> Unusual {
    let said = by.zip(Priority::new(highest)).map(|(by, priority)| {
        let decision = Decision::Accept(priority);
        Aggregate::of(decision.into(), by.handle, asking.order(by))
    });
    Unusual {
        order: asking.order(seat) as usize,
        said: said.unwrap_or(Aggregate::EMPTY),
        answer,
    }
}

/// Asks the only LPM, which the usual way is not for.
#[cold]
#[inline(never)]
fn elsewhere(
    serving: &Serving,
    received: &ReceivedMessage<'_>,
    roster: &Roster,
    lane: u32,
) -> Asked {
    if !roster.in_charge {
        return Asked::Otherwise(Err(PcmError::NotDsbm));
    }
    match &*roster.seats {
        [seat] if seat.standing() == Some(Route::Worker) => {
            match alone::ask(serving, received, seat, lane) {
                Some(admitting) => Asked::Alone(admitting),
                None => Asked::Otherwise(Ok(None)),
            }
        }
        _ => Asked::Otherwise(Ok(Asking::new(received, roster, serving, 1).ask())),
    }
}

/// Adds what that LPM answered, and asks those after it one by one; or all, from it on.
#[cold]
#[inline(never)]
fn go_on(
    asking: ManuallyDrop<Asking<'_>>,
    unusual: &Unusual,
    places: &[Cell<AbiDecision>],
) -> Result<Option<Progress>, PcmError> {
    let asking = ManuallyDrop::into_inner(asking);
    if !asking.roster().in_charge {
        return Err(PcmError::NotDsbm);
    }
    let mut flows = [unusual.said];
    let mut next = unusual.order;
    if let (Some(answer), Some(seat)) = (unusual.answer, asking.roster().seats.get(next)) {
        panics::attend(0);
        asking.hear(seat, answer, &mut flows, places);
        next += 1;
    }
    Ok(asking.ask_from(next, &mut flows, places))
}
