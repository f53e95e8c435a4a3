//! What the cross-crate tests share: fixtures, a PCM around them, messages, recorded events.
#![forbid(unsafe_code)]

pub mod messages;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lpm_host::{Event, EventId, EventLog, LpmConfig, LpmLibrary, trust_library};

/// The shared library of a crate this package depends on, such as `lpm_sample`.
///
/// # Panics
///
/// When the test runs elsewhere than from Cargo's `deps` folder.
#[must_use]
pub fn library_path(crate_name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let deps = test.parent().expect("the test is in a folder");
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    deps.join(format!("{prefix}{crate_name}{suffix}"))
}

/// The shared library of a crate this package depends on, trusted.
#[must_use]
pub fn library(crate_name: &str) -> LpmLibrary {
    trusted(library_path(crate_name))
}

/// The library at a path that the test chose.
#[must_use]
pub fn trusted(path: impl AsRef<Path>) -> LpmLibrary {
    // SAFETY: the fixtures are this project's own.
    trust_library!(unsafe path.as_ref())
}

/// An LPM from `tests/fixtures`, named after its folder.
#[must_use]
pub fn fixture(name: &str) -> LpmConfig {
    LpmConfig::new(
        name,
        library(&format!("fixture_{}", name.replace('-', "_"))),
    )
}

/// The same LPM from a copy of its library under another name, so that it can be told from those that
/// other tests in the process load.
///
/// # Panics
///
/// When the copy cannot be made.
#[must_use]
pub fn fixture_copied(name: &str, copy: &Path) -> LpmConfig {
    std::fs::copy(fixture(name).library().path(), copy).expect("a copy");
    LpmConfig::new(name, trusted(copy))
}

/// An event log that remembers.
#[derive(Clone, Debug, Default)]
pub struct RecordedEvents(Arc<Mutex<Vec<Event>>>);

impl RecordedEvents {
    /// All events so far, in order.
    #[must_use]
    pub fn all(&self) -> Vec<Event> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The events of one kind.
    #[must_use]
    pub fn of(&self, id: EventId) -> Vec<Event> {
        self.all()
            .into_iter()
            .filter(|event| event.id == id)
            .collect()
    }
}

impl EventLog for RecordedEvents {
    fn record(&self, event: &Event) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event.clone());
    }
}

/// How often the process has a file of this name mapped.
///
/// # Panics
///
/// Where the system does not tell.
#[cfg(target_os = "linux")]
#[must_use]
pub fn mappings_of(file_name: &str) -> usize {
    let maps =
        std::fs::read_to_string("/proc/self/maps").expect("Linux lists a process's mappings");
    maps.lines().filter(|line| line.contains(file_name)).count()
}
