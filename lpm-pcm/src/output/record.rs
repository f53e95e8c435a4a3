//! The records: what happened, in the terms of `docs/src/json.md`.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::time::SystemTime;

use lpm_api::LpmPolicyError;
use lpm_host::{Event, Outcome};
use lpm_rsvp::{FilterSpec, MessageType, Session};
use lpm_sbm::{PathState, Refusal, Resources};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use smallvec::SmallVec;

use super::rfc3339;

/// Something that happened in a run. Its JSON form is a stable interface: fields are added, never
/// renamed or removed.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record<'a> {
    /// An LPM was initialized.
    LpmInitialized {
        /// Its configured name.
        lpm: &'a str,
        /// The number of this initialization, never used twice in a process.
        handle: u64,
        /// The P-Type of the policy elements it serves; 0 for all.
        pe_type: u16,
        /// Its library, as configured.
        library: Cow<'a, str>,
    },
    /// A message was decided.
    Decision {
        /// The message, counted from 1 over all captures of the run.
        number: u64,
        /// When it was captured: RFC 3339, UTC, microseconds.
        #[serde(serialize_with = "as_rfc3339")]
        time: SystemTime,
        /// Its type, such as `Path`.
        #[serde(serialize_with = "as_text")]
        message: MessageType,
        /// The number of the interface it came in on.
        interface: u32,
        /// Its session, such as `10.0.0.1:5004/udp`.
        #[serde(serialize_with = "as_text_if_any")]
        session: Option<Session>,
        /// The decision flow by flow; empty for messages that policy does not decide.
        flows: &'a [FlowRecord<'a>],
        /// What becomes of the message: `accept`, `reject`, `drop` or `dont_care`.
        #[serde(serialize_with = "as_name")]
        outcome: Outcome,
        /// How long the decision took, in nanoseconds.
        nanos: u64,
    },
    /// The SBM stand-in has removed the state of a flow.
    StateRemoved {
        /// When, by the clock of the captures: RFC 3339, UTC, microseconds.
        #[serde(serialize_with = "as_rfc3339")]
        time: SystemTime,
        /// The type of the messages that made the state: `Path` or `Resv`.
        #[serde(serialize_with = "as_text")]
        message: MessageType,
        /// The number of the interface they came in on.
        interface: u32,
        /// Their session.
        #[serde(serialize_with = "as_text")]
        session: Session,
        /// Their senders; none for any. In JSON a text, in which several are separated by `, `, or `null`.
        #[serde(rename = "filter", serialize_with = "as_list_if_any")]
        senders: &'a [FilterSpec],
        /// Why, such as `state_timeout`.
        reason: &'static str,
    },
    /// The PCM put an event on record.
    Event {
        /// Its name, such as `lpm_load_failed`.
        id: &'static str,
        /// `info`, `warning` or `error`.
        severity: &'static str,
        /// The LPM concerned.
        lpm: Option<&'a str>,
        /// The initialization concerned.
        handle: Option<u64>,
        /// The library concerned.
        library: Option<Cow<'a, str>>,
        /// The status that the LPM returned.
        status: Option<u32>,
        /// In words.
        detail: &'a str,
    },
    /// An LPM, or the PCM itself, logged something.
    Log {
        /// `error`, `warn`, `info`, `debug` or `trace`.
        level: &'static str,
        /// The LPM, or on a thread of its own its library's file; `None` for the PCM.
        lpm: Option<String>,
        /// Where in its code, such as a module's path.
        target: String,
        /// The names of the spans it happened in, the outermost first.
        spans: Vec<String>,
        /// In words.
        message: String,
        /// The other fields.
        fields: Map<String, Value>,
    },
    /// An LPM was deinitialized.
    LpmDeinitialized {
        /// Its configured name.
        lpm: &'a str,
        /// The number of the initialization that ended.
        handle: u64,
        /// `demotion`, `shutdown` or `reconfiguration`.
        reason: &'static str,
        /// What it returned; 0 when all went well.
        status: u32,
        /// How long it took, in nanoseconds.
        nanos: u64,
    },
    /// A library was unloaded, or kept.
    LibraryUnloaded {
        /// The library, as configured.
        library: Cow<'a, str>,
        /// `unmapped`: checked to be gone from the process; or `pinned`.
        outcome: &'static str,
        /// Why it is pinned; empty when it is unmapped.
        reasons: Vec<String>,
        /// How long it took, in nanoseconds.
        nanos: u64,
    },
    /// An RSVP message that cannot be read. It is not decided.
    Malformed {
        /// The message, counted like those decided.
        number: u64,
        /// Where the fault is, in bytes from the start of the RSVP message.
        offset: u64,
        /// What is wrong.
        error: String,
    },
    /// The last record of a run.
    Summary {
        /// All RSVP messages, the malformed ones included.
        messages: u64,
        /// How many were accepted.
        accept: u64,
        /// How many were rejected.
        reject: u64,
        /// How many were dropped.
        drop: u64,
        /// How many were malformed.
        malformed: u64,
        /// How many flows the SBM stand-in has removed besides those torn down.
        removed: u64,
        /// How many flows were left in the end.
        flows: u64,
    },
}

