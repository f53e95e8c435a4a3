//! Asking the LPMs, one after the other.

use std::cell::{Cell, OnceCell};
use std::ptr;
use std::sync::Arc;
use std::time::Instant;

use lpm_abi::{AbiAnswer, AbiDecision};
use lpm_api::{Decision, LpmStatus};
use lpm_rsvp::{Message, MessageType, class};

use super::tell::forget;
use crate::answers::admitting::Admitting;
use crate::answers::aggregate::Aggregate;
use crate::answers::decisions::{Decisions, FAILED, counts_as, verdict};
use crate::answers::faults::{self, Function, Judged, Returned, judge};
use crate::answers::pending::Pending;
use crate::event::EventLog;
use crate::lpm::calls::{self, Asker};
use crate::lpm::under_way::{self, Callee};
use crate::message::ReceivedMessage;
use crate::requests::asked::{Asked, Question};
use crate::roster::Roster;
use crate::seat::seated::{Route, Seat, Slot};
use crate::seat::worker::Worker;
use crate::serving::Serving;
use crate::verdict::{PerFlow, Verdict};

/// How far the LPMs got.
pub(crate) enum Progress {
    /// All of them answered.
    Answered(Verdict),
    /// Some have put off their answers.
    Open(Arc<Admitting>),
}

/// A message on its way through the LPMs.
pub(crate) struct Asking<'a> {
    received: &'a ReceivedMessage<'a>,
    roster: &'a Roster,
    serving: &'a Serving,
    flow_count: usize,
    /// The LPM that is asked now.
    now: Callee,
    /// What time it was when that was called.
    began: Cell<u32>,
    /// The same, where it is timed.
    timed: Cell<Option<Instant>>,
    /// The handle under which it puts off its answer, if it does.
    issued: Cell<Option<u64>>,
    /// Whether one was stopped before it could be asked.
    closed: Cell<bool>,
    immediate_refresh: Cell<bool>,
    /// Why the first LPM that gave no answer did not.
    failure: Cell<LpmStatus>,
    /// Made for the first LPM that puts off its answer.
    later: OnceCell<Arc<Admitting>>,
}

impl<'a> Asking<'a> {
    /// Asks about so many flows.
    #[inline]
    pub(super) fn new(
        received: &'a ReceivedMessage<'a>,
        roster: &'a Roster,
        serving: &'a Serving,
        flow_count: usize,
    ) -> Self {
        Self {
            received,
            roster,
            serving,
            flow_count,
            now: Callee::none(),
            began: Cell::new(serving.clock.now()),
            timed: Cell::new(None),
            issued: Cell::new(None),
            closed: Cell::new(false),
            immediate_refresh: Cell::new(false),
            failure: Cell::new(LpmStatus::OK),
            later: OnceCell::new(),
        }
    }

    /// Asks every LPM. `None` if one was stopped meanwhile, so that not all of them could be asked.
    pub(super) fn ask(&self) -> Option<Progress> {
        let mut flows = PerFlow::from_elem(Aggregate::EMPTY, self.flow_count);
        let places = PerFlow::from_elem(Cell::new(AbiDecision::UNANSWERED), self.flow_count);
        self.ask_from(0, &mut flows, &places)
    }

    /// Says which LPM is asked now.
    #[inline]
    pub(super) const fn now(&self) -> &Callee {
        &self.now
    }

    #[inline]
    pub(super) const fn roster(&self) -> &Roster {
        self.roster
    }

    /// Whether it was this time when the LPM was called that is asked now.
    #[inline]
    pub(super) fn began_at(&self, time: u32) -> bool {
        self.began.get() == time
    }

    /// The place of an LPM in configured order.
    pub(super) fn order(&self, lpm: &Seat) -> u32 {
        let seats = (0..).zip(&self.roster.seats);
        let mut orders =
            seats.filter_map(|(order, seat)| ptr::eq(Arc::as_ptr(seat), lpm).then_some(order));
        orders.next().unwrap_or(u32::MAX)
    }

