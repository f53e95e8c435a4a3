//! Messages on their way out: the POLICY_DATA that LPMs add, or their veto.

use std::cell::OnceCell;
use std::sync::Arc;

use abi_stable::std_types::RVec;
use lpm_api::abi::{AbiAnswer, AbiObjectsRequest, AbiResult, Defer, abi_message};
use lpm_api::{Interface, LpmHandle, LpmStatus, PeType};
use lpm_rsvp::{Message, ObjectWalk, PolicyData, class};

use crate::answers::pending::Pending;
use crate::clock::Clock;
use crate::lpm::{Call, Instance};
use crate::message::OwnedMessage;
use crate::requests::results;
use crate::requests::{Asked, Question};
use crate::roster::Roster;
use crate::seat::{Route, Seat, Slot};
use crate::{EventId, EventLog};

/// A Path, Resv, PathErr or ResvErr message that is to go out.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingMessage<'a> {
    /// The message without policy data.
    pub message: Message<'a>,
    /// The interface it goes out on.
    pub interface: Interface,
    /// How many bytes of POLICY_DATA objects, headers included, it has room for.
    pub max_policy_data_size: u32,
}

/// What the LPMs say about an outgoing message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutgoingVerdict {
    /// It goes out with these objects.
    Send(SuppliedObjects),
    /// It does not go out (lpmapi `LPV_DROP_MSG`).
    Drop {
        /// The first LPM, in configured order, that says so.
        by: LpmHandle,
    },
}

/// The POLICY_DATA objects for an outgoing message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SuppliedObjects {
    /// Whole objects in network byte order, one after the other, the LPMs in configured order.
    pub policy_data: Vec<u8>,
    /// LPMs that failed, or did not answer in time: the message goes out without their objects.
    pub late: Vec<LpmHandle>,
    /// LPMs whose objects do not fit beside those of LPMs before them.
    pub left_out: Vec<LpmHandle>,
}

/// What the LPMs that answered supplied.
#[derive(Default)]
pub(crate) struct Objects {
    room: usize,
    supplied: Vec<(u32, LpmHandle, Vec<u8>)>,
    dropped_by: Option<(u32, LpmHandle)>,
    late: Vec<(u32, LpmHandle)>,
}

/// Why objects are not taken from an LPM.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadObjects {
    #[error("{0}; expected well-formed POLICY_DATA objects")]
    Malformed(#[from] lpm_rsvp::ParseError),
    #[error(
        "an object of class {found}; expected POLICY_DATA, {}",
        class::POLICY_DATA
    )]
    Class { found: u8 },
    #[error("{found} bytes of objects; the message has room for {room}")]
    Size { found: usize, room: usize },
    #[error("options in a POLICY_DATA object; only LPMs that serve all types supply them")]
    Options,
    #[error("a policy element of P-Type {found}; the LPM serves {serves}")]
    PeType { found: u16, serves: PeType },
}

impl Objects {
    fn new(room: u32) -> Self {
        Self {
            room: room as usize,
            ..Self::default()
        }
    }

    /// Adds what an LPM supplies, if it is what that LPM may supply.
    pub(crate) fn add(
        &mut self,
        lpm: LpmHandle,
        order: u32,
        pe_type: PeType,
        policy_data: &[u8],
    ) -> Result<(), BadObjects> {
        self.check(pe_type, policy_data)?;
        self.add_checked(lpm, order, policy_data);
        Ok(())
    }

    /// Whether an LPM that serves this type may supply it.
    pub(crate) fn check(&self, pe_type: PeType, policy_data: &[u8]) -> Result<(), BadObjects> {
        check(policy_data, pe_type, self.room)
    }

    /// Adds what an LPM may supply.
    pub(crate) fn add_checked(&mut self, lpm: LpmHandle, order: u32, policy_data: &[u8]) {
        if !policy_data.is_empty() {
            self.supplied.push((order, lpm, policy_data.to_vec()));
        }
    }

    pub(crate) fn add_late(&mut self, lpm: LpmHandle, order: u32) {
        self.late.push((order, lpm));
    }

    pub(crate) fn drop_message(&mut self, lpm: LpmHandle, order: u32) {
        if self.dropped_by.is_none_or(|(other, _)| order < other) {
            self.dropped_by = Some((order, lpm));
        }
    }

    fn merge(&mut self, mut others: Self) {
        self.supplied.append(&mut others.supplied);
        self.late.append(&mut others.late);
        if let Some((order, lpm)) = others.dropped_by {
            self.drop_message(lpm, order);
        }
    }

    fn verdict(mut self) -> OutgoingVerdict {
        if let Some((_, by)) = self.dropped_by {
            return OutgoingVerdict::Drop { by };
        }
        self.supplied.sort_by_key(|(order, ..)| *order);
        self.late.sort_by_key(|(order, _)| *order);
        let mut objects = SuppliedObjects::default();
        for (_, lpm, supplied) in self.supplied {
            if objects.policy_data.len() + supplied.len() <= self.room {
                objects.policy_data.extend(supplied);
            } else {
                objects.left_out.push(lpm);
            }
        }
        objects.late = self.late.into_iter().map(|(_, lpm)| lpm).collect();
        OutgoingVerdict::Send(objects)
    }
}

