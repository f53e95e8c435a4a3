//! The hazards of unloading on Windows: what is unmapped, and which threads keep a library.
//!
//! Each test runs in a process of its own, loads the fixture of its name, has long-lived threads
//! ask it, unloads it, and ends the threads.
#![forbid(unsafe_code)]
#![cfg(windows)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use lpm_host::{LpmConfig, Pcm, UnloadOutcome};
use lpm_tests::callers::Callers;
use lpm_tests::messages::{admit, path};
use lpm_tests::process::in_own_process;
use lpm_tests::{fixture, trusted};

/// One life of an LPM: loaded from a copy in this folder, asked by all callers and by this thread,
/// unloaded.
fn live(name: &str, callers: &Callers, staging: &Path) -> UnloadOutcome {
    let pcm = Pcm::builder().lpm(fixture(name)).staging_dir(staging);
    let pcm = Arc::new(pcm.build().expect("builds"));
    pcm.become_dsbm().expect("starts");
    callers.ask(&pcm);
    admit(&pcm, &path(4000)).expect("in charge");
    let teardown = pcm.demote().expect("in charge");
    assert_eq!(teardown.libraries.len(), 1);
    teardown.libraries[0].outcome.clone()
}

/// How many private copies there are. Windows does not remove a file that is mapped, so one that is
/// gone was unmapped, whatever the loader says.
fn copies(staging: &Path) -> usize {
    fs::read_dir(staging).expect("the staging folder").count()
}

/// Loads and unloads the fixture several times; each time it has to be unmapped.
fn unmaps(name: &str) {
    let staging = tempfile::tempdir().expect("a folder");
    let callers = Callers::start(3);
    for _ in 0..3 {
        let outcome = live(name, &callers, staging.path());
        assert_eq!(outcome, UnloadOutcome::Unmapped);
        assert_eq!(copies(staging.path()), 0);
    }
    callers.end();
}

/// Loads and unloads the fixture, which has to stay; returns the names of the threads that keep it,
/// sorted. There must be no other reason.
fn threads_left(name: &str) -> Vec<String> {
    let staging = tempfile::tempdir().expect("a folder");
    let callers = Callers::start(3);
    let UnloadOutcome::Pinned { reasons } = live(name, &callers, staging.path()) else {
        panic!("the library was unmapped")
    };
    assert_eq!(copies(staging.path()), 1);
    callers.end();
    lpm_tests::running(reasons)
}

macro_rules! unmapped {
    ($($test:ident: $fixture:literal,)*) => {$(
        #[test]
        fn $test() {
            in_own_process(stringify!($test), || unmaps($fixture));
        }
    )*};
}

macro_rules! threads_run {
    ($($test:ident: $fixture:literal leaves $threads:expr,)*) => {$(
        #[test]
        fn $test() {
            in_own_process(stringify!($test), || assert_eq!(threads_left($fixture), $threads));
        }
    )*};
}

unmapped! {
    thread_local_lazy: "thread-local-lazy",
    thread_local_const: "thread-local-const",
    thread_current: "thread-current",
    channels: "channels",
    random_numbers: "random-numbers",
    parking_lot: "parking-lot",
    local_time: "local-time",
    threads_joined: "threads-joined",
    threads_scoped: "threads-scoped",
    thread_about_to_end: "thread-about-to-end",
    tokio_shut_down: "tokio-shut-down",
    rayon_pool_dropped: "rayon-pool-dropped",
    panics_in_admit: "panics-in-admit",
    panics_in_deinitialize: "panics-in-deinitialize",
}

threads_run! {
    thread_sleeping: "thread-sleeping" leaves ["sleeper"],
    thread_spinning: "thread-spinning" leaves ["spinner"],
    thread_holding_lock: "thread-holding-lock" leaves ["lock-1", "lock-2"],
    tokio_leaked: "tokio-leaked" leaves ["leaked-tokio", "leaked-tokio"],
    rayon_global_pool: "rayon-global-pool" leaves ["rayon-0", "rayon-1"],
}

/// A copy of a fixture at `to` that needs a library of another name, as long as the one it needed.
fn needs_another(from: &str, to: &Path, needed: &str, other: &str) {
    assert_eq!(needed.len(), other.len());
    let mut bytes = fs::read(lpm_fixtures::library(from)).expect("a library");
    let is_name = |place: &[u8]| place.eq_ignore_ascii_case(needed.as_bytes());
    let places: Vec<usize> = (0..bytes.len() - needed.len())
        .filter(|at| is_name(&bytes[*at..at + needed.len()]))
        .collect();
    assert!(!places.is_empty(), "{from} does not need {needed}");
    for at in places {
        bytes[at..at + other.len()].copy_from_slice(other.as_bytes());
    }
    fs::write(to, bytes).expect("a copy");
}

fn why_not(library: &Path) -> String {
    let lpm = LpmConfig::new("not whole", trusted(library));
    let pcm = Pcm::builder().lpm(lpm).build().expect("builds");
    pcm.become_dsbm().expect_err("does not load").to_string()
}

/// Windows itself says only that "a module" is not found.
#[test]
fn a_library_that_is_missing_is_named() {
    in_own_process("a_library_that_is_missing_is_named", || {
        let folder = tempfile::tempdir().expect("a folder");
        let library = folder.path().join("lpm.dll");
        needs_another("accepts", &library, "KERNEL32.dll", "KERNEL3X.dll");
        let said = why_not(&library);
        assert!(
            said.contains("it needs KERNEL3X.dll, which is not found"),
            "{said}"
        );
        assert!(said.contains(&*library.to_string_lossy()), "{said}");

        // It may be one that a library beside it needs.
        fs::rename(&library, folder.path().join("KERNEL3Y.dll")).expect("moved");
        needs_another("accepts", &library, "KERNEL32.dll", "KERNEL3Y.dll");
        let said = why_not(&library);
        assert!(
            said.contains("it needs KERNEL3Y.dll, which needs KERNEL3X.dll, which is not found"),
            "{said}"
        );
    });
}

/// A process has 1088 indexes of thread-local storage. Where the standard library takes some for
/// every library, they have to come back: without them it ends the process.
#[test]
#[ignore = "takes minutes under wine"]
fn more_cycles_than_there_are_indexes_for() {
    let staging = tempfile::tempdir().expect("a folder");
    let callers = Callers::start(1);
    for _ in 0..500 {
        let outcome = live("thread-local-lazy", &callers, staging.path());
        assert_eq!(outcome, UnloadOutcome::Unmapped);
    }
    callers.end();
}
