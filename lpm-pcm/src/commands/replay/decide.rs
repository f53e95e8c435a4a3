//! One captured message: parse it, hand it to the SBM, report what is decided.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use lpm_api::{Decision, Direction, Interface, LpmHandle, LpmPolicyError};
use lpm_host::{FlowVerdict, Outcome, Pcm, PcmError, ReceivedMessage, Startup};
use lpm_rsvp::{FilterSpec, FlowDescriptor, Message, MessageType, ObjectIndex};

use crate::capture::CapturedMessage;
use crate::output::{FlowRecord, Record, Reporter, rfc3339};
use crate::sbm::{
    Answer, FlowAnswer, PathState, Refusal, Removed, Resources, Sbm, SbmConfig, TimedPcm,
    TimedVerdict,
};

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

impl<'a> Decider<'a> {
    pub(super) fn new(
        pcm: &'a Pcm,
        config: &SbmConfig,
        startup: &Startup,
        reporter: &'a Reporter,
    ) -> Decider<'a> {
        let lpms = startup.lpms.iter();
        Decider {
            sbm: Sbm::new(TimedPcm(pcm), config),
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
            time: rfc3339(captured.time),
            message: type_name(message.message_type()),
            interface: captured.interface,
            session: message.session().map(short_text),
            flows,
            outcome: outcome.name(),
            nanos: nanos(answer.verdict.elapsed),
        });
        report_removed(self.reporter, &answer.after);
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
            time: rfc3339(removed.time),
            message: match removed.flow.direction() {
                Direction::Sends => "Path",
                Direction::Receives => "Resv",
            },
            interface: removed.interface.index,
            session: short_text(removed.flow.session()),
            filter: list(removed.senders.iter().copied()),
            reason: removed.reason.name(),
        });
    }
}

/// The LPMs' names, for records.
struct Names(Vec<(LpmHandle, Arc<str>)>);

impl Names {
    fn flows(&self, message: &Message<'_>, answer: &Answer<TimedVerdict>) -> Vec<FlowRecord<'_>> {
        let flows = message
            .flow_descriptors()
            .zip(answer.verdict.verdict.flows());
        flows
            .enumerate()
            .map(|(index, (descriptor, verdict))| {
                let sbm = answer.flows.get(index).cloned().unwrap_or_default();
                self.flow(&descriptor, verdict, &sbm)
            })
            .collect()
    }

    fn flow(
        &self,
        descriptor: &FlowDescriptor<'_>,
        verdict: &FlowVerdict,
        sbm: &FlowAnswer,
    ) -> FlowRecord<'_> {
        let decision = verdict.decision;
        let (outcome, refused_by) = match (verdict.outcome(), sbm.refusal) {
            (_, Some(_)) => (Outcome::Reject, Some("sbm")),
            (Outcome::Reject, None) => (Outcome::Reject, Some("policy")),
            (outcome, None) => (outcome, None),
        };
        FlowRecord {
            index: descriptor.index(),
            filter: list(descriptor.filters()),
            lpv: decision.lpv(),
            outcome: outcome.name(),
            error_code: sbm
                .refusal
                .map_or(decision.error_code(), Refusal::error_code),
            error_value: sbm
                .refusal
                .map_or(decision.error_value(), Refusal::error_value),
            by: verdict.by.and_then(|handle| self.of(handle)),
            refused_by,
            resources: sbm.resources.map(Resources::name),
            path: sbm.path.map(PathState::name),
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
        .find(|outcome| flows.iter().any(|flow| flow.outcome == outcome.name()))
        .unwrap_or(Outcome::DontCare)
}

/// The senders in one text; `None` for none.
fn list(mut senders: impl Iterator<Item = FilterSpec>) -> Option<String> {
    let mut text = short_text(senders.next()?);
    for sender in senders {
        let _ = write!(text, ", {sender}");
    }
    Some(text)
}

/// What is displayed, which is seldom longer than an IPv4 session or sender.
fn short_text(what: impl Display) -> String {
    let mut text = String::with_capacity("255.255.255.255:65535/udp".len());
    // A String takes everything.
    let _ = write!(text, "{what}");
    text
}

fn type_name(message_type: MessageType) -> Cow<'static, str> {
    match message_type {
        MessageType::Path => "Path".into(),
        MessageType::Resv => "Resv".into(),
        other => other.to_string().into(),
    }
}

/// The words for a rejection, or for what is missing.
fn reason(decision: Decision, sbm: &FlowAnswer) -> Option<String> {
    /// The error code for "policy control failure" (RFC 2205, appendix B).
    const POLICY: u16 = 2;
    let by_policy = || {
        (decision.error_code() == POLICY)
            .then(|| LpmPolicyError::from_value(decision.error_value()))
            .flatten()
            .map(|error| error.to_string())
    };
    let missing = match sbm.path {
        Some(PathState::NoPath) => Some(Refusal::NoPath),
        Some(PathState::NoSender) => Some(Refusal::NoSender),
        Some(PathState::Known) | None => None,
    };
    let by_sbm = sbm.refusal.or(missing).map(|refusal| refusal.to_string());
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
