//! The book's table of misbehaviours, the fixtures and the tests are about the same things.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use lpm_host::event::EventId;

struct Row<'a> {
    fixture: &'a str,
    events: Vec<&'a str>,
}

fn rows() -> Vec<Row<'static>> {
    let lines = include_str!("../../docs/src/misbehaviour.md").lines();
    let rows: Vec<_> = lines
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let ["", fixture, _what, outcome, in_process, events, ""] = cells[..] else {
                panic!("expected five cells: {line}")
            };
            assert_ne!(outcome, "", "{line}");
            assert_ne!(in_process, "", "{line}");
            Row {
                fixture: fixture.trim_matches('`'),
                events: events
                    .split(", ")
                    .map(|event| event.trim_matches('`'))
                    .filter(|event| !event.is_empty())
                    .collect(),
            }
        })
        .collect();
    assert!(!rows.is_empty());
    rows
}

/// The tests of misbehaviour, by file name.
fn tests() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files = fs::read_dir(folder).expect("the tests");
    let paths = files.map(|file| file.expect("a test").path());
    let is_about_it = |path: &std::path::PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy();
        name.starts_with("misbehaviour_") && name != "misbehaviour_documented.rs"
    };
    paths
        .filter(is_about_it)
        .map(|path| fs::read_to_string(path).expect("a test"))
        .collect()
}

#[test]
fn every_row_is_about_a_fixture_that_a_test_uses() {
    let tests = tests();
    let fixtures: BTreeSet<_> = rows().into_iter().map(|row| row.fixture).collect();
    for fixture in fixtures {
        let is_there = lpm_fixtures::names().contains(fixture);
        assert!(is_there, "there is no fixture {fixture}");
        let name = format!("\"{fixture}\"");
        assert!(
            tests.iter().any(|test| test.contains(&name)),
            "no test shows what {fixture} comes to"
        );
    }
}

#[test]
fn every_event_is_one_that_a_test_of_the_fixture_looks_for() {
    let tests = tests();
    for Row { fixture, events } in rows() {
        for name in events {
            let mut all = EventId::ALL.iter();
            let id = all.find(|id| id.name() == name);
            let id = id.unwrap_or_else(|| panic!("there is no event {name}"));
            let (fixture, event) = (format!("\"{fixture}\""), format!("EventId::{id:?}"));
            let both = |test: &String| test.contains(&fixture) && test.contains(&event);
            // A library that stays is looked for by its reasons.
            let is_shown = tests.iter().any(both) || *id == EventId::LibraryPinned;
            assert!(is_shown, "no test shows {name} with {fixture}");
        }
    }
}
