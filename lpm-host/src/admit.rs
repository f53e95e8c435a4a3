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

/// Asks every LPM about the message and combines what they say, flow by flow.
pub(crate) fn decide(
    lpms: &[Instance],
    received: &ReceivedMessage<'_>,
    events: &dyn EventLog,
) -> Verdict {
    match received.message.message_type() {
        MessageType::Path | MessageType::Resv => {
            let verdict = ask(lpms, received, events);
            forget_refused(lpms, received, &verdict, events);
            verdict
        }
        MessageType::PathErr | MessageType::ResvErr => ask(lpms, received, events),
        MessageType::PathTear => {
            delete_state(lpms, received, DeleteReason::ReceivedPathTear, None, events);
            Verdict::undecided()
        }
        MessageType::ResvTear => {
            delete_state(lpms, received, DeleteReason::ReceivedResvTear, None, events);
            Verdict::undecided()
        }
        // Confirmations and the rest never reach an LPM.
        _ => Verdict::undecided(),
    }
}

fn ask(lpms: &[Instance], received: &ReceivedMessage<'_>, events: &dyn EventLog) -> Verdict {
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
    for lpm in lpms {
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
    }
    Verdict {
        flows: aggregates.into_iter().map(Aggregate::verdict).collect(),
        immediate_refresh,
    }
}

/// Lets every LPM drop what it kept for flows that are not admitted after all.
fn forget_refused(
    lpms: &[Instance],
    received: &ReceivedMessage<'_>,
    verdict: &Verdict,
    events: &dyn EventLog,
) {
    for (flow, of_flow) in received.message.flow_descriptors().zip(verdict.flows()) {
        if !matches!(of_flow.decision, Decision::Accept(_)) {
            let reason = DeleteReason::AdmissionControlFailed;
            delete_state(lpms, received, reason, Some(flow.index()), events);
        }
    }
}

fn delete_state(
    lpms: &[Instance],
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
    for lpm in lpms {
        let status = lpm.delete_state(&state);
        if !status.is_ok() {
            events.record(&call_failed(lpm, "delete_state", status));
        }
    }
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
