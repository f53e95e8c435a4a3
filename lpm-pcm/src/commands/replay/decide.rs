//! One captured message: parse it, check who sent it, hand it to the SBM, report what is decided.

mod coming;
mod counts;
mod flows;
mod known;
mod undecided;

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use lpm_api::Direction;
use lpm_host::error::PcmError;
use lpm_host::{FlowVerdict, Outcome, Pcm, ReceivedMessage, Startup, Verdict};
use lpm_rsvp::{Message, MessageType, ObjectIndex, ParseError};
use lpm_sbm::{
    Again, Answer, InterfaceName, Receipt, Removed, Sbm, StateId, TimedPcm, TimedVerdict,
};

use self::coming::Coming;
use self::counts::Counts;
use self::flows::{Names, Reasons};
use self::known::{Decided, Hasher, Known, KnownMessages, KnownRow, is_refused};
use self::undecided::{cut_short, index_all, malformed, outgoing, refused, text, unsupported};
use crate::capture::{CaptureError, CapturedMessage, Contents, Incomplete};
use crate::config::Config;
use crate::integrity::{Guard, Provenance};
use crate::output::asked::Who;
use crate::output::outcomes::of_message;
use crate::output::printer::PrintedRow;
use crate::output::record::{Origin, PacketsRecord, Record};
use crate::output::reporter::Reporter;

/// Decides messages and counts them.
pub(super) struct Decider<'a> {
    pcm: &'a Pcm,
    wants: Wants,
    sbm: Sbm<TimedPcm<'a>>,
    guard: Guard,
    names: Names,
    hasher: Hasher,
    /// Messages about state that is kept, by the place of that.
    known: KnownMessages,
    /// Messages that were refused last, in turns.
    refused: KnownMessages,
    reporter: &'a Reporter,
    index: ObjectIndex,
    counts: Counts,
    /// The capture that is being read, and the counts when it began.
    capture: Arc<str>,
    before: (u64, u64),
}

/// What is wanted besides the decisions.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Wants {
    /// How long they take.
    pub(in crate::commands) times: bool,
    /// The reasons of the LPMs also where they accept.
    pub(in crate::commands) all_reasons: bool,
}

impl<'a> Decider<'a> {
    pub(super) fn new(
        pcm: &'a Pcm,
        wants: Wants,
        timed: TimedPcm<'a>,
        config: &Config,
        startup: &Startup,
        reporter: &'a Reporter,
    ) -> Self {
        Decider {
            pcm,
            wants,
            sbm: Sbm::new(timed, &config.sbm),
            guard: Guard::new(config.keys.clone()),
            names: Names::new(startup),
            hasher: Hasher::default(),
            known: KnownMessages::default(),
            refused: KnownMessages::default(),
            reporter,
            index: ObjectIndex::new(),
            counts: Counts::default(),
            capture: "".into(),
            before: (0, 0),
        }
    }

    /// How many messages there were so far.
    pub(super) fn messages(&self) -> u64 {
        self.counts.messages
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
        let coming = Coming::new(&self.capture, captured);
        let bytes = &captured.bytes[..];
        if captured.missing > 0 {
            self.counts.count(bytes);
            self.malformed(&coming, bytes, bytes.len(), cut_short(captured));
            return Ok(());
        }
        let is_bundle = |number: &u8| MessageType::from(*number) == MessageType::Bundle;
        if bytes.get(1).is_some_and(is_bundle) {
            let mut index = ObjectIndex::new();
            if let Ok(bundle) = Message::parse(bytes, &mut index) {
                if bundle.bundled().next().is_some() {
                    self.counts.bundles += 1;
                    return self.bundle(&coming, bundle);
                }
            }
        }
        self.one(&coming, bytes)
    }

    /// One message: it is read, unless it came before.
    fn one(&mut self, coming: &Coming<'_>, bytes: &[u8]) -> Result<(), PcmError> {
        self.counts.count(bytes);
        let hash = self.hasher.hash(coming, bytes);
        if let Some(hash) = hash {
            if let Some(mut known) = self.known.take(hash, coming, bytes) {
                let decided = self.again(coming, &mut known);
                self.known.give_back(known);
                return decided;
            }
            if let Some(mut known) = self.refused.take(hash, coming, bytes) {
                let decided = self.again(coming, &mut known);
                self.refused.give_back(known);
                return decided;
            }
        }
        let mut index = mem::take(&mut self.index);
        let decided = match Message::parse(bytes, &mut index) {
            Ok(message) => self.message(coming, message, hash),
            Err(error) => {
                self.unreadable(coming, bytes, &error);
                Ok(())
            }
        };
        self.index = index;
        decided
    }

