//! Asking the LPMs, one after the other.

use std::cell::{Cell, OnceCell};
use std::mem;
use std::sync::Arc;

use lpm_abi::{AbiAnswer, AbiDecision, AbiDeleteState, AbiResult};
use lpm_api::abi::abi_message;
use lpm_api::{Decision, DeleteReason, LpmStatus};
use lpm_rsvp::{Message, MessageType, class};

use crate::answers::aggregate::Aggregate;
use crate::answers::decisions::{Decisions, FAILED, counts_as, verdict};
use crate::answers::faults::{self, Function, Judged, Returned, judge};
use crate::answers::pending::Pending;
use crate::event::EventLog;
use crate::lpm::calls::AdmitCall;
use crate::lpm::instance::Instance;
use crate::message::{OwnedReceived, ReceivedMessage};
use crate::requests::asked::{Asked, Question};
use crate::requests::results;
use crate::roster::Roster;
use crate::seat::seated::{Route, Seat, Slot};
use crate::serving::Serving;
use crate::verdict::{FlowVerdict, PerFlow, Verdict};

/// How far the LPMs got.
pub(crate) enum Progress {
    /// All of them answered.
    Answered(Verdict),
    /// Some have put off their answers.
    Open(Arc<Pending<Decisions>>),
}

/// A message on its way through the LPMs.
pub(crate) struct Asking<'a> {
    received: &'a ReceivedMessage<'a>,
    roster: &'a Roster,
    serving: &'a Serving,
    flow_count: usize,
    /// The place of the LPM that is asked now.
    now: Cell<u32>,
    /// Whether one was stopped before it could be asked.
    closed: Cell<bool>,
    immediate_refresh: Cell<bool>,
    /// Why the first LPM that gave no answer did not.
    failure: Cell<LpmStatus>,
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
        roster: &'a Roster,
        serving: &'a Serving,
    ) -> Self {
        Self {
            received,
            roster,
            serving,
            flow_count: flow_count(&received.message),
            now: Cell::new(0),
            closed: Cell::new(false),
            immediate_refresh: Cell::new(false),
            failure: Cell::new(LpmStatus::OK),
            later: OnceCell::new(),
        }
    }

    /// Asks every LPM where the message is about one flow, as nearly all are: what is said then takes no
    /// more than registers. `None` where it is not, or where not all of them answered.
    #[inline]
    pub(crate) fn ask_about_one_flow(&self) -> Option<FlowVerdict> {
        if self.flow_count != 1 {
            return None;
        }
        let mut flow = [Aggregate::EMPTY];
        self.ask_about(&mut flow, &mut [AbiDecision::UNANSWERED])
            .then(|| flow[0].verdict())
    }

    /// The verdict on a message about one flow.
    #[inline]
    pub(crate) fn verdict_of_one(&self, flow: FlowVerdict) -> Verdict {
        Verdict::of_one(flow, self.immediate_refresh.get(), self.failure.get())
    }

    /// What [`ask_about_one_flow`](Self::ask_about_one_flow) could not do. `None` if an LPM was stopped
    /// meanwhile, so that not all of them could be asked.
    pub(crate) fn go_on(&self) -> Option<Progress> {
        if self.flow_count != 1 {
            let mut flows = PerFlow::from_elem(Aggregate::EMPTY, self.flow_count);
            let mut buffer = PerFlow::from_elem(AbiDecision::UNANSWERED, self.flow_count);
            if self.ask_about(&mut flows, &mut buffer) {
                let verdict = verdict(&flows, self.immediate_refresh.get(), self.failure.get());
                return Some(Progress::Answered(verdict));
            }
        }
        match self.later.get() {
            Some(later) if !self.closed.get() => Some(Progress::Open(Arc::clone(&later.pending))),
            _ => None,
        }
    }

    /// Asks every LPM, with a place in `flows` and in `buffer` for each flow; whether all of them answered.
    #[inline(always)]
    fn ask_about(&self, flows: &mut [Aggregate], buffer: &mut [AbiDecision]) -> bool {
        let call = AdmitCall::new(self.received, || self.issue());
        let request = call.request();
        let clock = &*self.serving.clock;
        let mut began = clock.now();
        for (order, seat) in (0..).zip(&self.roster.seats) {
            self.now.set(order);
            match seat.route() {
                Route::Inline => match &*seat.gate.enter() {
                    Slot::Running(lpm) => {
                        let answer = lpm.admit(&request, buffer);
                        let ended = clock.now();
                        if answer.is_plain() && call.issued().is_none() && ended == began {
                            self.add(seat, flows, buffer);
                        } else {
                            self.not_plain(seat, answer, call.issued(), began, flows, buffer);
                            call.renew();
                        }
                        began = ended;
                    }
                    Slot::Closed => self.closed.set(true),
                },
                Route::Worker => self.send_to_worker(seat),
                Route::Quarantine => {
                    seat.skip();
                    self.add_failure(seat, flows, LpmStatus::QUARANTINED);
                }
            }
        }
        let all_answered = !self.closed.get() && self.later.get().is_none();
        if !all_answered {
            self.leave_to_the_others(flows);
        }
        all_answered
    }

    /// Adds the answer of the LPM that is asked now, and takes it out of the buffer.
    #[inline]
    fn add(&self, seat: &Seat, flows: &mut [Aggregate], buffer: &mut [AbiDecision]) {
        for (flow, place) in flows.iter_mut().zip(buffer) {
            let answered = mem::replace(place, AbiDecision::UNANSWERED);
            if Decision::from_abi(answered).is_some() {
                flow.add_next(Aggregate::of(answered, seat.handle, self.now.get()));
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
            self.now.get(),
        ));
    }

    /// Adds that the LPM that is asked now gave no answer: its flows are rejected.
    #[cold]
    fn add_failure(&self, seat: &Seat, flows: &mut [Aggregate], why: LpmStatus) {
        if self.failure.get().is_ok() {
            self.failure.set(why);
        }
        for flow in flows {
            flow.add_next(Aggregate::of(FAILED, seat.handle, self.now.get()));
        }
    }

    /// Any other answer but decisions and nothing besides, without time having passed.
    #[cold]
    fn not_plain(
        &self,
        seat: &Seat,
        answer: AbiAnswer,
        issued: Option<u64>,
        began: u32,
        flows: &mut [Aggregate],
        buffer: &mut [AbiDecision],
    ) {
        let returned = Returned {
            answer,
            is_deferred: issued.is_some(),
            after: seat.limit_if_over(began, &self.serving.clock),
        };
        let judged = judge(Function::Admit, &seat.about, &returned, &**self.events());
        if judged == Judged::Here {
            self.add(seat, flows, buffer);
            if answer.flags() & AbiAnswer::FORCE_IMMEDIATE_REFRESH != 0 {
                self.immediate_refresh.set(true);
            }
            return;
        }
        buffer.fill(AbiDecision::UNANSWERED);
        match judged {
            Judged::Missing(why) => self.add_failure(seat, flows, why),
            Judged::Late => {
                if let Some(request) = issued {
                    seat.fail(request, LpmStatus::TIME_OUT);
                }
                self.add_failure(seat, flows, LpmStatus::TIME_OUT);
            }
            Judged::Here | Judged::Deferred => {}
        }
    }

    /// Leaves what the LPMs said to those that still owe an answer; to nobody if one could not be asked.
    #[cold]
    fn leave_to_the_others(&self, flows: &[Aggregate]) {
        let Some(Later { pending, .. }) = self.later.get() else {
            return;
        };
        // Where one could not be asked, what the others still say is of no use.
        pending.answer(|others| {
            if !self.closed.get() {
                others.merge(flows, self.immediate_refresh.get(), self.failure.get());
            }
        });
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
            question: Question::Admit(Arc::clone(pending)),
        };
        seat.issue(asked, self.serving.clock.now())
    }

    fn events(&self) -> &Arc<dyn EventLog> {
        &self.serving.events
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
        let copy = &self.later().copy;
        let copy = copy.get_or_init(|| Arc::new(OwnedReceived::from(self.received)));
        let (copy, flow_count) = (Arc::clone(copy), self.flow_count);
        let call = {
            let (seat, events) = (Arc::clone(seat), Arc::clone(self.events()));
            move |lpm: &Instance| {
                answer_on_worker(lpm, &seat, request, &copy.view(), flow_count, &*events);
            }
        };
        if !seat.ask_on_worker(Function::Admit, request, call, &**self.events()) {
            self.closed.set(true);
        }
    }
}

