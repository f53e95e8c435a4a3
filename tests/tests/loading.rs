//! Libraries that cannot serve as LPMs: one clear line each, and an event.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use lpm_host::error::StartError;
use lpm_host::event::{EventId, Severity};
use lpm_host::{LpmConfig, LpmStatus, Pcm};
use lpm_tests::platform::gone;
use lpm_tests::{RecordedEvents, fixture, trusted};

/// Starts a PCM with this LPM, and returns the one line that says why it does not start.
fn refusal(lpm: LpmConfig) -> String {
    let events = RecordedEvents::default();
    let path = lpm.source().path().expect("a library").to_path_buf();
    let pcm = Pcm::builder()
        .lpm(lpm)
        .event_log(events.clone())
        .build()
        .expect("builds");
    let error = pcm.become_dsbm().expect_err("must not start");
    let StartError::Lpms { failures } = &error else {
        panic!("{error}")
    };
    assert_eq!(failures.len(), 1);

    let line = error.to_string();
    assert!(!line.contains('\n'), "one line: {line}");
    assert!(
        line.contains(&*path.display().to_string()),
        "names the library: {line}"
    );
    let recorded = events.all();
    let mut errors = recorded
        .iter()
        .filter(|event| event.severity == Severity::Error);
    let event = errors.next().expect("an event");
    assert_eq!(event.library.as_deref(), Some(path.as_path()));
    line
}

fn refusal_of(path: &Path) -> String {
    let line = refusal(LpmConfig::new("broken", trusted(path)));
    assert!(line.starts_with("LPM `broken`: "), "{line}");
    line
}

#[test]
fn a_missing_library() {
    let line = refusal_of(Path::new("/nonexistent/libidentity.so"));
    assert!(line.contains("check the path"), "{line}");
}

#[test]
fn a_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let line = refusal_of(dir.path());
    assert!(line.contains("a directory"), "{line}");
}

#[test]
fn an_empty_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("libempty.so");
    fs::write(&path, "").expect("written");
    let line = refusal_of(&path);
    assert!(line.contains("empty"), "{line}");
}

#[test]
fn a_text_file_named_like_a_library() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("libtext.so");
    fs::write(&path, "This is no library.\n").expect("written");
    let line = refusal_of(&path);
    assert!(line.contains("cannot be loaded here: it "), "{line}");
}

#[test]
fn a_library_cut_off_anywhere() {
    let whole = fs::read(lpm_fixtures::library("no-lpm")).expect("the fixture");
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("libcut.so");
    for part in [1, 16, 63, 64, 100, 4096, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..part]).expect("written");
        let line = refusal_of(&path);
        assert!(
            line.contains("cannot be loaded here: it "),
            "{part} bytes: {line}"
        );
    }
}

#[test]
fn a_library_that_is_no_lpm() {
    let line = refusal(fixture("no-lpm"));
    assert!(line.contains("is not an LPM"), "{line}");
    assert!(line.contains("export_lpm!"), "{line}");
}

#[test]
fn an_lpm_built_against_an_incompatible_api() {
    let line = refusal(fixture("incompatible-api"));
    let end = concat!(
        " was built against an incompatible lpm-api: version of lpm-abi: expected 1.0.0, found 2.0.0; ",
        "rebuild it with lpm-api ",
        env!("CARGO_PKG_VERSION"),
        ", which this host has",
    );
    assert!(line.ends_with(end), "{line}");
}

#[test]
fn an_lpm_that_refuses_its_configuration() {
    let events = RecordedEvents::default();
    let lpm = fixture("office-hours")
        .config("always")
        .config_source("pcm.toml");
    let pcm = Pcm::builder()
        .lpm(lpm)
        .event_log(events.clone())
        .build()
        .expect("builds");
    let error = pcm.become_dsbm().expect_err("must not start").to_string();
    assert!(
        error.contains("pcm.toml: expected hours such as `8-18`, found `always`"),
        "{error}"
    );
    let failed = events.of(EventId::LpmInitializeFailed);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].status, Some(LpmStatus::BAD_CONFIGURATION));
    // Its library is unloaded again.
    assert_eq!(events.of(gone()).len(), 1);
}

#[test]
fn an_optional_lpm_is_done_without() {
    let events = RecordedEvents::default();
    let missing = LpmConfig::new("missing", trusted("/nonexistent.so")).optional(true);
    let pcm = Pcm::builder()
        .lpm(missing)
        .lpm(fixture("office-hours").config("0-24"))
        .event_log(events.clone())
        .build()
        .expect("builds");
    let startup = pcm.become_dsbm().expect("starts");
    assert_eq!(startup.lpms.len(), 1);
    assert_eq!(&*startup.lpms[0].name, "office-hours");
    assert_eq!(startup.failed.len(), 1);
    assert_eq!(events.of(EventId::LpmLoadFailed).len(), 1);
}

#[test]
fn every_failure_is_named_and_nothing_is_left_running() {
    let events = RecordedEvents::default();
    let pcm = Pcm::builder()
        .lpm(LpmConfig::new("first", trusted("/nonexistent/first.so")))
        .lpm(fixture("office-hours").config("0-24"))
        .lpm(LpmConfig::new("last", trusted("/nonexistent/last.so")))
        .event_log(events.clone())
        .build()
        .expect("builds");
    let error = pcm.become_dsbm().expect_err("must not start").to_string();
    assert!(
        error.contains("first.so") && error.contains("last.so"),
        "{error}"
    );
    assert_eq!(events.of(EventId::LpmDeinitialized).len(), 1);
    assert_eq!(events.of(gone()).len(), 1);
    assert_eq!(events.of(EventId::BecameDsbm).len(), 0);
}
