//! What the PCM puts on record, as findings.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lpm_host::LpmStatus;
use lpm_host::event::{Event, EventId, EventLog};
use lpm_host::libunload::Hazard;

use super::finding::{Case, Finding, Kind};
use super::task::Record;
use crate::child::Journal;

/// How many findings of one kind are written down; more say nothing new.
const MOST_OF_A_KIND: usize = 5;

/// Writes findings down, from any thread.
#[derive(Clone)]
pub(super) struct Recorder(Arc<Inner>);

struct Inner {
    journal: Journal,
    /// Whether several configurations were given, so that each initialization has its own.
    has_configs: bool,
    is_fatal: AtomicBool,
    has_accepted: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    findings: Vec<Finding>,
    /// What the LPM is being asked about.
    message: Option<String>,
    /// Whether calls run on the thread that checks, which is lost when one does not return.
    is_inline: bool,
}

impl Recorder {
    pub(super) fn new(journal: &Journal, has_configs: bool) -> Self {
        Self(Arc::new(Inner {
            journal: journal.clone(),
            has_configs,
            is_fatal: AtomicBool::new(false),
            has_accepted: AtomicBool::new(false),
            state: Mutex::new(State {
                is_inline: true,
                ..State::default()
            }),
        }))
    }

    /// Whether something was found after which nothing more can be learned.
    pub(super) fn is_fatal(&self) -> bool {
        self.0.is_fatal.load(Ordering::Relaxed)
    }

    /// Writes down that the LPM has accepted a flow.
    pub(super) fn accepted(&self) {
        if !self.0.has_accepted.swap(true, Ordering::Relaxed) {
            self.0.journal.write(&Record::Accepted);
        }
    }

    /// Says what the LPM is being asked about from now on.
    pub(super) fn asks_about(&self, message: Option<String>) {
        self.with(|state| state.message = message);
    }

    /// Says that calls run on threads of the LPM's own from now on.
    pub(super) fn is_on_workers(&self) {
        self.with(|state| state.is_inline = false);
    }

    /// Writes a finding down, unless it was found before.
    pub(super) fn found(&self, mut finding: Finding) {
        let is_news = self.with(|state| {
            let alike = |other: &&Finding| other.kind == finding.kind;
            let known = state.findings.iter().filter(alike);
            let is_news = known.clone().count() < MOST_OF_A_KIND
                && known.clone().all(|other| !finding.is_like(other));
            if is_news {
                finding.message.clone_from(&state.message);
                state.findings.push(finding.clone());
            }
            is_news
        });
        if finding.is_fatal() {
            self.0.is_fatal.store(true, Ordering::Relaxed);
        }
        if is_news {
            self.0.journal.write(&Record::Finding(finding));
        }
    }

    /// Ends the process: the thread that checks does not come back.
    pub(super) fn give_up(&self) -> ! {
        self.0.journal.write(&Record::GaveUp);
        // Nothing of the library may run now, as it would on `exit`.
        std::process::abort()
    }

    fn with<R>(&self, use_it: impl FnOnce(&mut State) -> R) -> R {
        use_it(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl EventLog for Recorder {
    fn record(&self, event: &Event) {
        if self.is_consequence(event) {
            return;
        }
        if let Some(kind) = self.kind(event) {
            let mut what = event.detail.replace('\n', " ");
            if kind == Kind::HindersUnloading {
                let name = event.library.as_deref().and_then(Path::file_name);
                what.insert_str(
                    0,
                    &format!("{}: ", name.unwrap_or_default().to_string_lossy()),
                );
            }
            self.found(Finding::new(kind, what).in_case(case(event)));
        }
        if event.id == EventId::LpmQuarantined && self.with(|state| state.is_inline) {
            self.give_up();
        }
    }
}

impl Recorder {
    /// Whether the event is about a call that a panic ended which is known. A panic is not where
    /// the LPM has a panic hook of its own.
    fn is_consequence(&self, event: &Event) -> bool {
        let is_panic = |finding: &Finding| finding.kind == Kind::Panics;
        event.id == EventId::LpmCallFailed
            && event.status == Some(LpmStatus::PANICKED)
            && self.with(|state| state.findings.iter().any(is_panic))
    }

    /// What the event says about the LPM, if anything.
    fn kind(&self, event: &Event) -> Option<Kind> {
        let status = event.status.unwrap_or(LpmStatus::OK);
        Some(match (event.id, status) {
            (EventId::LpmLoadFailed, _) => Kind::DoesNotLoad,
            // The panic itself has an event of its own.
            (EventId::LpmAddressTableRefused, LpmStatus::PANICKED) => return None,
            (
                EventId::LpmInitializeFailed
                | EventId::LpmAddressTableRefused
                | EventId::LpmDeinitializeFailed
                | EventId::LpmCallFailed,
                LpmStatus::DEADLINE,
            ) => Kind::Hangs,
            (EventId::LpmInitializeFailed, _) => Kind::DoesNotStart,
            (EventId::LpmAddressTableRefused, _) => Kind::RefusesAddresses,
            (EventId::LpmDeinitializeFailed, _) => Kind::FailsToStop,
            (EventId::LpmPeTypeShared, _) if self.0.has_configs => Kind::SharesPeType,
            (EventId::LibraryHindersUnloading, _) => Kind::HindersUnloading,
            (EventId::LpmPanicked, _) | (EventId::LpmCallFailed, LpmStatus::PANICKED) => {
                Kind::Panics
            }
            (EventId::LpmCallFailed, LpmStatus::FORGOTTEN) | (EventId::LpmTimedOut, _) => {
                Kind::NoAnswer
            }
            // What it did to be put there, or how its process ended, is found.
            (EventId::LpmCallFailed, LpmStatus::QUARANTINED | LpmStatus::ENDED) => return None,
            (EventId::LpmCallFailed, _) => Kind::CallFails,
            (EventId::LpmInvalidDecision, _) => Kind::InvalidDecision,
            (EventId::LpmResultRefused, _) => Kind::ResultRefused,
            (EventId::LpmQuarantined, _) => Kind::Hangs,
            (EventId::LpmOverstepped, _) => Kind::WritesBeyond,
            (EventId::LpmProcessEnded, _) if is_killed_for_time(event) => Kind::Hangs,
            (EventId::LpmProcessEnded, _) => Kind::EndsProcess,
            _ => return None,
        })
    }
}

/// Whether a call into an LPM in a process of its own did not return, so that this was killed.
fn is_killed_for_time(event: &Event) -> bool {
    event.detail.contains("did not return within")
}

/// How it came to what an event says.
fn case(event: &Event) -> Case {
    match (event.id, event.status) {
        (
            EventId::LpmInitializeFailed | EventId::LpmDeinitializeFailed,
            Some(LpmStatus::PANICKED),
        ) => Case::Panicked,
        (EventId::LpmCallFailed, Some(LpmStatus::FORGOTTEN)) => Case::Dropped,
        (EventId::LpmProcessEnded, _) => Case::OwnProcess,
        (EventId::LibraryHindersUnloading, _)
            if event.detail == Hazard::PanicAborts.to_string() =>
        {
            Case::PanicAborts
        }
        _ => Case::Usual,
    }
}
