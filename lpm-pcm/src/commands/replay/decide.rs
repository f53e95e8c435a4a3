//! One captured message: parse it, check who sent it, hand it to the SBM, report what is decided.

use std::collections::BTreeMap;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use lpm_api::{Decision, Direction, Interface, LpmHandle, LpmPolicyError};
use lpm_host::{FlowVerdict, Outcome, PcmError, ReceivedMessage, Startup};
use lpm_rsvp::{
    CommonHeader, FlowDescriptor, LspTunnel, Message, MessageType, ObjectEntry, ObjectIndex,
    ObjectWalk, ParseError, class,
};
use lpm_sbm::{
    Answer, FlowAnswer, InterfaceName, PathState, Refusal, Removed, Sbm, StateId, TimedPcm,
    TimedVerdict,
};
use smallvec::SmallVec;

use crate::capture::{CaptureError, CapturedMessage, Contents, Incomplete};
use crate::config::Config;
use crate::integrity::{Forged, Guard, Provenance};
use crate::output::record::{
    FlowRecord, MessageRecord, Origin, PacketsRecord, Reason, Record, RefusedBy,
};
use crate::output::reporter::Reporter;

/// Decides messages and counts them.
pub(super) struct Decider<'a> {
    sbm: Sbm<TimedPcm<'a>>,
    guard: Guard,
    names: Names,
    reporter: &'a Reporter,
    index: ObjectIndex,
    counts: Counts,
    /// The capture that is being read, and the counts when it began.
    capture: Arc<str>,
    before: (u64, u64),
}

struct Counts {
    messages: u64,
    accept: u64,
    reject: u64,
    drop: u64,
    dont_care: u64,
    malformed: u64,
    unsupported: u64,
    refused: u64,
    outgoing: u64,
    bundles: u64,
    incomplete: u64,
    removed: u64,
    /// By message type.
    types: [u64; 256],
}

/// One for each flow of a message.
type FlowRecords<'a> = SmallVec<[FlowRecord<'a>; 1]>;

/// A message on its way: where it is from.
struct Coming<'a> {
    captured: &'a CapturedMessage,
    origin: &'a Origin,
    interface: Interface,
}

impl<'a> Decider<'a> {
    pub(super) fn new(
        pcm: TimedPcm<'a>,
        config: &Config,
        startup: &Startup,
        reporter: &'a Reporter,
    ) -> Self {
        let lpms = startup.lpms.iter();
        Decider {
            sbm: Sbm::new(pcm, &config.sbm),
            guard: Guard::new(config.keys.clone()),
            names: Names(
                lpms.map(|lpm| (lpm.handle, Arc::clone(&lpm.name)))
                    .collect(),
            ),
            reporter,
            index: ObjectIndex::new(),
            counts: Counts::default(),
            capture: "".into(),
            before: (0, 0),
        }
    }

    /// The capture with this name begins.
    pub(super) fn begin(&mut self, capture: &Arc<str>) {
        self.capture = Arc::clone(capture);
        self.before = (self.counts.messages, self.counts.incomplete);
    }

    /// The capture ends. Returns what to tell of messages that were not complete.
    pub(super) fn end(
        &mut self,
        contents: &Contents,
        fault: Option<&CaptureError>,
    ) -> Option<String> {
        let (messages, incomplete) = self.before;
        let packets = |list: &[(String, u64)]| {
            let list = list.iter();
            list.map(|(what, packets)| PacketsRecord {
                what: what.clone(),
                packets: *packets,
            })
            .collect()
        };
        self.reporter.report(&Record::Capture {
            capture: self.capture.as_ref().into(),
            packets: contents.packets,
            messages: self.counts.messages - messages,
            not_looked_into: packets(&contents.unread),
            other: packets(&contents.other),
            error: fault.map(|fault| fault.kind.to_string()),
        });
        let incomplete = self.counts.incomplete - incomplete;
        (incomplete > 0).then(|| {
            format!(
                "{}: {incomplete} fragmented RSVP message(s) not decided: fragments are missing",
                self.capture
            )
        })
    }

    /// Reports a message of which fragments are missing.
    pub(super) fn incomplete(&mut self, incomplete: &Incomplete) {
        self.counts.incomplete += 1;
        self.reporter.report(&Record::Incomplete {
            origin: &Origin {
                capture: Arc::clone(&self.capture),
                packet: incomplete.packet,
                time: incomplete.time,
                source: incomplete.source,
                destination: incomplete.destination,
            },
            fragments: incomplete.fragments,
            bytes: incomplete.bytes as u64,
        });
    }

    /// Has a message decided, and reports the decision, or what is wrong with the message.
    pub(super) fn decide(&mut self, captured: &CapturedMessage) -> Result<(), PcmError> {
        let origin = Origin {
            capture: Arc::clone(&self.capture),
            packet: captured.packet,
            time: captured.time,
            source: captured.source,
            destination: captured.destination,
        };
        let coming = Coming {
            captured,
            origin: &origin,
            interface: interface(captured),
        };
        let mut index = mem::take(&mut self.index);
        let decided = self.whole(&coming, &mut index);
        self.index = index;
        decided
    }