    /// Asks the LPMs from this place on, with a place in `flows` and in `places` for each flow.
    pub(super) fn ask_from(
        &self,
        first: usize,
        flows: &mut [Aggregate],
        places: &[Cell<AbiDecision>],
    ) -> Option<Progress> {
        let rest = self.roster.seats.get(first..).unwrap_or_default();
        if !rest.is_empty() {
            self.ask_each(rest, flows, places);
        }
        let later = self.later.get();
        let gathered = later.and_then(|later| self.leave_to_the_others(later.said(), flows));
        if self.closed.get() {
            return None;
        }
        let verdict = match (later, gathered) {
            (None, _) => verdict(flows, self.immediate_refresh.get(), self.failure.get()),
            // Those that put off their answers have answered meanwhile.
            (_, Some(decisions)) => decisions.verdict(),
            (Some(later), None) => return Some(Progress::Open(Arc::clone(later))),
        };
        forget(self.roster, self.received, verdict.flows(), self.serving);
        Some(Progress::Answered(verdict))
    }

    fn ask_each(&self, seats: &[Arc<Seat>], flows: &mut [Aggregate], places: &[Cell<AbiDecision>]) {
        let request = calls::request(self, places);
        self.began.set(self.serving.clock.now());
        for seat in seats {
            self.now.set(&seat.about.name);
            match seat.route() {
                Route::Inline => match &*seat.gate.enter() {
                    Slot::Running(lpm) => {
                        self.timed.set(seat.begin_timing());
                        let answer = lpm.admit(&request);
                        self.hear(seat, answer, flows, places);
                    }
                    Slot::Closed => self.closed.set(true),
                },
                Route::Worker => self.send_to_worker(seat),
                Route::Quarantine => {
                    seat.skip();
                    seat.tally.count_request();
                    seat.tally.count_failure(LpmStatus::QUARANTINED);
                    self.add_failure(seat, flows, LpmStatus::QUARANTINED);
                }
            }
        }
    }

    /// Adds what the LPM that is asked now has answered, and makes ready for the next.
    pub(super) fn hear(
        &self,
        seat: &Seat,
        answer: AbiAnswer,
        flows: &mut [Aggregate],
        places: &[Cell<AbiDecision>],
    ) {
        seat.tally.count_request();
        let issued = self.issued.take();
        if let (Some(began), None) = (self.timed.take(), issued) {
            seat.tally.time(began.elapsed());
        }
        let is_at_once = issued.is_none() && self.began_at(self.serving.clock.now());
        if answer.is_plain() && is_at_once {
            self.add(seat, flows, places);
        } else {
            self.not_plain(seat, answer, issued, flows, places);
        }
        self.began.set(self.serving.clock.now());
    }

    /// Adds the decisions of the LPM that is asked now, and takes them out of their places.
    fn add(&self, seat: &Seat, flows: &mut [Aggregate], places: &[Cell<AbiDecision>]) {
        for (flow, place) in flows.iter_mut().zip(places) {
            let answered = place.replace(AbiDecision::UNANSWERED);
            seat.tally.count_decision(counts_as(answered).lpv);
            if Decision::from_abi(answered).is_some() {
                flow.add_next(Aggregate::of(answered, seat.handle, self.order(seat)));
            } else {
                self.add_invalid(seat, flow, answered);
            }
        }
    }

    #[cold]
    fn add_invalid(&self, seat: &Seat, flow: &mut Aggregate, answered: AbiDecision) {
        self.events()
            .record(&faults::invalid_decision(&seat.about, answered));
        flow.add_next(Aggregate::of(
            counts_as(answered),
            seat.handle,
            self.order(seat),
        ));
    }

    /// Adds that the LPM that is asked now gave no answer: its flows are rejected.
    #[cold]
    fn add_failure(&self, seat: &Seat, flows: &mut [Aggregate], why: LpmStatus) {
        if self.failure.get().is_ok() {
            self.failure.set(why);
        }
        for flow in flows {
            flow.add_next(Aggregate::of(FAILED, seat.handle, self.order(seat)));
        }
    }

