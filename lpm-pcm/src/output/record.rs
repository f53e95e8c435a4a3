//! The records: what happened, in the terms of `docs/src/json.md`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use lpm_host::Outcome;
use lpm_host::event::Event;
use lpm_rsvp::{FilterSpec, LspTunnel, MessageType, Session};
use serde::Serialize;
use serde_json::{Map, Value};

use super::asked::Who;
use super::flow::FlowRecord;
use super::texts::{as_address, as_list_if_any, as_name, as_rfc3339, as_text, as_text_if_any};
use crate::integrity::Provenance;

/// Where a message was found.
#[derive(Clone, Debug, Serialize)]
pub struct Origin {
    /// The capture, as named on the command line.
    #[serde(serialize_with = "as_text")]
    pub capture: Arc<str>,
    /// The packet in it that carried the message, or completed it, counted from 1 as Wireshark
    /// counts.
    pub packet: u64,
    /// When that packet was captured: RFC 3339, UTC, microseconds.
    #[serde(serialize_with = "as_rfc3339")]
    pub time: SystemTime,
    /// IP source address.
    #[serde(serialize_with = "as_address")]
    pub source: IpAddr,
    /// IP destination address.
    #[serde(serialize_with = "as_address")]
    pub destination: IpAddr,
}

impl Origin {
    /// Becomes what another one is: most are in the same capture.
    pub(super) fn become_like(&mut self, other: &Self) {
        if !Arc::ptr_eq(&self.capture, &other.capture) {
            self.capture = Arc::clone(&other.capture);
        }
        self.packet = other.packet;
        self.time = other.time;
        self.source = other.source;
        self.destination = other.destination;
    }
}

/// The message that is being decided.
#[derive(Clone, Debug, Serialize)]
pub struct MessageRecord {
    /// The message, counted from 1 over all captures of the run.
    pub number: u64,
    /// Where it was found.
    #[serde(flatten)]
    pub origin: Origin,
    /// Its type, such as `Path`.
    #[serde(serialize_with = "as_text")]
    pub message: MessageType,
}

