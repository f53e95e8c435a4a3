//! One captured message: parse it, hand it to the SBM, report what is decided.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use lpm_api::{Decision, Direction, Interface, LpmHandle, LpmPolicyError};
use lpm_host::{FlowVerdict, Outcome, PcmError, ReceivedMessage, Startup};
use lpm_rsvp::{FlowDescriptor, Message, MessageType, ObjectIndex};
use lpm_sbm::{
    Answer, FlowAnswer, InterfaceName, PathState, Refusal, Removed, Sbm, SbmConfig, TimedPcm,
    TimedVerdict,
};
use smallvec::SmallVec;

use crate::capture::CapturedMessage;
use crate::output::{FlowRecord, Reason, Record, RefusedBy, Reporter};

/// Decides messages and counts them.
pub(super) struct Decider<'a> {
    sbm: Sbm<TimedPcm<'a>>,
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
    removed: u64,
}

/// One for each flow of a message.
type FlowRecords<'a> = SmallVec<[FlowRecord<'a>; 1]>;

impl<'a> Decider<'a> {
    pub(super) fn new(
        pcm: TimedPcm<'a>,
        config: &SbmConfig,
        startup: &Startup,
        reporter: &'a Reporter,
    ) -> Decider<'a> {
        let lpms = startup.lpms.iter();
        Decider {
            sbm: Sbm::new(pcm, config),
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
        let answer = self.sbm.receive(&received)?;
        self.counts.removed += (answer.before.len() + answer.after.len()) as u64;
        report_removed(self.reporter, &answer.before);
        let flows = self.names.flows(&message, &answer);
        let outcome = outcome(&flows);
        match outcome {
            Outcome::Accept => self.counts.accept += 1,
            Outcome::Reject => self.counts.reject += 1,
            Outcome::Drop => self.counts.drop += 1,
            Outcome::DontCare => {}
        }
        self.reporter.report(&Record::Decision {
            number: self.counts.messages,
            time: captured.time,
            message: message.message_type(),
            interface: captured.interface,
            session: message.session(),
            flows: &flows,
            outcome,
            nanos: nanos(answer.verdict.elapsed),
        });
        report_removed(self.reporter, &answer.after);
        Ok(())
    }

    /// The interfaces that the configuration names, and that no message came in on.
    pub(super) fn unused_interfaces(&self) -> &[InterfaceName] {
        self.sbm.unused_interfaces()
    }

    /// The last record of the run.
    pub(super) fn summary(&self) -> Record<'static> {
        let Counts {
            messages,
            accept,
            reject,
            drop,
            malformed,
            removed,
        } = self.counts;
        Record::Summary {
            messages,
            accept,
            reject,
            drop,
            malformed,
            removed,
            flows: self.sbm.flow_count() as u64,
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

fn report_removed(reporter: &Reporter, removed: &[Removed]) {
    for removed in removed {
        reporter.report(&Record::StateRemoved {
            time: removed.time,
            message: match removed.flow.direction() {
                Direction::Sends => MessageType::Path,
                Direction::Receives => MessageType::Resv,
            },
            interface: removed.interface.index,
            session: removed.flow.session(),
            senders: &removed.senders,
            reason: removed.reason.name(),
        });
    }
}

/// The LPMs' names, for records.
struct Names(Vec<(LpmHandle, Arc<str>)>);

impl Names {
    fn flows(&self, message: &Message<'_>, answer: &Answer<TimedVerdict>) -> FlowRecords<'_> {
        let mut records = FlowRecords::new();
        let verdicts = answer.verdict.verdict.flows();
        for (index, (flow, verdict)) in message.flow_descriptors().zip(verdicts).enumerate() {
            let nothing = FlowAnswer::default();
            let sbm = answer.flows.get(index).unwrap_or(&nothing);
            records.push(self.flow(&flow, verdict, sbm));
        }
        records
    }

    fn flow(
        &self,
        descriptor: &FlowDescriptor<'_>,
        verdict: &FlowVerdict,
        sbm: &FlowAnswer,
    ) -> FlowRecord<'_> {
        let decision = verdict.decision;
        let (outcome, refused_by) = match (verdict.outcome(), sbm.refusal) {
            (_, Some(_)) => (Outcome::Reject, Some(RefusedBy::Sbm)),
            (Outcome::Reject, None) => (Outcome::Reject, Some(RefusedBy::Policy)),
            (outcome, None) => (outcome, None),
        };
        FlowRecord {
            index: descriptor.index(),
            senders: descriptor.filters().collect(),
            lpv: decision.lpv(),
            outcome,
            error_code: sbm
                .refusal
                .map_or(decision.error_code(), Refusal::error_code),
            error_value: sbm
                .refusal
                .map_or(decision.error_value(), Refusal::error_value),
            by: verdict.by.and_then(|handle| self.of(handle)),
            refused_by,
            resources: sbm.resources,
            path: sbm.path,
            reason: reason(decision, sbm),
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

/// What becomes of a message as a whole.
fn outcome(flows: &[FlowRecord<'_>]) -> Outcome {
    [Outcome::Drop, Outcome::Accept, Outcome::Reject]
        .into_iter()
        .find(|outcome| flows.iter().any(|flow| flow.outcome == *outcome))
        .unwrap_or(Outcome::DontCare)
}

/// Why a flow is rejected, or what is missing.
fn reason(decision: Decision, sbm: &FlowAnswer) -> Option<Reason> {
    /// The error code for "policy control failure" (RFC 2205, appendix B).
    const POLICY: u16 = 2;
    let missing = match sbm.path {
        Some(PathState::NoPath) => Some(Refusal::NoPath),
        Some(PathState::NoSender) => Some(Refusal::NoSender),
        Some(PathState::Known) | None => None,
    };
    let by_policy = || {
        let is_by_policy = decision.error_code() == POLICY;
        let error = is_by_policy.then(|| LpmPolicyError::from_value(decision.error_value()));
        error.flatten().map(Reason::Policy)
    };
    let by_sbm = sbm.refusal.or(missing).map(Reason::Sbm);
    by_sbm.or_else(by_policy)
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
