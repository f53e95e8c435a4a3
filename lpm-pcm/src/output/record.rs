//! The records: what happened, in the terms of `docs/src/json.md`.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::SystemTime;

use jiff::Timestamp;
use lpm_host::Event;
use serde::Serialize;
use serde_json::{Map, Value};

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
        time: String,
        /// Its type, such as `Path`.
        message: Cow<'static, str>,
        /// The number of the interface it came in on.
        interface: u32,
        /// Its session, such as `10.0.0.1:5004/udp`.
        session: Option<String>,
        /// The decision flow by flow; empty for messages that policy does not decide.
        flows: Vec<FlowRecord<'a>>,
        /// What becomes of the message: `accept`, `reject`, `drop` or `dont_care`.
        outcome: &'static str,
        /// How long the decision took, in nanoseconds.
        nanos: u64,
    },
    /// The SBM stand-in has removed the state of a flow.
    StateRemoved {
        /// When, by the clock of the captures: RFC 3339, UTC, microseconds.
        time: String,
        /// The type of the messages that made the state: `Path` or `Resv`.
        message: &'static str,
        /// The number of the interface they came in on.
        interface: u32,
        /// Their session.
        session: String,
        /// Their senders, several separated by `, `; `None` for any.
        filter: Option<String>,
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
    /// Its sender such as `10.0.0.7:4000`, several (SE style) separated by `, `; `None` for a
    /// wildcard (WF style).
    pub filter: Option<String>,
    /// The LPM priority value: 1 to 65280 accepted with this priority, 65533 drop the message,
    /// 65534 don't care, 65535 reject.
    pub lpv: u32,
    /// `accept`, `reject`, `drop` or `dont_care`.
    pub outcome: &'static str,
    /// The ERROR_SPEC's error code of a rejection (RFC 2205, appendix B), else 0.
    pub error_code: u16,
    /// The ERROR_SPEC's error value of a rejection, else 0.
    pub error_value: u16,
    /// The name of the LPM whose decision it is; `None` when no LPM had an opinion.
    pub by: Option<&'a str>,
    /// Who refuses: `policy`, or `sbm` what policy has accepted.
    pub refused_by: Option<&'static str>,
    /// What became of the resources that an accepted Resv asks for: `allocated`, `modified`,
    /// `unchanged`, `refused_in_place`, `refused`.
    pub resources: Option<&'static str>,
    /// Whether a Resv has the Path state that it answers: `known`, `no_path`, `no_sender`.
    pub path: Option<&'static str>,
    /// The error, or what else there is to say, in words, for people.
    #[serde(skip)]
    pub reason: Option<String>,
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

/// `time` as RFC 3339 has it, in UTC with microseconds. A time outside the years -9999 to 9999
/// becomes the nearest one inside.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let timestamp = Timestamp::try_from(time).unwrap_or(if since.is_err() {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    });
    match since {
        Ok(since) if timestamp < Timestamp::MAX => {
            let mut text = seconds(since.as_secs(), timestamp);
            push_microseconds(&mut text, since.subsec_micros());
            text
        }
        _ => format!("{timestamp:.6}"),
    }
}

/// A time up to the seconds. The last one is remembered: in a capture, many packets come within a second.
fn seconds(seconds: u64, timestamp: Timestamp) -> String {
    thread_local!(static LAST: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) });
    const LENGTH: usize = "2000-02-29T12:34:56.000789Z".len();

    LAST.with_borrow_mut(|(last, text)| {
        if *last != seconds || text.is_empty() {
            *last = seconds;
            text.clear();
            let _ = write!(text, "{timestamp:.0}");
            text.pop();
        }
        let mut copy = String::with_capacity(LENGTH);
        copy.push_str(text);
        copy
    })
}

fn push_microseconds(text: &mut String, microseconds: u32) {
    let digit = |power| char::from_digit(microseconds / power % 10, 10).unwrap_or('0');
    text.push('.');
    text.extend([100_000, 10_000, 1_000, 100, 10, 1].map(digit));
    text.push('Z');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_have_microseconds_and_never_fail() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(951_827_696, 789_999);
        assert_eq!(rfc3339(time), "2000-02-29T12:34:56.000789Z");
        assert_eq!(
            rfc3339(SystemTime::UNIX_EPOCH),
            "1970-01-01T00:00:00.000000Z"
        );
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert!(rfc3339(far).starts_with("9999-12-"));
        let before = SystemTime::UNIX_EPOCH - Duration::from_millis(1_500);
        assert_eq!(rfc3339(before), "1969-12-31T23:59:58.500000Z");
    }

    #[test]
    fn times_of_one_second_differ() {
        for micros in [0, 1, 999_999, 10, 500_000, 0] {
            for seconds in [1_772_438_400, 1_772_438_400, 1_772_438_401] {
                let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, micros * 1_000);
                let expected = format!("{:.6}", Timestamp::try_from(time).unwrap());
                assert_eq!(rfc3339(time), expected);
            }
        }
    }
}