/// The decision on one flow descriptor of a message.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FlowRecord<'a> {
    /// Its position in the message, from 0.
    pub index: u16,
    /// Its senders: one, several (SE style), or none for a wildcard (WF style). In JSON a text such as
    /// `10.0.0.7:4000`, in which several are separated by `, `, or `null`.
    #[serde(rename = "filter", serialize_with = "as_list_if_any")]
    pub senders: SmallVec<[FilterSpec; 1]>,
    /// The LPM priority value: 1 to 65280 accepted with this priority, 65533 drop the message,
    /// 65534 don't care, 65535 reject.
    pub lpv: u32,
    /// `accept`, `reject`, `drop` or `dont_care`.
    #[serde(serialize_with = "as_name")]
    pub outcome: Outcome,
    /// The ERROR_SPEC's error code of a rejection (RFC 2205, appendix B), else 0.
    pub error_code: u16,
    /// The ERROR_SPEC's error value of a rejection, else 0.
    pub error_value: u16,
    /// The name of the LPM whose decision it is; `None` when no LPM had an opinion.
    pub by: Option<&'a str>,
    /// Who refuses: `policy`, or `sbm` what policy has accepted.
    pub refused_by: Option<RefusedBy>,
    /// What became of the resources that an accepted Resv asks for: `allocated`, `modified`,
    /// `unchanged`, `refused_in_place`, `refused`.
    pub resources: Option<Resources>,
    /// Whether a Resv has the Path state that it answers: `known`, `no_path`, `no_sender`.
    pub path: Option<PathState>,
    /// The error, or what else there is to say, in words, for people.
    #[serde(skip)]
    pub reason: Option<Reason>,
}

/// Who refuses a flow. Serialized in snake_case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusedBy {
    /// The LPMs.
    Policy,
    /// The SBM.
    Sbm,
}

/// Why a flow is refused, or what it lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// What the SBM says.
    Sbm(Refusal),
    /// What policy says.
    Policy(LpmPolicyError),
}

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Sbm(refusal) => refusal.fmt(f),
            Reason::Policy(error) => error.fmt(f),
        }
    }
}

impl<'a> Record<'a> {
    /// The record of an event.
    #[must_use]
    pub fn event(event: &'a Event) -> Record<'a> {
        Record::Event {
            id: event.id.name(),
            severity: event.severity.name(),
            lpm: event.lpm.as_deref(),
            handle: event.handle.map(|handle| handle.number()),
            library: event.library.as_deref().map(|path| path.to_string_lossy()),
            status: event.status.map(|status| status.0),
            detail: &event.detail,
        }
    }
}

fn as_rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*time))
}

fn as_name<S: Serializer>(outcome: &Outcome, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(outcome.name())
}

fn as_text<S: Serializer>(what: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(what)
}

fn as_text_if_any<S: Serializer>(
    what: &Option<impl Display>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match what {
        Some(what) => serializer.collect_str(what),
        None => serializer.serialize_none(),
    }
}

fn as_list_if_any<S: Serializer>(senders: &[FilterSpec], serializer: S) -> Result<S::Ok, S::Error> {
    match senders {
        [] => serializer.serialize_none(),
        senders => serializer.collect_str(&List(senders)),
    }
}

/// Senders in one text.
struct List<'a>(&'a [FilterSpec]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, sender) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            sender.fmt(f)?;
        }
        Ok(())
    }
}