    /// Has a message decided that came before.
    fn again(&mut self, coming: &Coming<'_>, known: &mut Known) -> Result<(), PcmError> {
        let message = known.message();
        self.about(coming, &message);
        let received = received(coming, message, known.integrity);
        let again = match &known.receipt {
            Some(receipt) => self.sbm.receive_again(&received, receipt),
            None => self.sbm.receive(&received).map(Again::Answered),
        };
        // Looked at where it is: it is large.
        if let Ok(Again::Refreshed { verdict, receipt }) = &again {
            if self.is_said_again(coming, known.row.as_deref(), &verdict.verdict, receipt) {
                self.counts.outcomes.count(Outcome::Accept);
                known.receipt = Some(*receipt);
                self.reporter.about_none();
                return Ok(());
            }
        }
        let answer = &again?.into_answer();
        let reasons = self.reasons(&received, answer);
        let is_alone = answer.before.is_empty() && answer.after.is_empty();
        let row = known.row.as_ref();
        let said = row.filter(|row| is_alone && row.decided.is_of(answer, &reasons));
        if said.is_some_and(|row| self.reporter.report_again(&coming.origin, &row.printed)) {
            self.counts.outcomes.count(answer.verdict.verdict.outcome());
        } else {
            let decided = Decided::of(answer, &reasons);
            let wants_row = decided.is_some();
            let integrity = known.integrity;
            let printed = self.report(coming, &received, integrity, answer, reasons, wants_row);
            let row = printed.zip(decided);
            known.row = row.map(|(printed, decided)| Box::new(KnownRow { printed, decided }));
        }
        known.receipt = answer.receipt;
        self.reporter.about_none();
        Ok(())
    }

    /// Whether the row of a message that is only a refresh was printed again, as nearly always.
    #[inline]
    fn is_said_again(
        &self,
        coming: &Coming<'_>,
        row: Option<&KnownRow>,
        verdict: &Verdict,
        receipt: &Receipt,
    ) -> bool {
        let (Some(row), [flow], false) = (row, verdict.flows(), self.wants.all_reasons) else {
            return false;
        };
        row.decided.is(flow, receipt.path(), None)
            && self.reporter.report_again(&coming.origin, &row.printed)
    }

    /// Each message in a Bundle is one of its own (RFC 2961 §3.4). A Bundle in it is none that may
    /// be there, and is not taken apart.
    fn bundle(&mut self, coming: &Coming<'_>, bundle: Message<'_>) -> Result<(), PcmError> {
        for part in bundle.bundled() {
            match part {
                Ok(bytes) => self.one(coming, bytes)?,
                Err(error) => {
                    let start = usize::from(error.offset);
                    let rest = bundle.bytes().get(start..).unwrap_or_default();
                    self.counts.count(rest);
                    self.unreadable(coming, rest, &error);
                }
            }
        }
        Ok(())
    }

    /// Checks who sent a message that can be read, and has it decided. With a hash it may come
    /// again.
    fn message(
        &mut self,
        coming: &Coming<'_>,
        message: Message<'_>,
        hash: Option<u64>,
    ) -> Result<(), PcmError> {
        if coming.captured.outgoing {
            self.counts.outgoing += 1;
            let number = self.counts.messages;
            self.reporter.report(&outgoing(number, coming, &message));
            return Ok(());
        }
        let Some(integrity) = self.checked(coming, &message) else {
            return Ok(());
        };
        self.about(coming, &message);
        let received = received(coming, message, integrity);
        let answer = self.sbm.receive(&received)?;
        let reasons = self.reasons(&received, &answer);
        self.report(coming, &received, integrity, &answer, reasons, false);
        let may_come_again = answer.receipt.is_some() || is_refused(&answer);
        // What is signed is not kept.
        let is_kept = may_come_again && integrity != Provenance::Verified;
        if let Some(hash) = hash.filter(|_| is_kept) {
            let known = Known::new(hash, coming, &message, integrity, answer.receipt);
            match answer.receipt {
                Some(receipt) => self.known.put(receipt.place(), known),
                None => self.refused.put_in_turn(known),
            }
        }
        if message.message_type() == MessageType::Srefresh {
            self.summary_refresh(coming, &message);
        }
        self.reporter.about_none();
        Ok(())
    }