    /// What one datagram brought.
    fn whole(&mut self, coming: &Coming<'_>, index: &mut ObjectIndex) -> Result<(), PcmError> {
        let bytes = &coming.captured.bytes[..];
        if coming.captured.missing > 0 {
            self.count(bytes);
            self.malformed(coming, bytes, bytes.len(), cut_short(coming.captured));
            return Ok(());
        }
        let is_bundle = message_type(bytes) == Some(MessageType::Bundle);
        match Message::parse(bytes, index) {
            Ok(bundle) if is_bundle && bundle.bundled().next().is_some() => {
                self.counts.bundles += 1;
                self.bundle(coming, bundle)
            }
            Ok(message) => {
                self.count(bytes);
                self.message(coming, message)
            }
            Err(error) => {
                self.count(bytes);
                self.unreadable(coming, bytes, error);
                Ok(())
            }
        }
    }

    /// Each message in a Bundle is one of its own (RFC 2961 §3.4). A Bundle in it is none that may be
    /// there, and is not taken apart.
    fn bundle(&mut self, coming: &Coming<'_>, bundle: Message<'_>) -> Result<(), PcmError> {
        let mut index = ObjectIndex::new();
        for part in bundle.bundled() {
            match part.map(|bytes| (bytes, Message::parse(bytes, &mut index))) {
                Ok((bytes, Ok(message))) => {
                    self.count(bytes);
                    self.message(coming, message)?;
                }
                Ok((bytes, Err(error))) => {
                    self.count(bytes);
                    self.unreadable(coming, bytes, error);
                }
                Err(error) => {
                    let start = usize::from(error.offset);
                    let rest = bundle.bytes().get(start..).unwrap_or_default();
                    self.count(rest);
                    self.unreadable(coming, rest, error);
                }
            }
        }
        Ok(())
    }

    /// Checks who sent a message that can be read, and has it decided.
    fn message(&mut self, coming: &Coming<'_>, message: Message<'_>) -> Result<(), PcmError> {
        if coming.captured.outgoing {
            self.outgoing(coming, &message);
            return Ok(());
        }
        let Some(integrity) = self.checked(coming, &message) else {
            return Ok(());
        };
        self.reporter.about(Some(MessageRecord {
            number: self.counts.messages,
            origin: coming.origin.clone(),
            message: message.message_type(),
        }));
        let received = ReceivedMessage {
            message,
            interface: coming.interface,
            received: coming.captured.time,
            integrity_verified: integrity == Provenance::Verified,
        };
        let answer = self.sbm.receive(&received)?;
        self.report(coming, &message, integrity, &answer);
        if message.message_type() == MessageType::Srefresh {
            self.summary_refresh(coming, &message);
        }
        self.reporter.about(None);
        Ok(())
    }

    /// Reports what was decided.
    fn report(
        &mut self,
        coming: &Coming<'_>,
        message: &Message<'_>,
        integrity: Provenance,
        answer: &Answer<TimedVerdict>,
    ) {
        self.counts.removed += (answer.before.len() + answer.after.len()) as u64;
        report_removed(self.reporter, &answer.before);
        let flows = self.names.flows(message, answer);
        let outcome = outcome(&flows);
        match outcome {
            Outcome::Accept => self.counts.accept += 1,
            Outcome::Reject => self.counts.reject += 1,
            Outcome::Drop => self.counts.drop += 1,
            Outcome::DontCare => self.counts.dont_care += 1,
        }
        self.reporter.report(&Record::Decision {
            number: self.counts.messages,
            origin: coming.origin,
            message: message.message_type(),
            interface: coming.interface.index,
            session: message.session(),
            integrity,
            flows: &flows,
            outcome,
            nanos: nanos(answer.verdict.elapsed),
        });
        report_removed(self.reporter, &answer.after);
    }

    /// Renews the state that a Srefresh names.
    fn summary_refresh(&mut self, coming: &Coming<'_>, message: &Message<'_>) {
        let summary = self.sbm.summary_refresh(message, coming.captured.source);
        let texts = |ids: &[StateId]| {
            let ids = ids.iter();
            ids.map(|id| format!("{}/{}", id.epoch, id.identifier))
                .collect()
        };
        self.reporter.report(&Record::SummaryRefresh {
            number: self.counts.messages,
            origin: coming.origin,
            refreshed: texts(&summary.refreshed),
            unknown: texts(&summary.unknown),
        });
    }

