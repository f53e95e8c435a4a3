//! Asking the LPMs, one after the other.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use lpm_api::LpmStatus;
use lpm_api::abi::{AbiAnswer, AbiDecision, AbiResult};

use lpm_rsvp::{Message, MessageType, class};

use super::decisions::{Decisions, Gathered};
use crate::aggregate::Aggregate;
use crate::clock::Clock;
use crate::library::{AdmitCall, Instance};
use crate::message::OwnedReceived;
use crate::pending::Pending;
use crate::requests::{Asked, Question as Target};
use crate::results;
use crate::roster::Roster;
use crate::seat::{Route, Seat, Slot, invalid_decision};
use crate::verdict::Room;
use crate::{EventId, EventLog, ReceivedMessage, Verdict};

/// How far the LPMs got.
pub(crate) enum Question {
    /// All of them answered: the verdict is there.
    Answered,
    /// Some have put off their answers.
    Open(Arc<Pending<Decisions>>),
    /// An LPM was stopped meanwhile, so that not all of them could be asked.
    Closed,
}

/// A message on its way through the LPMs.
pub(crate) struct Asking<'a> {
    received: &'a ReceivedMessage<'a>,
    roster: &'a Roster,
    clock: &'a Clock,
    events: &'a Arc<dyn EventLog>,
    flow_count: usize,
    /// The place of the LPM that is asked now.
    now: Cell<u32>,
    /// Made for the first LPM that puts off its answer.
    later: OnceCell<Later>,
}

/// What it takes to wait for answers.
struct Later {
    pending: Arc<Pending<Decisions>>,
    /// Made for the first LPM that is asked on a thread of its own.
    copy: OnceCell<Arc<OwnedReceived>>,
}

impl<'a> Asking<'a> {
    #[inline]
    pub(crate) fn new(
        received: &'a ReceivedMessage<'a>,
        message_type: MessageType,
        roster: &'a Roster,
        clock: &'a Clock,
        events: &'a Arc<dyn EventLog>,
    ) -> Self {
        Self {
            received,
            roster,
            clock,
            events,
            flow_count: flow_count(&received.message, message_type),
            now: Cell::new(0),
            later: OnceCell::new(),
        }
    }

    /// Asks every LPM, and writes what they say into `verdict` if all of them say it at once.
    #[inline]
    pub(crate) fn ask(self, verdict: &mut Verdict) -> Question {
        let (mut flows, mut buffer) = (
            Room::new(Aggregate::EMPTY),
            Room::new(AbiDecision::UNANSWERED),
        );
        let mut gathered = Gathered {
            flows: flows.places(self.flow_count),
            immediate_refresh: false,
        };
        let buffer = buffer.places(self.flow_count);
        let mut closed = false;
        let call = AdmitCall::new(self.received, || self.issue());
        let request = call.request();
        for (order, seat) in (0..).zip(&self.roster.seats) {
            self.now.set(order);
            match seat.route() {
                Route::Inline => match &*seat.gate.enter() {
                    Slot::Running(lpm) => {
                        let answer = lpm.admit(&request, buffer);
                        let is_deferred = call.was_deferred();
                        if is_deferred || !answer.is_plain() {
                            self.not_plain(seat, answer, is_deferred, buffer, &mut gathered);
                        } else {
                            self.add(seat, buffer, &mut gathered);
                        }
                    }
                    Slot::Closed => closed = true,
                },
                Route::Worker => self.send_to_worker(seat),
                Route::Quarantine => {
                    seat.skip();
                    gathered.add_failure(seat.handle, order);
                }
            }
        }
        if closed || self.later.get().is_some() {
            return self.not_answered(&gathered, closed);
        }
        gathered.conclude(verdict);
        Question::Answered
    }

    #[inline]
    fn add(&self, seat: &Seat, buffer: &mut [AbiDecision], gathered: &mut Gathered<'_>) {
        gathered.add(seat.handle, self.now.get(), buffer, |found| {
            self.events.record(&invalid_decision(&seat.about, found));
        });
    }

