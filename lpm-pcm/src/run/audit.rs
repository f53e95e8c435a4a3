//! The audit of `pcm run`: who asked, for what, what was decided and why, in the places of
//! `[[events]]`.
//!
//! A decision of policy has the form that it has in `pcm replay` (the record `decision`); what
//! became of the flow afterwards is the line that `pcm run` prints (`ruling`). Where a place is
//! required, nothing is granted before its decision is written there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use lpm_api::{Decision, DeleteReason, Interface, LpmPolicyError};
use lpm_host::{FlowVerdict, Outcome, Pcm, ReceivedMessage, StateGone, Verdict};
use lpm_rsvp::{Message, class};
use lpm_sbm::Decided;
use nix::net::if_::if_indextoname;

use super::record;
use crate::events::{Events, Told};
use crate::integrity::Provenance;
use crate::output::asked::{Asked, Who};
use crate::output::flow::{FlowRecord, RefusedBy};
use crate::output::outcomes;
use crate::output::plain;
use crate::output::record::{Origin, Record};
use crate::secrets;

/// What is decided where the record of it cannot be written.
const NOT_ON_RECORD: Decision = Decision::reject(LpmPolicyError::NoResources);

/// Puts decisions on record.
pub struct Audit {
    events: Arc<Events>,
    /// How many messages were decided.
    number: AtomicU64,
}

impl Audit {
    /// Into these places.
    #[must_use]
    pub const fn new(events: Arc<Events>) -> Self {
        Self {
            events,
            number: AtomicU64::new(0),
        }
    }

    /// Puts on record what the LPMs decided on a message, and says what holds: nothing is granted
    /// that is not on record in all places that are required. Waits for those.
    pub fn decided(
        &self,
        pcm: &Pcm,
        received: &ReceivedMessage<'_>,
        verdict: &Verdict,
        took: Duration,
    ) -> Vec<Decision> {
        let flows = verdict.flows();
        self.put(pcm, received, flows, Some(verdict), took);
        let mut decisions: Vec<_> = flows.iter().map(|flow| flow.decision).collect();
        let is_accepted = |decision: &Decision| matches!(decision, Decision::Accept(_));
        if decisions.iter().any(is_accepted) && !self.events.are_kept() {
            for (flow, decision) in (0..).zip(&mut decisions) {
                if is_accepted(decision) {
                    *decision = NOT_ON_RECORD;
                    // LPMs that are stopped have nothing to forget.
                    let _ = pcm.delete_state(&StateGone {
                        reason: DeleteReason::AdmissionControlFailed,
                        message: received.message,
                        flow: Some(flow),
                        interface: Some(received.interface),
                    });
                }
            }
        }
        decisions
    }

    /// Puts on record that nobody could be asked about a message, so that its flows are refused.
    pub fn nobody(&self, pcm: &Pcm, received: &ReceivedMessage<'_>, decision: Decision) {
        let flow = FlowVerdict { decision, by: None };
        let flows = vec![flow; received.message.flow_descriptors().count()];
        self.put(pcm, received, &flows, None, Duration::ZERO);
    }

    /// Puts on record what became of a flow.
    pub fn ruled(&self, decided: &Decided, time: SystemTime) {
        self.events.keep(record::told(decided, time));
    }

    fn put(
        &self,
        pcm: &Pcm,
        received: &ReceivedMessage<'_>,
        flows: &[FlowVerdict],
        verdict: Option<&Verdict>,
        took: Duration,
    ) {
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        let ReceivedMessage {
            message, interface, ..
        } = received;
        let names: Vec<_> = flows
            .iter()
            .map(|flow| flow.by.and_then(|by| pcm.lpm_name(by)))
            .collect();
        let descriptors = message.flow_descriptors().zip(flows).zip(&names);
        let records: Vec<_> = descriptors
            .map(|((descriptor, ruled), name)| {
                let outcome = ruled.outcome();
                let is_refused = outcome == Outcome::Reject;
                let why = verdict.filter(|_| is_refused);
                let why =
                    why.and_then(|verdict| pcm.explain(received, verdict, descriptor.index()));
                FlowRecord {
                    index: descriptor.index(),
                    senders: descriptor.filters().collect(),
                    asked: Some(Asked::of(descriptor)),
                    lpv: ruled.decision.lpv(),
                    outcome,
                    error_code: ruled.decision.error_code(),
                    error_value: ruled.decision.error_value(),
                    by: name.as_deref(),
                    refused_by: is_refused.then_some(RefusedBy::Policy),
                    resources: None,
                    path: None,
                    reason: None,
                    why: why.map(|why| secrets::hide(&why).into_owned()),
                }
            })
            .collect();
        let origin = origin(message, interface, received.received, number);
        let text = text(message, &records);
        let record = Record::Decision {
            number,
            origin: &origin,
            message: message.message_type(),
            interface: interface.index,
            session: message.session(),
            integrity: match message.find(class::INTEGRITY) {
                None => Provenance::Unsigned,
                Some(_) if received.integrity_verified => Provenance::Verified,
                Some(_) => Provenance::NotVerified,
            },
            who: Who::of(*message),
            previous_hop: message.hop().map(|hop| hop.address),
            flows: &records,
            outcome: outcomes::of_message(&records),
            nanos: Some(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)),
        };
        self.events.keep(Told {
            name: "decision",
            text,
            json: plain::json(&record),
        });
    }
}

/// Where a message came from: there is no capture, so the interface stands in its place, and the
/// number of the message in that of the packet.
fn origin(message: &Message<'_>, interface: &Interface, time: SystemTime, number: u64) -> Origin {
    let name = if_indextoname(interface.index).ok();
    let name = name.and_then(|name| name.into_string().ok());
    Origin {
        capture: name.unwrap_or_else(|| interface.index.to_string()).into(),
        packet: number,
        time,
        source: message.hop().map_or(interface.address, |hop| hop.address),
        destination: interface.address,
    }
}

/// A decision in a line.
fn text(message: &Message<'_>, flows: &[FlowRecord<'_>]) -> String {
    let mut text = message.message_type().to_string();
    if let Some(session) = message.session() {
        text.push_str(&format!(" {session}"));
    }
    text.push_str(&format!(" asked by {}", Who::of(*message)));
    for flow in flows {
        let senders: Vec<_> = flow.senders.iter().map(ToString::to_string).collect();
        if !senders.is_empty() {
            text.push_str(&format!("; from {}", senders.join(", ")));
        }
        if let Some(rate) = flow.asked.and_then(|asked| asked.rate()) {
            let bits = lpm_sbm::bits_per_second(rate);
            text.push_str(&format!(", {bits} bit/s"));
        }
        text.push_str(&format!(": {}", flow.outcome));
        if let Some(by) = flow.by {
            text.push_str(&format!(" by {}", by));
        }
        match flow.refused_by {
            Some(_) => text.push_str(&format!(", error {}/{}", flow.error_code, flow.error_value)),
            None => text.push_str(&format!(", priority value {}", flow.lpv)),
        }
        if let Some(why) = &flow.why {
            text.push_str(&format!(": {}", why));
        }
    }
    text
}