/// Whether an LPM that serves this type may supply these objects for a message with so much room.
pub(crate) fn check(policy_data: &[u8], pe_type: PeType, room: usize) -> Result<(), BadObjects> {
    let found = policy_data.len();
    if found > room {
        return Err(BadObjects::Size { found, room });
    }
    for object in ObjectWalk::new(policy_data, 0) {
        let object = object?;
        if object.class != class::POLICY_DATA {
            return Err(BadObjects::Class {
                found: object.class,
            });
        }
        let data: PolicyData<'_> = object.read()?;
        for option in data.options() {
            option?;
            if pe_type != PeType::ALL {
                return Err(BadObjects::Options);
            }
        }
        for element in data.raw_elements() {
            let found = element?.p_type;
            if !pe_type.serves(found) {
                let serves = pe_type;
                return Err(BadObjects::PeType { found, serves });
            }
        }
    }
    Ok(())
}

/// Asks every LPM for objects, and waits for those that come later.
pub(crate) fn rsvp_objects(
    roster: &Roster,
    outgoing: &OutgoingMessage<'_>,
    clock: &Clock,
    events: &Arc<dyn EventLog>,
) -> PendingObjects {
    let asking = Asking {
        outgoing,
        clock,
        events,
        pending: OnceCell::new(),
    };
    let mut gathered = Objects::new(outgoing.max_policy_data_size);
    for (order, seat) in (0..).zip(&*roster.seats) {
        match seat.route() {
            Route::Inline => {
                if let Slot::Running(lpm) = &*seat.gate.enter() {
                    asking.call(seat, order, lpm, &mut gathered);
                }
            }
            Route::Worker => asking.send_to_worker(seat, order),
            Route::Quarantine => {
                seat.skip();
                gathered.add_late(seat.handle, order);
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
    pub(crate) fn wait(self) -> OutgoingVerdict {
        match self {
            Self::Here(objects) => objects.verdict(),
            Self::Open(pending) => pending.wait().verdict(),
        }
    }
}

struct Asking<'a> {
    outgoing: &'a OutgoingMessage<'a>,
    clock: &'a Clock,
    events: &'a Arc<dyn EventLog>,
    pending: OnceCell<Arc<Pending<Objects>>>,
}

impl Asking<'_> {
    fn call(&self, seat: &Seat, order: u32, lpm: &Instance, gathered: &mut Objects) {
        let call = Call::new(|| self.issue(seat, order));
        let mut objects = RVec::new();
        let request = abi_request(
            self.outgoing.message,
            self.outgoing.interface,
            self.outgoing.max_policy_data_size,
            call.defer(),
        );
        let answer = lpm.rsvp_objects(&request, &mut objects);
        let status = answer.status();
        if !status.is_ok() {
            self.events
                .record(&seat.call_failed("rsvp_objects", status));
        }
        if call.is_deferred() {
            return;
        }
        if !status.is_ok() || answer.flags() & AbiAnswer::DEFERRED != 0 {
            return gathered.add_late(seat.handle, order);
        }
        if answer.flags() & AbiAnswer::DROP_MESSAGE != 0 {
            return gathered.drop_message(seat.handle, order);
        }
        if let Err(problem) = gathered.add(seat.handle, order, seat.about.pe_type, &objects) {
            self.events.record(
                &seat
                    .about
                    .about(
                        EventId::LpmResultRefused,
                        format!("invalid result: {problem}"),
                    )
                    .status(LpmStatus::INVALID_RESULTS),
            );
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
        seat.issue(asked, self.clock.now())
    }

    fn send_to_worker(&self, seat: &Arc<Seat>, order: u32) {
        let request = self.issue(seat, order);
        let Some(worker) = &seat.worker else { return };
        let message = OwnedMessage::from(self.outgoing.message);
        let (interface, room) = (self.outgoing.interface, self.outgoing.max_policy_data_size);
        let job = {
            let (seat, events) = (Arc::clone(seat), Arc::clone(self.events));
            move |lpm: &Instance| {
                let call = Call::new(|| request);
                let mut objects = RVec::new();
                let abi = abi_request(message.view(), interface, room, call.defer());
                let answer = lpm.rsvp_objects(&abi, &mut objects);
                let status = answer.status();
                if !status.is_ok() {
                    events.record(&seat.call_failed("rsvp_objects", status));
                }
                if call.is_deferred() {
                    return;
                }
                if !status.is_ok() || answer.flags() & AbiAnswer::DEFERRED != 0 {
                    return seat.fail(request);
                }
                results::objects(
                    &AbiResult {
                        lpm: seat.handle.number(),
                        request,
                        status: LpmStatus::OK.0,
                        flags: answer.flags(),
                    },
                    &objects,
                );
            }
        };
        if worker.run(Box::new(job)).is_err() {
            seat.fail(request);
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