/// How many flow descriptors the message has that LPMs decide on.
#[inline]
fn flow_count(message: &Message<'_>) -> usize {
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

fn answer_on_worker(
    lpm: &Instance,
    seat: &Seat,
    request: u64,
    received: &ReceivedMessage<'_>,
    flow_count: usize,
    events: &dyn EventLog,
) {
    let call = AdmitCall::new(received, || request);
    let mut buffer = PerFlow::from_elem(AbiDecision::UNANSWERED, flow_count);
    let answer = lpm.admit(&call.request(), &mut buffer);
    let returned = Returned {
        answer,
        is_deferred: call.issued().is_some(),
        // Its request says so.
        after: None,
    };
    match judge(Function::Admit, &seat.about, &returned, events) {
        Judged::Deferred => {}
        Judged::Missing(why) => seat.fail(request, why),
        Judged::Here | Judged::Late => {
            let result = AbiResult {
                lpm: seat.handle.number(),
                request,
                status: LpmStatus::OK.0,
                flags: answer.flags(),
            };
            let taken = results::take_decisions(&result, &buffer);
            if taken == LpmStatus::TIME_OUT {
                forget_late(lpm, received);
            }
        }
    }
}

/// Lets an LPM forget what it accepted too late: it was told that the flows are rejected when it was not yet
/// asked, or while it was being asked by another thread.
#[cold]
fn forget_late(lpm: &Instance, received: &ReceivedMessage<'_>) {
    let has_state = matches!(
        received.message.message_type(),
        MessageType::Path | MessageType::Resv
    );
    if has_state {
        let _ = lpm.delete_state(&AbiDeleteState {
            reason: DeleteReason::AdmissionControlFailed as u32,
            flow: None.into(),
            interface: Some(received.interface.into()).into(),
            message: abi_message(received.message),
        });
    }
}