    /// Says what is known of who sent a message. `None` if it is refused, which is reported.
    fn checked(&mut self, coming: &Coming<'_>, message: &Message<'_>) -> Option<Provenance> {
        if coming.captured.outgoing {
            // This node's own key need not be there.
            return Some(Provenance::of_unchecked(message));
        }
        let source = coming.captured.source;
        match self.guard.check(message, source, &coming.interface) {
            Ok(integrity) => Some(integrity),
            Err(forged) => {
                self.refused(coming, message, forged);
                None
            }
        }
    }

    fn refused(&mut self, coming: &Coming<'_>, message: &Message<'_>, forged: Forged) {
        self.counts.refused += 1;
        self.reporter.report(&Record::Refused {
            number: self.counts.messages,
            origin: coming.origin,
            message: message.message_type(),
            interface: coming.interface.index,
            session: message.session(),
            integrity: forged.name(),
            error: forged.to_string(),
        });
    }

    /// Reports a message that does not parse: as one that is not for a PCM, if that is all that is wrong
    /// with it (RFC 2205 §3.10).
    fn unreadable(&mut self, coming: &Coming<'_>, bytes: &[u8], error: ParseError) {
        let entries = error
            .error_code()
            .and_then(|code| Some((code, index_all(bytes)?)));
        let text = text(&error);
        let Some(((error_code, error_value), entries)) = entries else {
            self.malformed(coming, bytes, error.offset.into(), text);
            return;
        };
        let message = Message::from_index(bytes, &entries);
        let Some(integrity) = self.checked(coming, &message) else {
            return;
        };
        self.counts.unsupported += 1;
        let session = message.find(class::SESSION);
        self.reporter.report(&Record::Unsupported {
            number: self.counts.messages,
            origin: coming.origin,
            message: message.message_type(),
            interface: coming.interface.index,
            session: message.session(),
            tunnel: session.and_then(|session| session.read::<LspTunnel>().ok()),
            integrity,
            error_code,
            error_value,
            error: text,
        });
    }

    /// Reports a message that the capturing node itself sent: what it decided on, it decided before.
    fn outgoing(&mut self, coming: &Coming<'_>, message: &Message<'_>) {
        self.counts.outgoing += 1;
        self.reporter.report(&Record::Outgoing {
            number: self.counts.messages,
            origin: coming.origin,
            message: message.message_type(),
            interface: coming.interface.index,
            session: message.session(),
        });
    }

    fn malformed(&mut self, coming: &Coming<'_>, bytes: &[u8], offset: usize, error: String) {
        self.counts.malformed += 1;
        self.reporter.report(&Record::Malformed {
            number: self.counts.messages,
            origin: coming.origin,
            message: message_type(bytes),
            offset: offset as u64,
            error,
        });
    }

    fn count(&mut self, message: &[u8]) {
        self.counts.messages += 1;
        if let Some(message_type) = message_type(message) {
            self.counts.types[usize::from(message_type.number())] += 1;
        }
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
            dont_care,
            malformed,
            unsupported,
            refused,
            outgoing,
            bundles,
            incomplete,
            removed,
            types,
        } = &self.counts;
        let types = (0..=255).zip(types).filter(|(_, count)| **count > 0);
        Record::Summary {
            messages: *messages,
            accept: *accept,
            reject: *reject,
            drop: *drop,
            dont_care: *dont_care,
            malformed: *malformed,
            unsupported: *unsupported,
            refused: *refused,
            outgoing: *outgoing,
            bundles: *bundles,
            incomplete: *incomplete,
            types: types
                .map(|(number, count)| (MessageType::from(number).to_string(), *count))
                .collect::<BTreeMap<_, _>>(),
            removed: *removed,
            flows: self.sbm.flow_count() as u64,
        }
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            messages: 0,
            accept: 0,
            reject: 0,
            drop: 0,
            dont_care: 0,
            malformed: 0,
            unsupported: 0,
            refused: 0,
            outgoing: 0,
            bundles: 0,
            incomplete: 0,
            removed: 0,
            types: [0; 256],
        }
    }
}

/// The type that a message's header states.
fn message_type(message: &[u8]) -> Option<MessageType> {
    let header = CommonHeader::parse(message).ok()?;
    Some(header.message_type)
}

/// All objects of a message, if they fill it.
fn index_all(message: &[u8]) -> Option<Vec<ObjectEntry>> {
    let objects = message.get(CommonHeader::LENGTH..)?;
    let walk = ObjectWalk::new(objects, 8);
    walk.map(|object| {
        let object = object.ok()?;
        Some(ObjectEntry {
            offset: object.offset,
            length: u16::try_from(object.body.len() + 4).ok()?,
            class: object.class,
            c_type: object.c_type,
        })
    })
    .collect()
}

/// A fault in words, without the offset, which has a place of its own.
fn text(error: &ParseError) -> String {
    let object = error
        .object
        .map_or(String::new(), |object| format!("{object}: "));
    format!("{object}{} ({})", error.kind, error.rule())
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
