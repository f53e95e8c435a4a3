//! The book's table of hazards, the fixtures and the tests are about the same things.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Fixtures that are about something else than unloading, besides those of the chapter on
/// misbehaviour.
const OTHER_SUBJECTS: [&str; 12] = [
    "accepts",
    "asks-server",
    "counts",
    "fails-to-deinitialize",
    "incompatible-api",
    "no-lpm",
    "office-hours",
    "prints",
    "records-its-life",
    "tries",
    "twin",
    "witnesses",
];

/// What happens in the host, and the fixture that shows it.
struct Row {
    here: String,
    fixture: String,
}

fn rows() -> Vec<Row> {
    let table = include_str!("../../docs/src/unloading.md").lines();
    let rows: Vec<_> = table
        .filter(|line| line.starts_with('|') && line.ends_with("` |"))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [_hazard, _elsewhere, here, fixture] = cells[..] else {
                panic!("expected four cells: {line}")
            };
            Row {
                here: here.to_owned(),
                fixture: fixture.trim_matches('`').to_owned(),
            }
        })
        .collect();
    assert!(!rows.is_empty());
    rows
}

fn source(test: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(test);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_fixture_has_a_row_and_every_row_a_fixture() {
    let misbehaviour = include_str!("../../docs/src/misbehaviour.md");
    let fixtures: BTreeSet<String> = lpm_fixtures::names()
        .into_iter()
        .filter(|name| !OTHER_SUBJECTS.contains(&name.as_str()))
        .filter(|name| !misbehaviour.contains(&format!("\n| `{name}` |")))
        .collect();
    let rows: BTreeSet<String> = rows().into_iter().map(|row| row.fixture).collect();
    assert_eq!(fixtures, rows);
}

/// The outcomes of the flags depend on the policy, and are in one file together.
#[test]
fn the_outcomes_are_those_that_the_tests_check() {
    let flags = source("unload_flags.rs") + &source("unload_visits.rs");
    for Row { here, fixture } in rows() {
        let test = match &here {
            here if here.starts_with("**unmapped**") => source("unload_unmaps.rs"),
            here if here.starts_with("**stays mapped**") => source("unload_pins.rs"),
            here => panic!("expected an outcome, found {here}"),
        };
        let name = format!("\"{fixture}\"");
        assert!(
            test.contains(&name) || flags.contains(&name),
            "no test shows that {fixture} is {here}"
        );
    }
}
