//! What the cross-crate tests share: fixtures, a PCM around them, messages, recorded events.
#![forbid(unsafe_code)]

pub mod callers;
pub mod capture;
#[cfg(target_os = "linux")]
pub mod compat;
pub mod handing_over;
#[cfg(any(target_os = "linux", windows))]
pub mod in_c;
pub mod messages;
pub mod platform;
pub mod process;
#[cfg(any(target_os = "linux", windows))]
pub mod strangers;
#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
pub mod stress;
#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
pub mod unloading;
pub mod watched;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lpm_fixtures::file_name;
use lpm_host::event::{Event, EventId, EventLog};
use lpm_host::{Isolation, LpmConfig, LpmLibrary, PinReason, libunload, trust_library};

/// The shared library of the identity LPM, which this package depends on.
///
/// # Panics
///
/// When the test runs elsewhere than from Cargo's `deps` folder.
#[must_use]
pub fn identity_library() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    test.with_file_name(file_name("lpm-identity"))
}

/// The shared library of a fixture, trusted.
#[must_use]
pub fn library(fixture: &str) -> LpmLibrary {
    trusted(lpm_fixtures::library(fixture))
}

/// The library at a path that the test chose.
#[must_use]
pub fn trusted(path: impl AsRef<Path>) -> LpmLibrary {
    // SAFETY: the fixtures are this project's own.
    trust_library!(unsafe path.as_ref())
}

/// The LPM of a fixture, under its name.
#[must_use]
pub fn fixture(name: &str) -> LpmConfig {
    LpmConfig::new(name, library(name))
}

/// The same LPM from a copy of its library under another name, so that it can be told from those
/// that other tests in the process load.
///
/// # Panics
///
/// When the copy cannot be made.
#[must_use]
pub fn fixture_copied(name: &str, copy: &Path) -> LpmConfig {
    std::fs::copy(fixture(name).source().path().expect("a library"), copy).expect("a copy");
    LpmConfig::new(name, trusted(copy))
}

/// The same LPM from a copy without debugging information, most of a library's size, so that it
/// loads in a fraction of the time.
///
/// # Panics
///
/// When the copy cannot be made.
#[must_use]
pub fn fixture_stripped(name: &str, directory: &Path) -> LpmConfig {
    let copy = directory.join(file_name(name));
    // Where it is not that of this machine, as tools for building say it.
    let strip = std::env::var_os("STRIP").unwrap_or_else(|| "strip".into());
    let status = std::process::Command::new(strip)
        .arg("--strip-debug")
        .arg("-o")
        .arg(&copy)
        .arg(fixture(name).source().path().expect("a library"))
        .status();
    assert!(
        status
            .expect("`strip` is there, as the linker is")
            .success()
    );
    LpmConfig::new(name, trusted(copy))
}

/// The names of the threads of a library that are said to run, sorted.
///
/// # Panics
///
/// When there is another reason.
#[must_use]
pub fn running(reasons: Vec<PinReason>) -> Vec<String> {
    let mut names: Vec<_> = reasons
        .into_iter()
        .map(|reason| match reason {
            PinReason::Library(libunload::PinReason::ThreadRunning(thread)) => {
                assert_ne!(thread.id, 0);
                thread.name
            }
            other => panic!("{other}"),
        })
        .collect();
    names.sort();
    names
}

/// Whether the LPMs that tests watch run in processes of their own: in the program that has the
/// tests for that.
///
/// # Panics
///
/// When the test's program cannot be found.
#[must_use]
pub fn in_process() -> bool {
    let test = std::env::current_exe().expect("the test's own path");
    let name = test.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("misbehaviour_in_process")
}

/// The LPM where LPMs of this program run: see [`in_process`].
#[must_use]
pub fn here(lpm: LpmConfig) -> LpmConfig {
    match in_process() {
        true => lpm.isolation(Isolation::Process),
        false => lpm,
    }
}

/// The program that runs LPMs in processes of their own for the tests, which Cargo builds beside
/// them.
///
/// # Panics
///
/// When the test runs elsewhere than from Cargo's `deps` folder.
#[must_use]
pub fn runner() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.ancestors().nth(2).expect("the folder of the profile");
    folder.join(format!("lpm-runner{}", std::env::consts::EXE_SUFFIX))
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

/// Waits until it is so.
///
/// # Panics
///
/// When it is not for a long time.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(300);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(2));
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

/// How much memory of this process is resident.
///
/// # Panics
///
/// Where the system does not tell.
#[cfg(target_os = "linux")]
#[must_use]
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/smaps_rollup").expect("Linux tells sizes");
    let line = status.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    1024 * kilobytes.expect("the size in kB")
}

/// The code in the book, compiled and run page by page.
#[cfg(doctest)]
mod book {
    macro_rules! pages {
        ($($page:ident: $file:literal;)+) => {
            $(#[doc = include_str!(concat!("../../docs/src/", $file))] struct $page;)+
        };
    }

    pages! {
        Author: "author.md";
        Embedding: "embedding.md";
        Isolation: "isolation.md";
        Logging: "logging.md";
        Lpmapi: "lpmapi.md";
    }
}
