//! Asking the LPMs, one after the other.

use std::cell::OnceCell;
use std::sync::Arc;

use lpm_api::LpmStatus;
use lpm_api::abi::{AbiAdmit, AbiAnswer, AbiDecision, AbiMessage, AbiResult, Defer};

use lpm_rsvp::{Message, MessageType, class};

use super::Decisions;
use crate::clock::Clock;
use crate::library::{Call, Instance};
use crate::message::OwnedReceived;
use crate::pending::Pending;
use crate::requests::{Asked, Question as Target};
use crate::results;
use crate::roster::Roster;
use crate::seat::{Route, Seat, Slot, invalid_decision};
use crate::verdict::per_flow;
use crate::{EventId, EventLog, ReceivedMessage};

/// How far the LPMs got.
pub(crate) enum Question {
    /// All of them answered.
    Answered(Decisions),
    /// Some have put off their answers.
    Open(Arc<Pending<Decisions>>),
    /// An LPM was stopped meanwhile, so that not all of them could be asked.
    Closed,
}

/// A message on its way through the LPMs.
pub(crate) struct Asking<'a> {
    received: &'a ReceivedMessage<'a>,
    clock: &'a Clock,
    events: &'a Arc<dyn EventLog>,
    flow_count: usize,
    /// Made for the first LPM that puts off its answer.
    pending: OnceCell<Arc<Pending<Decisions>>>,
    /// Made for the first LPM that is asked on a thread of its own.
    copy: OnceCell<Arc<OwnedReceived>>,
}

impl<'a> Asking<'a> {
    #[inline]
    pub(crate) fn new(
        received: &'a ReceivedMessage<'a>,
        clock: &'a Clock,
        events: &'a Arc<dyn EventLog>,
    ) -> Self {
        Self {
            received,
            clock,
            events,
            flow_count: flow_count(&received.message),
            pending: OnceCell::new(),
            copy: OnceCell::new(),
        }
    }

    /// Asks every LPM.
    #[inline]
    pub(crate) fn ask(self, roster: &Roster) -> Question {
        let mut gathered = Decisions::new(self.flow_count);
        let mut buffer = per_flow(AbiDecision::UNANSWERED, self.flow_count);
        let mut closed = false;
        for (order, seat) in (0..).zip(&*roster.seats) {
            match seat.route() {
                Route::Inline => match &*seat.gate.enter() {
                    Slot::Running(lpm) => {
                        buffer.fill(AbiDecision::UNANSWERED);
                        self.call(seat, order, lpm, &mut buffer, &mut gathered);
                    }
                    Slot::Closed => closed = true,
                },
                Route::Worker => self.send_to_worker(seat, order),
                Route::Quarantine => {
                    seat.skip();
                    gathered.add_failure(seat.handle, order);
                }
            }
        }
        match self.pending.into_inner() {
            None if closed => Question::Closed,
            None => Question::Answered(gathered),
            Some(pending) => {
                if closed {
                    // What the others still say is of no use.
                    pending.answer(|_| {});
                    return Question::Closed;
                }
                pending.answer(|others| others.merge(&gathered));
                Question::Open(pending)
            }
        }
    }

    #[inline]
    fn call(
        &self,
        seat: &Seat,
        order: u32,
        lpm: &Instance,
        buffer: &mut [AbiDecision],
        gathered: &mut Decisions,
    ) {
        let call = Call::new(|| self.issue(seat, order));
        let answer = lpm.admit(&abi_admit(self.received, call.defer()), buffer);
        let is_deferred = call.is_deferred();
        if answer.status == LpmStatus::OK.0 && !is_deferred {
            if answer.flags & AbiAnswer::DEFERRED != 0 {
                self.events.record(&deferred_nothing(seat));
                return gathered.add_failure(seat.handle, order);
            }
            if answer.flags & AbiAnswer::FORCE_IMMEDIATE_REFRESH != 0 {
                gathered.refresh_at_once();
            }
            return gathered.add(seat.handle, order, buffer, |found| {
                self.events.record(&invalid_decision(&seat.about, found));
            });
        }
        self.not_answered(seat, order, answer, is_deferred, gathered);
    }

    #[cold]
    fn not_answered(
        &self,
        seat: &Seat,
        order: u32,
        answer: AbiAnswer,
        is_deferred: bool,
        gathered: &mut Decisions,
    ) {
        let status = LpmStatus(answer.status);
        if !status.is_ok() {
            self.events.record(&seat.call_failed("admit", status));
            // A token that outlived the call may still be completed.
            if !is_deferred {
                gathered.add_failure(seat.handle, order);
            }
        }
    }

    /// Puts the LPM's answer on its table; 0 where the LPM is being stopped.
    #[cold]
    fn issue(&self, seat: &Seat, order: u32) -> u64 {
        let pending = self
            .pending
            .get_or_init(|| Arc::new(Pending::new(Decisions::new(self.flow_count))));
        pending.expect();
        let asked = Asked {
            order,
            question: Target::Admit(Arc::clone(pending)),
        };
        match seat.requests.issue(asked, self.clock.now()) {
            Ok(handle) => handle.number(),
            Err(asked) => {
                asked.fail(seat.handle);
                0
            }
        }
    }

    /// Has a thread of the LPM's own make the call; its answer comes as a deferred one does.
    #[cold]
    fn send_to_worker(&self, seat: &Arc<Seat>, order: u32) {
        let request = self.issue(seat, order);
        let Some(worker) = &seat.worker else { return };
        let copy = self
            .copy
            .get_or_init(|| Arc::new(OwnedReceived::from(self.received)));
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
fn flow_count(message: &Message<'_>) -> usize {
    match message.message_type() {
        // The sender, if named: counted without looking further into it.
        MessageType::Path | MessageType::PathErr => {
            let mut entries = message.entries().iter();
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
    let call = Call::new(|| request);
    let mut buffer = per_flow(AbiDecision::UNANSWERED, flow_count);
    let answer = lpm.admit(&abi_admit(received, call.defer()), &mut buffer);
    let status = LpmStatus(answer.status);
    if !status.is_ok() {
        events.record(&seat.call_failed("admit", status));
    }
    if call.is_deferred() {
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
        &buffer,
    );
}

#[inline]
fn abi_admit<'c>(received: &ReceivedMessage<'c>, defer: Defer<'c>) -> AbiAdmit<'c> {
    AbiAdmit {
        received: received.received.into(),
        interface: received.interface.into(),
        integrity_verified: received.integrity_verified,
        message: AbiMessage::from(received.message),
        defer,
    }
}

#[cold]
fn deferred_nothing(seat: &Seat) -> crate::Event {
    let detail = "admit says that its answer comes later, but took no handle for it: \
                  its flows are rejected";
    seat.about
        .about(EventId::LpmResultRefused, detail)
        .status(LpmStatus::INVALID_RESULTS)
}