    /// Any other answer but decisions and nothing besides, without time having passed.
    #[cold]
    fn not_plain(
        &self,
        seat: &Seat,
        answer: AbiAnswer,
        issued: Option<u64>,
        flows: &mut [Aggregate],
        places: &[Cell<AbiDecision>],
    ) {
        let issued = seat.still_open(issued, answer);
        let returned = Returned {
            answer,
            is_deferred: issued.is_some(),
            after: seat.limit_if_over(self.began.get(), &self.serving.clock),
        };
        let judged = judge(Function::Admit, &seat.about, &returned, &**self.events());
        if judged == Judged::Here {
            self.add(seat, flows, places);
            if answer.flags() & AbiAnswer::FORCE_IMMEDIATE_REFRESH != 0 {
                self.immediate_refresh.set(true);
            }
            return;
        }
        for place in places {
            place.set(AbiDecision::UNANSWERED);
        }
        match judged {
            Judged::Missing(why) => {
                seat.tally.count_failure(why);
                self.add_failure(seat, flows, why);
            }
            Judged::Late => {
                seat.tally.count_late();
                match issued {
                    Some(request) => seat.fail(request, LpmStatus::TIME_OUT),
                    None => seat.tally.count_failure(LpmStatus::TIME_OUT),
                }
                self.add_failure(seat, flows, LpmStatus::TIME_OUT);
            }
            Judged::Deferred => seat.tally.count_deferred(),
            Judged::Here => {}
        }
    }

    /// Leaves what the LPMs said to those that still owe an answer, if any does; to nobody if one
    /// could not be asked.
    fn leave_to_the_others(
        &self,
        pending: &Pending<Decisions>,
        flows: &[Aggregate],
    ) -> Option<Decisions> {
        // Where one could not be asked, what the others still say is of no use.
        pending.conclude(|others| {
            if !self.closed.get() {
                others.merge(flows, self.immediate_refresh.get(), self.failure.get());
            }
        })
    }

    /// Puts the answer of the LPM that is asked now on its table.
    fn put_off(&self) -> u64 {
        let mut seats = (0..).zip(&self.roster.seats);
        let Some((order, seat)) = seats.find(|(_, seat)| self.now.is(&seat.about.name)) else {
            return 0;
        };
        let later = self.later();
        later.said().expect();
        self.issue_to(seat, order, later)
    }

    fn events(&self) -> &Arc<dyn EventLog> {
        &self.serving.events
    }

    fn later(&self) -> &Arc<Admitting> {
        self.later.get_or_init(|| Admitting::new(self.flow_count))
    }

    /// Puts an answer that is still to come on an LPM's table.
    fn issue_to(&self, seat: &Seat, order: u32, later: &Arc<Admitting>) -> u64 {
        let question = Question::Admit(Arc::clone(later));
        let asked = Asked { order, question };
        let request = seat.issue(asked, self.serving.clock.now());
        if let Some(began) = self.timed.take() {
            seat.requests.time(request, began);
        }
        request
    }

    /// Has a thread of the LPM's own make the call; its answer comes as a deferred one does.
    #[cold]
    fn send_to_worker(&self, seat: &Arc<Seat>) {
        seat.tally.count_request();
        self.timed.set(seat.begin_timing());
        let request = self.put_off();
        self.later().copy(self.received);
        let message = self.later().copied();
        let ask = |worker: &Worker| worker.ask_to_decide(request, self.flow_count, message);
        if !seat.ask_on_worker(Function::Admit, request, ask, &**self.events()) {
            self.closed.set(true);
        }
    }
}

impl<'a> Asker for Asking<'a> {
    type Received = ReceivedMessage<'a>;

    #[inline]
    fn received(&self) -> &ReceivedMessage<'a> {
        self.received
    }

    #[cold]
    fn issue(&self) -> u64 {
        under_way::demand_attention();
        self.issued.get().unwrap_or_else(|| {
            let number = self.put_off();
            self.issued.set(Some(number));
            number
        })
    }
}

/// How many flow descriptors the message has that LPMs decide on.
pub(super) fn flow_count(message: &Message<'_>) -> usize {
    if let Some(counted) = message.counted_flows() {
        return counted as usize;
    }
    match message.message_type() {
        // The sender, if named: counted without looking further into it. It is among the last.
        MessageType::Path | MessageType::PathErr => {
            let mut entries = message.entries().iter().rev();
            usize::from(entries.any(|entry| entry.class == class::SENDER_TEMPLATE))
        }
        MessageType::Resv | MessageType::ResvErr => message.flow_descriptors().count(),
        _ => 0,
    }
}