    /// What happens from now on happens while this message is decided.
    fn about(&self, coming: &Coming<'_>, message: &Message<'_>) {
        let number = self.counts.messages;
        self.reporter
            .about(number, &coming.origin, message.message_type());
    }

    /// The reasons for what was decided, flow by flow, where they are wanted.
    #[inline]
    fn reasons(&self, received: &ReceivedMessage<'_>, answer: &Answer<TimedVerdict>) -> Reasons {
        let verdict = &answer.verdict.verdict;
        let is_accepted = |flow: &FlowVerdict| flow.outcome() != Outcome::Reject;
        if let ([flow], false) = (verdict.flows(), self.wants.all_reasons) {
            if is_accepted(flow) {
                // As nearly always.
                return Reasons::new();
            }
        }
        self.asked_reasons(received, verdict)
    }

    #[cold]
    fn asked_reasons(&self, received: &ReceivedMessage<'_>, verdict: &Verdict) -> Reasons {
        let reason = |(flow, decided): (u16, &FlowVerdict)| {
            let is_wanted = self.wants.all_reasons || decided.outcome() == Outcome::Reject;
            is_wanted.then(|| self.pcm.explain(received, verdict, flow))?
        };
        (0..).zip(verdict.flows()).map(reason).collect()
    }

    /// Reports what was decided; gives back the row of it, if that is wanted and there is one.
    fn report(
        &mut self,
        coming: &Coming<'_>,
        received: &ReceivedMessage<'_>,
        integrity: Provenance,
        answer: &Answer<TimedVerdict>,
        reasons: Reasons,
        wants_row: bool,
    ) -> Option<PrintedRow> {
        let message = &received.message;
        self.counts.removed += (answer.before.len() + answer.after.len()) as u64;
        report_removed(self.reporter, &answer.before);
        let flows = self.names.flows(message, answer, reasons);
        let outcome = of_message(&flows);
        self.counts.outcomes.count(outcome);
        let record = Record::Decision {
            number: self.counts.messages,
            origin: &coming.origin,
            message: message.message_type(),
            interface: coming.interface.index,
            session: message.session(),
            integrity,
            who: Who::of(*message),
            previous_hop: message.hop().map(|hop| hop.address),
            flows: &flows,
            outcome,
            nanos: self.wants.times.then(|| nanos(answer.verdict.elapsed)),
        };
        let row = if wants_row {
            self.reporter.report_row(&record)
        } else {
            self.reporter.report(&record);
            None
        };
        report_removed(self.reporter, &answer.after);
        row
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
            origin: &coming.origin,
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
                self.counts.refused += 1;
                let number = self.counts.messages;
                self.reporter
                    .report(&refused(number, coming, message, forged));
                None
            }
        }
    }

    /// Reports a message that does not parse: as one that is not for a PCM, if that is all that is
    /// wrong with it (RFC 2205 §3.10).
    fn unreadable(&mut self, coming: &Coming<'_>, bytes: &[u8], error: &ParseError) {
        let entries = error
            .error_code()
            .and_then(|code| Some((code, index_all(bytes)?)));
        let Some((code, entries)) = entries else {
            self.malformed(coming, bytes, error.offset.into(), text(error));
            return;
        };
        let message = Message::from_index(bytes, &entries);
        let Some(integrity) = self.checked(coming, &message) else {
            return;
        };
        self.counts.unsupported += 1;
        let number = self.counts.messages;
        let record = unsupported(number, coming, &message, integrity, code, error);
        self.reporter.report(&record);
    }

    fn malformed(&mut self, coming: &Coming<'_>, bytes: &[u8], offset: usize, error: String) {
        self.counts.malformed += 1;
        let number = self.counts.messages;
        self.reporter
            .report(&malformed(number, coming, bytes, offset, error));
    }

    /// The interfaces that the configuration names, and that no message came in on.
    pub(super) fn unused_interfaces(&self) -> &[InterfaceName] {
        self.sbm.unused_interfaces()
    }

    /// The last record of the run.
    pub(super) fn summary(&self) -> Record<'static> {
        self.counts.summary(self.sbm.flow_count())
    }
}

fn received<'a>(
    coming: &Coming<'_>,
    message: Message<'a>,
    integrity: Provenance,
) -> ReceivedMessage<'a> {
    ReceivedMessage {
        message,
        interface: coming.interface,
        received: coming.captured.time,
        integrity_verified: integrity == Provenance::Verified,
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

/// A duration in whole nanoseconds.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
