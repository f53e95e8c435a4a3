//! What is wrong with an LPM's answer: one judgement for all ways to ask, and its events.
//!
//! An answer is judged here whether it is given on the caller's thread or on one of the LPM's own,
//! and whether it is about decisions or about objects. What is handed in later goes through
//! [`requests::results`](crate::requests::results), with the same events.

use std::time::Duration;

use lpm_abi::{AbiAnswer, AbiDecision};
use lpm_api::{Decision, LpmStatus};

use crate::event::{Event, EventId, EventLog};
use crate::initialized::InitializedLpm;

/// A call that asks an LPM, by lpmapi's name for it in Rust style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    /// lpmapi `LPM_AdmitRsvpMsg`.
    Admit,
    /// lpmapi `LPM_GetRsvpObjects`.
    RsvpObjects,
}

impl Function {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::RsvpObjects => "rsvp_objects",
        }
    }

    /// What follows where the LPM gives no answer.
    pub(crate) const fn without_answer(self) -> &'static str {
        match self {
            Self::Admit => "its flows are rejected",
            Self::RsvpObjects => "the message goes without objects of this LPM",
        }
    }
}

/// A call that tells an LPM something, by lpmapi's name for it in Rust style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// lpmapi `LPM_CommitResv`.
    CommitResv,
    /// lpmapi `LPM_DeleteState`.
    DeleteState,
    /// lpmapi `LPM_IpAddressTable`.
    IpAddressTable,
    /// To count: extension `Statistics`.
    Statistics,
    /// To say why: extension `lpm.reasons.1`.
    Explain,
}

impl Telling {
    const fn name(self) -> &'static str {
        match self {
            Self::CommitResv => "commit_resv",
            Self::DeleteState => "delete_state",
            Self::IpAddressTable => "ip_address_table",
            Self::Statistics => "statistics",
            Self::Explain => "explain",
        }
    }

    /// Whether an LPM that misses it knows something wrong afterwards.
    pub(crate) const fn is_news(self) -> bool {
        !matches!(self, Self::Statistics | Self::Explain)
    }

    /// That the call failed.
    #[cold]
    pub(crate) fn failed(self, lpm: &InitializedLpm, status: LpmStatus) -> Event {
        let name = self.name();
        let event = match self {
            Self::IpAddressTable => {
                let detail = format!("{name}: {status}; the LPM goes on without the table");
                lpm.about(EventId::LpmAddressTableRefused, detail)
            }
            _ => lpm.about(EventId::LpmCallFailed, format!("{name} failed ({status})")),
        };
        event.status(status)
    }

    /// That the call was not made.
    #[cold]
    pub(crate) fn not_made(self, lpm: &InitializedLpm, why: &str) -> Event {
        let detail = format!("{} failed ({why})", self.name());
        lpm.about(EventId::LpmCallFailed, detail)
    }
}

/// What an LPM's answer comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// It is there, in the buffer of the call.
    Here,
    /// It comes later.
    Deferred,
    /// There is none, for this reason.
    Missing(LpmStatus),
    /// There is none, since the call returned too late; nor is there one later.
    Late,
}

/// A call that returned.
pub(crate) struct Returned {
    pub(crate) answer: AbiAnswer,
    /// Whether the LPM took a handle for its answer.
    pub(crate) is_deferred: bool,
    /// The limit, if it returned after that.
    pub(crate) after: Option<Duration>,
}

/// Judges what a call returned, and records what is wrong with it.
pub(crate) fn judge(
    function: Function,
    lpm: &InitializedLpm,
    returned: &Returned,
    events: &dyn EventLog,
) -> Judged {
    if let Some(limit) = returned.after {
        events.record(&returned_late(lpm, function, limit));
        return Judged::Late;
    }
    let answer = returned.answer;
    let status = answer.status();
    if !status.is_ok() {
        events.record(&call_failed(lpm, function, status));
    }
    if returned.is_deferred {
        // Also where the call failed, since its token may have outlived it.
        return Judged::Deferred;
    }
    if !status.is_ok() {
        return Judged::Missing(status);
    }
    if answer.flags() & AbiAnswer::DEFERRED != 0 {
        events.record(&deferred_nothing(lpm, function));
        return Judged::Missing(LpmStatus::INVALID_RESULTS);
    }
    Judged::Here
}

/// That a call failed that asks the LPM.
#[cold]
pub(crate) fn call_failed(lpm: &InitializedLpm, function: Function, status: LpmStatus) -> Event {
    let (name, consequence) = (function.name(), function.without_answer());
    let detail = format!("{name} failed ({status}): {consequence}");
    lpm.about(EventId::LpmCallFailed, detail).status(status)
}

/// That so many deferred requests were not answered in time.
#[cold]
pub(crate) fn not_answered(lpm: &InitializedLpm, late: usize, limit: Duration) -> Event {
    let requests = match late {
        1 => "request was",
        _ => "requests were",
    };
    let detail =
        format!("{late} deferred {requests} not answered within {limit:?}: the flows are rejected");
    lpm.about(EventId::LpmTimedOut, detail)
        .status(LpmStatus::TIME_OUT)
}

/// That a call returned too late for its answer to count.
#[cold]
fn returned_late(lpm: &InitializedLpm, function: Function, limit: Duration) -> Event {
    let (name, consequence) = (function.name(), function.without_answer());
    let detail = format!("{name} did not return within {limit:?}: {consequence}");
    lpm.about(EventId::LpmTimedOut, detail)
        .status(LpmStatus::TIME_OUT)
}

/// That a call returned too late for its reason to be of use.
#[cold]
pub(crate) fn explained_late(lpm: &InitializedLpm, limit: Duration) -> Event {
    let detail = format!("explain did not return within {limit:?}: its reason is not shown");
    lpm.about(EventId::LpmTimedOut, detail)
        .status(LpmStatus::TIME_OUT)
}

/// That a decision is none.
#[cold]
pub(crate) fn invalid_decision(lpm: &InitializedLpm, found: AbiDecision) -> Event {
    let AbiDecision {
        lpv,
        error_code,
        error_value,
    } = found;
    let counts_as = match lpv {
        Decision::LPV_REJECT => "a rejection",
        _ => "don't care",
    };
    let detail = format!(
        "invalid decision: LPV {lpv:#x}, error code {error_code}, value {error_value}; \
         it counts as {counts_as}"
    );
    lpm.about(EventId::LpmInvalidDecision, detail)
        .status(LpmStatus::INVALID_RESULTS)
}

/// That a result is none.
#[cold]
pub(crate) fn invalid_result(lpm: &InitializedLpm, what: &str) -> Event {
    lpm.about(EventId::LpmResultRefused, format!("invalid result: {what}"))
        .status(LpmStatus::INVALID_RESULTS)
}

#[cold]
fn deferred_nothing(lpm: &InitializedLpm, function: Function) -> Event {
    let (name, consequence) = (function.name(), function.without_answer());
    let detail = format!(
        "{name} says that its answer comes later, but it did not ask for the right to answer later: {consequence}"
    );
    lpm.about(EventId::LpmResultRefused, detail)
        .status(LpmStatus::INVALID_RESULTS)
}