/// Something of which a capture has so many packets.
#[derive(Clone, Debug, Serialize)]
pub struct PacketsRecord {
    /// In words.
    pub what: String,
    /// How many.
    pub packets: u64,
}

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
        /// Where it was found.
        #[serde(flatten)]
        origin: &'a Origin,
        /// Its type, such as `Path`.
        #[serde(serialize_with = "as_text")]
        message: MessageType,
        /// The number of the interface it came in on.
        interface: u32,
        /// Its session, such as `10.0.0.1:5004/udp`.
        #[serde(serialize_with = "as_text_if_any")]
        session: Option<Session>,
        /// What its INTEGRITY object says: `unsigned`, `not_verified` or `verified`.
        integrity: Provenance,
        /// Who asks, as the message says.
        #[serde(flatten)]
        who: Who<'a>,
        /// The address in its RSVP_HOP: the node that it comes from.
        #[serde(serialize_with = "as_text_if_any")]
        previous_hop: Option<IpAddr>,
        /// The decision flow by flow; empty for messages that policy does not decide.
        flows: &'a [FlowRecord<'a>],
        /// What becomes of the message: `accept`, `reject`, `drop` or `dont_care`.
        #[serde(serialize_with = "as_name")]
        outcome: Outcome,
        /// How long the decision took, in nanoseconds; no field where times are not wanted.
        #[serde(skip_serializing_if = "Option::is_none")]
        nanos: Option<u64>,
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
        /// Their senders; none for any. In JSON a text, in which several are separated by `, `, or
        /// `null`.
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
        /// Its name, such as `LPM_TIME_OUT`.
        status_name: Option<String>,
        /// In words.
        detail: &'a str,
        /// The message that was being decided; no field where there was none.
        #[serde(flatten)]
        message: Option<&'a MessageRecord>,
    },
    /// An LPM, or the PCM itself, logged something.
    Log {
        /// `error`, `warn`, `info`, `debug` or `trace`.
        level: &'static str,
        /// The LPM, or on a thread of a library's own all LPMs of that library; `None` for the PCM.
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
        /// The name of that, such as `LPM_OK`.
        status_name: String,
        /// How long it took, in nanoseconds; no field where times are not wanted.
        #[serde(skip_serializing_if = "Option::is_none")]
        nanos: Option<u64>,
    },
    /// A library was unloaded, or kept.
    LibraryUnloaded {
        /// The library, as configured.
        library: Cow<'a, str>,
        /// `unmapped`: checked to be gone from the process; or `pinned`.
        outcome: &'static str,
        /// Why it is pinned; empty when it is unmapped.
        reasons: Vec<String>,
        /// How long it took, in nanoseconds; no field where times are not wanted.
        #[serde(skip_serializing_if = "Option::is_none")]
        nanos: Option<u64>,
    },
    /// A Srefresh was taken in (RFC 2961 §5.3). It comes after the message's `decision`.
    SummaryRefresh {
        /// The message, counted like those decided.
        number: u64,
        /// Where it was found.
        #[serde(flatten)]
        origin: &'a Origin,
        /// The MESSAGE_IDs whose state it has renewed, each as `epoch/identifier`.
        refreshed: Vec<String>,
        /// Those without state, likewise: a node in operation answers each with a MESSAGE_ID_NACK.
        unknown: Vec<String>,
    },
    /// A well-formed RSVP message that is not for a PCM, such as one of traffic engineering. It is
    /// not decided.
    Unsupported {
        /// The message, counted like those decided.
        number: u64,
        /// Where it was found.
        #[serde(flatten)]
        origin: &'a Origin,
        /// Its type.
        #[serde(serialize_with = "as_text")]
        message: MessageType,
        /// The number of the interface it came in on.
        interface: u32,
        /// Its session, if it has one of RFC 2205 or 2207.
        #[serde(serialize_with = "as_text_if_any")]
        session: Option<Session>,
        /// The tunnel that its SESSION names (RFC 3209, RFC 4875).
        #[serde(serialize_with = "as_text_if_any")]
        tunnel: Option<LspTunnel>,
        /// What its INTEGRITY object says.
        integrity: Provenance,
        /// The error code that a node answers: 13 unknown object class, 14 unknown C-Type.
        error_code: u8,
        /// The error value: class · 256 + C-Type.
        error_value: u16,
        /// What is not known, in words.
        error: String,
    },
    /// An RSVP message that is not to be trusted: a node drops it without an answer (RFC 2747
    /// §4.2).
    Refused {
        /// The message, counted like those decided.
        number: u64,
        /// Where it was found.
        #[serde(flatten)]
        origin: &'a Origin,
        /// Its type.
        #[serde(serialize_with = "as_text")]
        message: MessageType,
        /// The number of the interface it came in on.
        interface: u32,
        /// Its session.
        #[serde(serialize_with = "as_text_if_any")]
        session: Option<Session>,
        /// `digest`, `key`, `replayed` or `unsigned`.
        integrity: &'static str,
        /// In words.
        error: String,
    },
    /// An RSVP message that the capturing node itself sent. It is not decided.
    Outgoing {
        /// The message, counted like those decided.
        number: u64,
        /// Where it was found.
        #[serde(flatten)]
        origin: &'a Origin,
        /// Its type.
        #[serde(serialize_with = "as_text")]
        message: MessageType,
        /// The number of the interface it went out on.
        interface: u32,
        /// Its session.
        #[serde(serialize_with = "as_text_if_any")]
        session: Option<Session>,
    },
    /// An RSVP message that cannot be read. It is not decided.
    Malformed {
        /// The message, counted like those decided.
        number: u64,
        /// Where it was found.
        #[serde(flatten)]
        origin: &'a Origin,
        /// Its type, if it has a header.
        #[serde(serialize_with = "as_text_if_any")]
        message: Option<MessageType>,
        /// Where the fault is, in bytes from the start of the RSVP message.
        offset: u64,
        /// What is wrong.
        error: String,
    },
    /// An RSVP message of which fragments are missing. It is not counted as a message.
    Incomplete {
        /// Where its first fragment was found.
        #[serde(flatten)]
        origin: &'a Origin,
        /// How many fragments there are.
        fragments: u64,
        /// How many bytes there are, of those behind the IP header.
        bytes: u64,
    },
    /// A capture was read to its end, or as far as it can be.
    Capture {
        /// The capture, as named on the command line.
        capture: Cow<'a, str>,
        /// How many packets it has.
        packets: u64,
        /// How many RSVP messages.
        messages: u64,
        /// What was not looked into, so that there may be RSVP messages in it.
        not_looked_into: Vec<PacketsRecord>,
        /// What other packets there are.
        other: Vec<PacketsRecord>,
        /// Why it cannot be read further.
        error: Option<String>,
    },
    /// How often flows were decided on, of a user, of an application, or for a reason.
    Tally {
        /// `user`, `application` or `reason`.
        by: &'static str,
        /// Who, or why.
        name: Cow<'a, str>,
        /// How many decisions accepted.
        accept: u64,
        /// How many rejected.
        reject: u64,
        /// How many dropped the message.
        drop: u64,
        /// How many were no matter of policy.
        dont_care: u64,
    },
    /// The last record of a run.
    Summary {
        /// All RSVP messages: the sum of the next eight.
        messages: u64,
        /// How many were accepted.
        accept: u64,
        /// How many were rejected.
        reject: u64,
        /// How many were dropped.
        drop: u64,
        /// How many policy does not decide.
        dont_care: u64,
        /// How many were malformed.
        malformed: u64,
        /// How many are not for a PCM.
        unsupported: u64,
        /// How many are not to be trusted.
        refused: u64,
        /// How many the capturing node itself sent.
        outgoing: u64,
        /// How many Bundles were taken apart, whose messages are counted instead.
        bundles: u64,
        /// How many messages are missing fragments, and are not counted.
        incomplete: u64,
        /// How many messages there were of each type; not those without a header.
        types: BTreeMap<String, u64>,
        /// How many flows the SBM stand-in has removed besides those torn down.
        removed: u64,
        /// How many flows were left in the end.
        flows: u64,
        /// How many of the messages a filter let through; `None` without one.
        shown: Option<u64>,
    },
}

impl<'a> Record<'a> {
    /// The record of an event that happened while this message was decided.
    #[must_use]
    pub fn event(event: &'a Event, message: Option<&'a MessageRecord>) -> Self {
        Record::Event {
            id: event.id.name(),
            severity: event.severity.name(),
            lpm: event.lpm.as_deref(),
            handle: event.handle.map(|handle| handle.number()),
            library: event.library.as_deref().map(|path| path.to_string_lossy()),
            status: event.status.map(|status| status.0),
            status_name: event.status.map(|status| status.to_string()),
            detail: &event.detail,
            message,
        }
    }
}
