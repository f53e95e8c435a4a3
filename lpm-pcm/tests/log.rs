//! What LPMs log, as `pcm replay` shows it.
#![forbid(unsafe_code)]

mod support;

use std::fs;

use lpm_fixtures::library;
use serde_json::Value;
use support::{Run, office, pcm};
use tempfile::TempDir;

/// The demo capture, decided by an LPM that logs in this way.
fn replay(way: &str, more: &[&str]) -> Run {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let config = folder.path().join("pcm.toml");
    let library = library("logs");
    let text = format!("[[lpm]]\nname = 'talker'\nlibrary = {library:?}\nconfig = {way:?}\n");
    fs::write(&config, text).unwrap();
    let (capture, config) = (office(), config.to_str().unwrap());
    let arguments = ["replay", capture.to_str().unwrap(), "--config", config];
    let run = pcm(&[&arguments[..], more].concat());
    assert_eq!(run.status, 0, "{}", run.stderr);
    run
}

fn logged(run: &Run) -> Vec<Value> {
    let records = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    records
        .filter(|record: &Value| record["type"] == "log")
        .collect()
}

#[test]
fn warnings_are_shown_unless_told_otherwise() {
    let run = replay("levels", &[]);
    let log = &run.stderr;
    assert!(log.contains("error: LPM talker: at level error"), "{log}");
    assert!(log.contains("warn: LPM talker: at level warn"), "{log}");
    assert!(!log.contains("at level info"), "{log}");
    let silent = replay("levels", &["--log", "off"]);
    assert!(!silent.stderr.contains("at level"), "{}", silent.stderr);
    let more = replay("levels", &["--log", "debug"]).stderr;
    assert!(more.contains("debug: LPM talker: at level debug"), "{more}");
    assert!(!more.contains("at level trace"), "{more}");
}

#[test]
fn a_log_is_a_record_before_the_message_it_is_about() {
    let run = replay("levels", &["--format", "json"]);
    let first: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let types: Vec<_> = first
        .iter()
        .map(|record| record["type"].as_str().unwrap())
        .collect();
    let decision = types.iter().position(|kind| *kind == "decision").unwrap();
    assert_eq!(types[decision - 2..decision], ["log", "log"]);
    let log = &first[decision - 1];
    assert_eq!(log["level"], "warn");
    assert_eq!(log["lpm"], "talker");
    assert_eq!(log["message"], "at level warn");
    // At the end it says that it goes.
    let last = logged(&run).pop().unwrap();
    assert_eq!(last["message"], "deinitialize");
    assert_eq!(last["fields"]["reason"], "demotion");
}

#[test]
fn fields_and_spans_are_kept() {
    let info = ["--format", "json", "--log", "info"];
    let fields = logged(&replay("fields", &info));
    let every = fields
        .iter()
        .find(|log| log["message"] == "every type: 2")
        .unwrap();
    assert_eq!(every["fields"]["signed"], -7);
    assert_eq!(every["fields"]["unsigned"], u64::MAX);
    assert_eq!(every["fields"]["float"], 2.5);
    assert_eq!(every["fields"]["flag"], true);
    assert_eq!(every["fields"]["text"], "tab\there");
    assert_eq!(every["fields"]["lpm_"], "a field of its own");
    let spans = logged(&replay("spans", &info));
    let both = spans
        .iter()
        .find(|log| log["message"] == "in both")
        .unwrap();
    assert_eq!(both["spans"], serde_json::json!(["outer", "inner"]));
}

#[test]
fn a_flood_is_cut_short_and_that_is_said() {
    let run = replay("flood 20000", &["--format", "json", "--log", "info"]);
    let logs = logged(&run);
    assert!(logs.len() < 100_000, "{}", logs.len());
    let cut = |log: &&Value| log["target"] == "lpm_host::trace" && log["level"] == "warn";
    assert!(logs.iter().any(|log| cut(&log)));
}
