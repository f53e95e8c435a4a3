//! Reasons as text: why an LPM decided as it did (extension `lpm.reasons.1`).
//!
//! Nobody is asked for them unless somebody wants to know, and never on the way to a decision. The
//! call is like any other: in the LPM's gate, on its own thread where it has one, no longer than
//! its limit; what panics has nothing to say.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use lpm_abi::AbiDecision;
use lpm_api::LpmStatus;

use crate::answers::decisions::FAILED;
use crate::answers::faults::{Telling, explained_late};
use crate::event::EventId;
use crate::lpm::calls::{self, Asker};
use crate::lpm::compatibility::Incompatibility;
use crate::lpm::instance::Instance;
use crate::lpm::isolated::copied::Copied;
use crate::message::ReceivedMessage;
use crate::seat::backlog::Kept;
use crate::seat::seated::{Route, Seat, Slot};
use crate::serving::Serving;
use crate::verdict::{PerFlow, Verdict};

type Said = Result<Option<String>, Incompatibility>;

/// [`Pcm::explain`](crate::Pcm::explain).
pub(crate) fn explain(
    serving: &Serving,
    received: &ReceivedMessage<'_>,
    verdict: &Verdict,
    flow: u16,
) -> Option<String> {
    let decided = verdict.flows().get(usize::from(flow))?;
    let (by, decision) = (decided.by?, decided.decision.into());
    if verdict.failure().is_some() && decision == FAILED {
        // That is the PCM's word for an LPM that gave none.
        return None;
    }
    let roster = serving.in_charge().ok()?;
    let seat = roster.seats.iter().find(|seat| seat.handle == by)?;
    let flow_count = verdict.flows().len();
    let ask = move |lpm: &Instance, received: &ReceivedMessage<'_>| {
        // They say how many flows there are.
        let places = PerFlow::from_elem(Cell::new(AbiDecision::UNANSWERED), flow_count);
        lpm.explain(
            &calls::request(&Explained(received), &places),
            flow,
            decision,
        )
    };
    let events = &*serving.events;
    let said = match seat.route() {
        Route::Inline => {
            let began = serving.clock.now();
            let said = match &*seat.gate.enter() {
                Slot::Running(lpm) => ask(lpm, received),
                Slot::Closed => return None,
            };
            if let Some(limit) = seat.limit_if_over(began, &serving.clock) {
                events.record(&explained_late(&seat.about, limit));
                return None;
            }
            said
        }
        Route::Worker => {
            let received = Copied::from(received);
            on_worker(seat, serving, move |lpm| ask(lpm, &received.view()))?
        }
        Route::Quarantine => return None,
    };
    said.unwrap_or_else(|difference| {
        let detail = format!("its reasons are not those this host knows: {difference}");
        events.record(&seat.about.about(EventId::LpmCallFailed, detail));
        None
    })
}

/// A message that was decided on: no answer is put off any more.
struct Explained<'a>(&'a ReceivedMessage<'a>);

impl<'a> Asker for Explained<'a> {
    type Received = ReceivedMessage<'a>;

    fn received(&self) -> &ReceivedMessage<'a> {
        self.0
    }

    fn issue(&self) -> u64 {
        0
    }
}

/// Asks on a thread of the LPM's own, within its limit.
fn on_worker(
    seat: &Seat,
    serving: &Serving,
    ask: impl FnOnce(&Instance) -> Said + Send + 'static,
) -> Option<Said> {
    let said = Arc::new(OnceLock::new());
    let theirs = Arc::clone(&said);
    let call = move |lpm: &Instance| {
        // Nobody else sets it.
        let _ = theirs.set(ask(lpm));
        LpmStatus::OK
    };
    let kept = Kept {
        telling: Telling::Explain,
        call: Box::new(call),
    };
    seat.tell_on_worker(kept, serving.clock.now(), &*serving.events);
    said.get().cloned()
}
