//! Messages on their way out: the POLICY_DATA that LPMs add, or their veto.

use std::cell::OnceCell;
use std::sync::Arc;

use abi_stable::std_types::RVec;
use lpm_abi::{AbiAnswer, AbiObjectsRequest, AbiResult, Defer};
use lpm_api::abi::abi_message;
use lpm_api::{Interface, LpmStatus};
use lpm_rsvp::Message;

use crate::answers::faults::{self, Function, Judged, Returned, judge};
use crate::answers::objects::{Objects, OutgoingVerdict};
use crate::answers::pending::Pending;
use crate::event::EventLog;
use crate::lpm::calls::Call;
use crate::lpm::instance::Instance;
use crate::message::{OutgoingMessage, OwnedMessage};
use crate::requests::asked::{Asked, Question};
use crate::requests::results;
use crate::roster::Roster;
use crate::seat::seated::{Route, Seat, Slot};
use crate::seat::worker::Worker;
use crate::serving::Serving;

/// Asks every LPM for objects, and waits for those that come later.
pub(crate) fn rsvp_objects(
    roster: &Roster,
    outgoing: &OutgoingMessage<'_>,
    serving: &Serving,
) -> PendingObjects {
    let asking = Asking {
        outgoing,
        serving,
        pending: OnceCell::new(),
    };
    let mut gathered = Objects::new(outgoing.max_policy_data_size);
    for (order, seat) in (0..).zip(&*roster.seats) {
        let mut seat = seat;
        // In place of one that was stopped the one is asked that takes over its state.
        while !asking.ask(seat, order, &mut gathered) {
            match seat.successor.get() {
                Some(successor) => seat = successor,
                None => break,
            }
        }
    }
    match asking.pending.into_inner() {
        None => PendingObjects::Here(gathered),
        Some(pending) => {
            pending.answer(|others| others.merge(gathered));
            PendingObjects::Open(pending)
        }
    }
}

/// Objects that may still be to come.
pub(crate) enum PendingObjects {
    Here(Objects),
    Open(Arc<Pending<Objects>>),
}

impl PendingObjects {
    /// What was supplied, if all of it is there after this time.
    #[cfg(feature = "testing")]
    pub(crate) fn within(self, limit: std::time::Duration) -> Result<Objects, Self> {
        match self {
            Self::Here(objects) => Ok(objects),
            Self::Open(pending) if pending.wait_for(limit) => Ok(pending.wait()),
            open @ Self::Open(_) => Err(open),
        }
    }

    pub(crate) fn wait(self) -> OutgoingVerdict {
        match self {
            Self::Here(objects) => objects.verdict(),
            Self::Open(pending) => pending.wait().verdict(),
        }
    }
}

struct Asking<'a> {
    outgoing: &'a OutgoingMessage<'a>,
    serving: &'a Serving,
    pending: OnceCell<Arc<Pending<Objects>>>,
}

impl Asking<'_> {
    /// Asks an LPM, unless it was stopped.
    fn ask(&self, seat: &Arc<Seat>, order: u32, gathered: &mut Objects) -> bool {
        match seat.route() {
            Route::Inline => match &*seat.gate.enter() {
                Slot::Running(lpm) => self.call(seat, order, lpm, gathered),
                Slot::Closed => return false,
            },
            Route::Worker if seat.successor.get().is_some() => return false,
            Route::Worker => self.send_to_worker(seat, order),
            Route::Quarantine => {
                seat.skip();
                gathered.add_late(seat.handle, order, LpmStatus::QUARANTINED);
            }
        }
        true
    }

    fn call(&self, seat: &Seat, order: u32, lpm: &Instance, gathered: &mut Objects) {
        let call = Call::new(|| self.issue(seat, order));
        let clock = &self.serving.clock;
        let began = clock.now();
        let mut objects = RVec::new();
        let request = abi_request(
            self.outgoing.message,
            self.outgoing.interface,
            self.outgoing.max_policy_data_size,
            call.defer(),
        );
        let answer = lpm.rsvp_objects(&request, &mut objects);
        let events = &*self.serving.events;
        let issued = seat.still_open(call.issued(), answer);
        let returned = Returned {
            answer,
            is_deferred: issued.is_some(),
            after: seat.limit_if_over(began, clock),
        };
        match judge(Function::RsvpObjects, &seat.about, &returned, events) {
            Judged::Deferred => {}
            Judged::Late => match issued {
                Some(request) => seat.fail(request, LpmStatus::TIME_OUT),
                None => gathered.add_late(seat.handle, order, LpmStatus::TIME_OUT),
            },
            Judged::Missing(why) => gathered.add_late(seat.handle, order, why),
            Judged::Here if answer.flags() & AbiAnswer::DROP_MESSAGE != 0 => {
                gathered.drop_message(seat.handle, order);
            }
            Judged::Here => {
                let added = gathered.add(seat.handle, order, seat.about.pe_type, &objects);
                if let Err(problem) = added {
                    events.record(&faults::invalid_result(&seat.about, &problem.to_string()));
                    gathered.refuse();
                }
            }
        }
    }

    fn issue(&self, seat: &Seat, order: u32) -> u64 {
        let room = self.outgoing.max_policy_data_size;
        let pending = self
            .pending
            .get_or_init(|| Arc::new(Pending::new(Objects::new(room))));
        pending.expect();
        let asked = Asked {
            order,
            question: Question::Objects(Arc::clone(pending)),
        };
        seat.issue(asked, self.serving.clock.now())
    }

    fn send_to_worker(&self, seat: &Arc<Seat>, order: u32) {
        let request = self.issue(seat, order);
        let message = OwnedMessage::from(self.outgoing.message);
        let (interface, room) = (self.outgoing.interface, self.outgoing.max_policy_data_size);
        let call = {
            let (seat, events) = (Arc::clone(seat), Arc::clone(&self.serving.events));
            move |lpm: &Instance| {
                let call = Call::new(|| request);
                let abi = abi_request(message.view(), interface, room, call.defer());
                answer_on_worker(
                    lpm,
                    &seat,
                    request,
                    &abi,
                    || call.issued().is_some(),
                    &*events,
                );
            }
        };
        let events = &*self.serving.events;
        // Where the LPM is stopped its request is over, too.
        let ask = |worker: &Worker| worker.ask(Box::new(call));
        seat.ask_on_worker(Function::RsvpObjects, request, ask, events);
    }
}

fn answer_on_worker(
    lpm: &Instance,
    seat: &Seat,
    request: u64,
    asked: &AbiObjectsRequest<'_>,
    is_deferred: impl FnOnce() -> bool,
    events: &dyn EventLog,
) {
    let mut objects = RVec::new();
    let answer = lpm.rsvp_objects(asked, &mut objects);
    let returned = Returned {
        answer,
        is_deferred: is_deferred() && seat.defers(answer),
        // Its request says so.
        after: None,
    };
    match judge(Function::RsvpObjects, &seat.about, &returned, events) {
        Judged::Deferred => {}
        Judged::Missing(why) => seat.fail(request, why),
        Judged::Here | Judged::Late => {
            let result = AbiResult {
                lpm: seat.handle.number(),
                request,
                status: LpmStatus::OK.0,
                flags: answer.flags(),
            };
            results::take_objects(&result, &objects);
        }
    }
}

fn abi_request<'c>(
    message: Message<'c>,
    interface: Interface,
    max_policy_data_size: u32,
    defer: Defer<'c>,
) -> AbiObjectsRequest<'c> {
    AbiObjectsRequest {
        interface: interface.into(),
        max_policy_data_size,
        message: abi_message(message),
        defer,
    }
}
