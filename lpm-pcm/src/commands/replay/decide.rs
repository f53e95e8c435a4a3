//! One captured message: parse it, have it decided, report the decision.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lpm_api::{Decision, Interface, LpmHandle, LpmPolicyError};
use lpm_host::{FlowVerdict, Outcome, Pcm, PcmError, ReceivedMessage, Startup, Verdict};
use lpm_rsvp::{FlowDescriptor, Message, ObjectIndex};

use crate::capture::CapturedMessage;
use crate::output::{FlowRecord, Record, Reporter, rfc3339};

/// Decides messages and counts them.
pub(super) struct Decider<'a> {
    pcm: &'a Pcm,
    names: Names,
    reporter: &'a Reporter,
    index: ObjectIndex,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    messages: u64,
    accept: u64,
    reject: u64,
    drop: u64,
    malformed: u64,
}

impl<'a> Decider<'a> {
    pub(super) fn new(pcm: &'a Pcm, startup: &Startup, reporter: &'a Reporter) -> Decider<'a> {
        let lpms = startup.lpms.iter();
        Decider {
            pcm,
            names: Names(
                lpms.map(|lpm| (lpm.handle, Arc::clone(&lpm.name)))
                    .collect(),
            ),
            reporter,
            index: ObjectIndex::new(),
            counts: Counts::default(),
        }
    }

    /// Has a message decided, and reports the decision, or what is wrong with the message.
    pub(super) fn decide(&mut self, captured: &CapturedMessage) -> Result<(), PcmError> {
        self.counts.messages += 1;
        if captured.missing > 0 {
            self.malformed(captured.bytes.len(), cut_short(captured));
            return Ok(());
        }
        let message = match Message::parse(&captured.bytes, &mut self.index) {
            Ok(message) => message,
            Err(error) => {
                let object = error
                    .object
                    .map_or(String::new(), |object| format!("{object}: "));
                let what = format!("{object}{} ({})", error.kind, error.rule());
                self.malformed(error.offset.into(), what);
                return Ok(());
            }
        };
        let received = ReceivedMessage {
            message,
            interface: interface(captured),
            received: captured.time,
            integrity_verified: false,
        };
        let started = Instant::now();
        let verdict = self.pcm.admit(&received)?;
        let elapsed = started.elapsed();
        match verdict.outcome() {
            Outcome::Accept => self.counts.accept += 1,
            Outcome::Reject => self.counts.reject += 1,
            Outcome::Drop => self.counts.drop += 1,
            Outcome::DontCare => {}
        }
        self.reporter.report(&Record::Decision {
            number: self.counts.messages,
            time: rfc3339(captured.time),
            message: message.message_type().to_string(),
            session: message.session().map(|session| session.to_string()),
            flows: self.names.flows(&message, &verdict),
            outcome: verdict.outcome().name(),
            nanos: nanos(elapsed),
        });
        Ok(())
    }

    /// The last record of the run.
    pub(super) fn summary(&self) -> Record<'static> {
        let Counts {
            messages,
            accept,
            reject,
            drop,
            malformed,
        } = self.counts;
        Record::Summary {
            messages,
            accept,
            reject,
            drop,
            malformed,
        }
    }

    fn malformed(&mut self, offset: usize, error: String) {
        self.counts.malformed += 1;
        self.reporter.report(&Record::Malformed {
            number: self.counts.messages,
            offset: offset as u64,
            error,
        });
    }
}

/// The LPMs' names, for records.
struct Names(Vec<(LpmHandle, Arc<str>)>);

impl Names {
    fn flows(&self, message: &Message<'_>, verdict: &Verdict) -> Vec<FlowRecord<'_>> {
        let flows = message.flow_descriptors().zip(verdict.flows());
        flows
            .map(|(descriptor, verdict)| self.flow(&descriptor, verdict))
            .collect()
    }

    fn flow(&self, descriptor: &FlowDescriptor<'_>, verdict: &FlowVerdict) -> FlowRecord<'_> {
        let decision = verdict.decision;
        let filters: Vec<_> = descriptor
            .filters()
            .map(|filter| filter.to_string())
            .collect();
        FlowRecord {
            index: descriptor.index(),
            filter: (!filters.is_empty()).then(|| filters.join(", ")),
            lpv: decision.lpv(),
            outcome: verdict.outcome().name(),
            error_code: decision.error_code(),
            error_value: decision.error_value(),
            by: verdict.by.and_then(|handle| self.of(handle)),
            reason: reason(decision),
        }
    }

    fn of(&self, handle: LpmHandle) -> Option<&str> {
        let mut lpms = self.0.iter();
        let (_, name) = lpms.find(|(known, _)| *known == handle)?;
        Some(name)
    }
}

/// A duration in whole nanoseconds.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The words for a rejection by policy.
fn reason(decision: Decision) -> Option<String> {
    /// The error code for "policy control failure" (RFC 2205, appendix B).
    const POLICY: u16 = 2;
    (decision.error_code() == POLICY)
        .then(|| LpmPolicyError::from_value(decision.error_value()))
        .flatten()
        .map(|error| error.to_string())
}

fn cut_short(captured: &CapturedMessage) -> String {
    format!(
        "incomplete (packet {}): {} bytes were captured, its headers promise at least {} more; was \
         the snapshot length too small?",
        captured.packet,
        captured.bytes.len(),
        captured.missing
    )
}

fn interface(captured: &CapturedMessage) -> Interface {
    let unspecified: IpAddr = match captured.destination {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    Interface {
        index: captured.interface,
        address: captured.interface_address.unwrap_or(unspecified),
    }
}
