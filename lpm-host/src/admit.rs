//! Deciding on a message.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use lpm_api::abi::{AbiAdmit, AbiAnswer, AbiDecision, AbiDeleteState, AbiMessage};
use lpm_api::{Decision, DeleteReason, Interface, LpmStatus};
use lpm_rsvp::{Message, MessageType};
use smallvec::{SmallVec, smallvec};

use crate::aggregate::{Aggregate, LPM_FAILED};
use crate::library::Instance;
use crate::library::gate::Gate;
use crate::verdict::INLINE_FLOWS;
use crate::{Event, EventId, EventLog, Verdict};

/// A message as it was received.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedMessage<'a> {
    /// The message.
    pub message: Message<'a>,
    /// The interface it came in on.
    pub interface: Interface,
    /// When it was received.
    pub received: SystemTime,
    /// Whether it bore an INTEGRITY object (RFC 2747) that was verified.
    pub integrity_verified: bool,
}

/// An LPM's place, in configured order.
pub(crate) enum Slot {
    /// No LPM runs here: none was started, or an optional one failed.
    Vacant,
    /// It may be asked.
    Running(Instance),
    /// It was stopped, or is being stopped.
    Closed,
}

/// An LPM was stopped meanwhile, so that not all of them can be asked any more.
#[derive(Debug)]
pub(crate) struct Closed;

/// Asks every LPM about the message and combines what they say, flow by flow.
pub(crate) fn decide(
    slots: &[Gate<Slot>],
    received: &ReceivedMessage<'_>,
    events: &dyn EventLog,
) -> Result<Verdict, Closed> {
    match received.message.message_type() {
        MessageType::Path | MessageType::Resv => {
            let verdict = ask(slots, received, events)?;
            forget_refused(slots, received, &verdict, events);
            Ok(verdict)
        }
        MessageType::PathErr | MessageType::ResvErr => ask(slots, received, events),
        MessageType::PathTear => {
            let reason = DeleteReason::ReceivedPathTear;
            delete_state(slots, received, reason, None, events);
            Ok(Verdict::undecided())
        }
        MessageType::ResvTear => {
            let reason = DeleteReason::ReceivedResvTear;
            delete_state(slots, received, reason, None, events);
            Ok(Verdict::undecided())
        }
        // Confirmations and the rest never reach an LPM.
        _ => Ok(Verdict::undecided()),
    }
}

fn ask(
    slots: &[Gate<Slot>],
    received: &ReceivedMessage<'_>,
    events: &dyn EventLog,
) -> Result<Verdict, Closed> {
    let flow_count = received.message.flow_descriptors().count();
    let mut aggregates: SmallVec<[_; INLINE_FLOWS]> = smallvec![Aggregate::EMPTY; flow_count];
    let mut decisions: SmallVec<[_; INLINE_FLOWS]> = smallvec![AbiDecision::UNANSWERED; flow_count];
    let mut immediate_refresh = false;
    let mut request = AbiAdmit {
        request: 0,
        received: received.received.into(),
        interface: received.interface.into(),
        integrity_verified: received.integrity_verified,
        message: AbiMessage::from(received.message),
    };
    each_running(slots, |lpm| {
        request.request = next_request();
        decisions.fill(AbiDecision::UNANSWERED);
        let answer = lpm.admit(&request, &mut decisions);
        let status = LpmStatus(answer.status);
        if status.is_ok() {
            immediate_refresh |= answer.action_flags & AbiAnswer::FORCE_IMMEDIATE_REFRESH != 0;
        } else {
            events.record(&call_failed(lpm, "admit", status));
        }
        for (aggregate, answered) in aggregates.iter_mut().zip(&decisions) {
            let decision = if status.is_ok() {
                answered
                    .decision()
                    .unwrap_or_else(|| invalid(lpm, *answered, events))
            } else {
                Decision::Reject(LPM_FAILED)
            };
            aggregate.add(decision, lpm.handle);
        }
    })?;
    let flows = aggregates.into_iter().map(Aggregate::verdict).collect();
    Ok(Verdict {
        flows,
        immediate_refresh,
    })
}

/// Lets every LPM drop what it kept for flows that are not admitted after all.
fn forget_refused(
    slots: &[Gate<Slot>],
    received: &ReceivedMessage<'_>,
    verdict: &Verdict,
    events: &dyn EventLog,
) {
    for (flow, of_flow) in received.message.flow_descriptors().zip(verdict.flows()) {
        if !matches!(of_flow.decision, Decision::Accept(_)) {
            let reason = DeleteReason::AdmissionControlFailed;
            delete_state(slots, received, reason, Some(flow.index()), events);
        }
    }
}

fn delete_state(
    slots: &[Gate<Slot>],
    received: &ReceivedMessage<'_>,
    reason: DeleteReason,
    flow: Option<u16>,
    events: &dyn EventLog,
) {
    let state = AbiDeleteState {
        reason: reason as u32,
        flow: flow.into(),
        interface: Some(received.interface.into()).into(),
        message: received.message.into(),
    };
    // An LPM that was stopped has no state left, nor has one that is being stopped soon.
    let _ = each_running(slots, |lpm| {
        let status = lpm.delete_state(&state);
        if !status.is_ok() {
            events.record(&call_failed(lpm, "delete_state", status));
        }
    });
}

/// Calls into each LPM, in configured order. Each has a gate of its own, so that one from which a
/// call does not return keeps no other from being stopped.
fn each_running(slots: &[Gate<Slot>], mut call: impl FnMut(&Instance)) -> Result<(), Closed> {
    let mut result = Ok(());
    for slot in slots {
        match &*slot.enter() {
            Slot::Running(lpm) => call(lpm),
            Slot::Vacant => {}
            Slot::Closed => result = Err(Closed),
        }
    }
    result
}

#[cold]
fn call_failed(lpm: &Instance, function: &str, status: LpmStatus) -> Event {
    let consequence = match function {
        "admit" => ": its flows are rejected",
        _ => "",
    };
    about(
        lpm,
        EventId::LpmCallFailed,
        format!("{function} failed ({status}){consequence}"),
    )
    .status(status)
}

/// What a decision counts as that is none.
#[cold]
fn invalid(lpm: &Instance, answered: AbiDecision, events: &dyn EventLog) -> Decision {
    let AbiDecision {
        lpv,
        error_code,
        error_value,
    } = answered;
    let (decision, counts_as) = match lpv {
        Decision::LPV_REJECT => (Decision::Reject(LPM_FAILED), "a rejection"),
        _ => (Decision::DontCare, "don't care"),
    };
    let detail = format!(
        "invalid decision: LPV {lpv:#x}, error code {error_code}, value {error_value}; \
         it counts as {counts_as}"
    );
    events.record(
        &about(lpm, EventId::LpmInvalidDecision, detail).status(LpmStatus::INVALID_RESULTS),
    );
    decision
}

fn about(lpm: &Instance, id: EventId, detail: String) -> Event {
    Event::new(id, detail)
        .lpm(lpm.name.clone())
        .handle(lpm.handle)
        .library(lpm.module.path())
}

/// A request handle nobody had before. Threads draw numbers in blocks, so that they do not contend
/// for one counter.
fn next_request() -> u64 {
    const BLOCK: u64 = 1 << 20;
    static BLOCKS: AtomicU64 = AtomicU64::new(0);
    thread_local!(static LAST: Cell<u64> = const { Cell::new(0) });
    LAST.with(|last| {
        let mut number = last.get();
        if number % BLOCK == 0 {
            number = BLOCKS.fetch_add(1, Ordering::Relaxed) * BLOCK;
        }
        last.set(number + 1);
        number + 1
    })
}