    /// Any answer but decisions at once.
    #[cold]
    fn not_plain(
        &self,
        seat: &Seat,
        answer: AbiAnswer,
        is_deferred: bool,
        buffer: &mut [AbiDecision],
        gathered: &mut Gathered<'_>,
    ) {
        let status = LpmStatus(answer.status);
        let claims_deferral = answer.flags & AbiAnswer::DEFERRED != 0;
        if !status.is_ok() {
            self.events.record(&seat.call_failed("admit", status));
        } else if claims_deferral && !is_deferred {
            self.events.record(&deferred_nothing(seat));
        }
        if is_deferred {
            // A token that outlived a call that failed may still be completed.
            buffer.fill(AbiDecision::UNANSWERED);
        } else if !status.is_ok() || claims_deferral {
            buffer.fill(AbiDecision::UNANSWERED);
            gathered.add_failure(seat.handle, self.now.get());
        } else {
            self.add(seat, buffer, gathered);
            if answer.flags & AbiAnswer::FORCE_IMMEDIATE_REFRESH != 0 {
                gathered.immediate_refresh = true;
            }
        }
    }

    /// Leaves what the LPMs said to those that still owe an answer; to nobody if one could not be asked.
    #[cold]
    fn not_answered(&self, gathered: &Gathered<'_>, closed: bool) -> Question {
        match self.later.get() {
            Some(Later { pending, .. }) if !closed => {
                pending.answer(|others| others.merge(gathered));
                Question::Open(Arc::clone(pending))
            }
            Some(Later { pending, .. }) => {
                // What the others still say is of no use.
                pending.answer(|_| {});
                Question::Closed
            }
            None => Question::Closed,
        }
    }

    /// Puts the LPM's answer on its table; 0 where the LPM is being stopped.
    #[cold]
    fn issue(&self) -> u64 {
        let order = self.now.get();
        let Some(seat) = self.roster.seats.get(order as usize) else {
            return 0;
        };
        let pending = &self.later().pending;
        pending.expect();
        let asked = Asked {
            order,
            question: Target::Admit(Arc::clone(pending)),
        };
        seat.issue(asked, self.clock.now())
    }

    fn later(&self) -> &Later {
        self.later.get_or_init(|| Later {
            pending: Arc::new(Pending::new(Decisions::new(self.flow_count))),
            copy: OnceCell::new(),
        })
    }

    /// Has a thread of the LPM's own make the call; its answer comes as a deferred one does.
    #[cold]
    fn send_to_worker(&self, seat: &Arc<Seat>) {
        let request = self.issue();
        let Some(worker) = &seat.worker else { return };
        let copy = &self.later().copy;
        let copy = copy.get_or_init(|| Arc::new(OwnedReceived::from(self.received)));
        let (copy, flow_count) = (Arc::clone(copy), self.flow_count);
        let events = Arc::clone(self.events);
        let job = {
            let seat = Arc::clone(seat);
            move |lpm: &Instance| {
                answer_on_worker(lpm, &seat, request, &copy.view(), flow_count, &*events);
            }
        };
        if worker.run(Box::new(job)).is_err() {
            let status = LpmStatus::QUARANTINED;
            self.events.record(&seat.call_failed("admit", status));
            seat.fail(request);
        }
    }
}

/// How many flow descriptors the message has.
#[inline]
fn flow_count(message: &Message<'_>, message_type: MessageType) -> usize {
    match message_type {
        // The sender, if named: counted without looking further into it. It is among the last.
        MessageType::Path | MessageType::PathErr => {
            let mut entries = message.entries().iter().rev();
            usize::from(entries.any(|entry| entry.class == class::SENDER_TEMPLATE))
        }
        _ => message.flow_descriptors().count(),
    }
}

fn answer_on_worker(
    lpm: &Instance,
    seat: &Seat,
    request: u64,
    received: &ReceivedMessage<'_>,
    flow_count: usize,
    events: &dyn EventLog,
) {
    let call = AdmitCall::new(received, || request);
    let mut buffer = Room::new(AbiDecision::UNANSWERED);
    let buffer = buffer.places(flow_count);
    let answer = lpm.admit(&call.request(), buffer);
    let status = LpmStatus(answer.status);
    if !status.is_ok() {
        events.record(&seat.call_failed("admit", status));
    }
    if call.was_deferred() {
        return;
    }
    let claims_deferral = answer.flags & AbiAnswer::DEFERRED != 0;
    if claims_deferral {
        events.record(&deferred_nothing(seat));
    }
    if !status.is_ok() || claims_deferral {
        return seat.fail(request);
    }
    results::admit(
        &AbiResult {
            lpm: seat.handle.number(),
            request,
            status: LpmStatus::OK.0,
            flags: answer.flags,
        },
        buffer,
    );
}

#[cold]
fn deferred_nothing(seat: &Seat) -> crate::Event {
    let detail = "admit says that its answer comes later, but took no handle for it: \
                  its flows are rejected";
    seat.about
        .about(EventId::LpmResultRefused, detail)
        .status(LpmStatus::INVALID_RESULTS)
}
