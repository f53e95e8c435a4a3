//! What a library says about itself once it is loaded, which happens in a child process.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lpm_host::error::{LoadError, LpmStartError, StartError};
use lpm_host::event::{Event, EventId, EventLog};
use lpm_host::{LpmConfig, LpmDescription, Pcm, UnloadOutcome};
use serde::{Deserialize, Serialize};

use super::super::lpm_text::LpmText;
use crate::child::Journal;

/// What the child finds out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Record {
    Lpm(Lpm),
    Incompatible(Incompatible),
    /// It cannot be loaded.
    NotLoaded(String),
    Initialized(Initialized),
    /// It does not start with this configuration.
    NotInitialized(String),
    Unloaded(Unloaded),
}

/// The package of an LPM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lpm {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) authors: Vec<String>,
    pub(super) api_version: u32,
    pub(super) lpm_api: String,
}

/// How a library's ABI differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Incompatible {
    pub(super) what: String,
    pub(super) expected: String,
    pub(super) found: String,
    pub(super) advice: String,
    pub(super) report: String,
}

/// What an LPM is once it is initialized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Initialized {
    pub(super) pe_type: u16,
    pub(super) pe_type_name: String,
    pub(super) extensions: Vec<String>,
}

/// What became of the library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unloaded {
    pub(super) outcome: String,
    pub(super) reasons: Vec<String>,
}

/// Loads the library and writes down what it is.
pub(super) fn look(config: &LpmText, limit: Duration, library: &Path, journal: &Journal) {
    // Whoever inspects a library has it loaded, and vouches for that.
    let library = lpm_host::trust_library!(unsafe library);
    let failures = Failures::default();
    match LpmDescription::of(&library, failures.clone()) {
        Ok(description) => {
            journal.write(&Record::Lpm(Lpm {
                name: description.name,
                version: description.version,
                authors: description.authors,
                api_version: description.api_version,
                lpm_api: description.lpm_api,
            }));
        }
        Err(error) => return journal.write(&not_loaded(&error)),
    }
    let lpm = LpmConfig::new("inspected", library)
        .initialize_limit(limit)
        .deinitialize_limit(limit);
    let pcm = Pcm::builder()
        .event_log(failures.clone())
        .lpm(config.configure(lpm))
        .build();
    let pcm = match pcm {
        Ok(pcm) => pcm,
        Err(error) => return journal.write(&Record::NotInitialized(error.to_string())),
    };
    match pcm.become_dsbm() {
        Ok(startup) => {
            let statistics = pcm.statistics().unwrap_or_default();
            let counts = statistics.iter().any(|lpm| lpm.counters.is_some());
            for lpm in startup.lpms {
                journal.write(&Record::Initialized(Initialized {
                    pe_type: lpm.pe_type.p_type(),
                    pe_type_name: lpm.pe_type.to_string(),
                    extensions: match counts {
                        true => vec!["Statistics".to_owned()],
                        false => Vec::new(),
                    },
                }));
            }
        }
        Err(error) => journal.write(&Record::NotInitialized(why(&error, &failures))),
    }
    // One that did not start was unloaded already, and the event log knows how that went.
    let outcomes = match pcm.demote() {
        Ok(teardown) => teardown
            .libraries
            .into_iter()
            .map(|library| library.outcome),
        Err(_) => return failures.write_outcome(journal),
    };
    for outcome in outcomes {
        journal.write(&Record::Unloaded(Unloaded::from(&outcome)));
    }
}

fn not_loaded(error: &LoadError) -> Record {
    let (what, expected, found, report) = match error {
        LoadError::IncompatibleApi { difference, .. } => (
            difference.what(),
            difference.expected().to_owned(),
            difference.found().to_owned(),
            difference.report(),
        ),
        LoadError::ForeignAbiStable {
            expected, found, ..
        } => ("ABI of abi_stable", expected.clone(), found.clone(), ""),
        LoadError::ApiVersion {
            expected, found, ..
        } => (
            "version of the LPM API",
            expected.to_string(),
            found.to_string(),
            "",
        ),
        LoadError::BrokenModule { reason, .. } => {
            let expected = "one that this host can use".to_owned();
            ("module", expected, reason.clone(), "")
        }
        error => return Record::NotLoaded(error.to_string()),
    };
    Record::Incompatible(Incompatible {
        what: what.to_owned(),
        expected,
        found,
        advice: error.advice().unwrap_or_default(),
        report: report.to_owned(),
    })
}

/// The LPM's own word, and its panic if it was one.
fn why(error: &StartError, failures: &Failures) -> String {
    let own = match error {
        StartError::Lpms { failures } => failures.first().map(|failure| &failure.error),
        _ => None,
    };
    let text = own.map_or_else(|| error.to_string(), LpmStartError::to_string);
    let panics = failures.of(EventId::LpmPanicked);
    match panics.first() {
        Some(panic) => format!("{text}: {}", panic.detail),
        None => text,
    }
}

impl From<&UnloadOutcome> for Unloaded {
    fn from(outcome: &UnloadOutcome) -> Self {
        let (outcome, reasons) = match outcome {
            UnloadOutcome::Unmapped => ("unmapped", Vec::new()),
            UnloadOutcome::Pinned { reasons } => {
                ("pinned", reasons.iter().map(ToString::to_string).collect())
            }
        };
        Self {
            outcome: outcome.to_owned(),
            reasons,
        }
    }
}

/// The events that tell why something went wrong.
#[derive(Clone, Default)]
struct Failures(Arc<Mutex<Vec<Event>>>);

impl Failures {
    fn of(&self, id: EventId) -> Vec<Event> {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events
            .iter()
            .filter(|event| event.id == id)
            .cloned()
            .collect()
    }

    fn write_outcome(&self, journal: &Journal) {
        for (id, outcome) in [
            (EventId::LibraryUnmapped, "unmapped"),
            (EventId::LibraryPinned, "pinned"),
        ] {
            if let Some(event) = self.of(id).last() {
                let reasons = match id {
                    EventId::LibraryPinned => vec![event.detail.clone()],
                    _ => Vec::new(),
                };
                journal.write(&Record::Unloaded(Unloaded {
                    outcome: outcome.to_owned(),
                    reasons,
                }));
            }
        }
    }
}

impl EventLog for Failures {
    fn record(&self, event: &Event) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event.clone());
    }
}
