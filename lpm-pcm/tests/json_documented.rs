//! The JSON that is printed has the fields that the book documents, of the types that it gives.
#![forbid(unsafe_code)]

mod support;

use std::path::Path;

use lpm_fixtures::library;
use serde_json::Value;
use support::{office, pcm};

const REPLAY: &str = include_str!("../../docs/src/json.md");
const LIBRARIES: &str = include_str!("../../docs/src/json-libraries.md");
const TOOLS: &str = include_str!("../../docs/src/tools.md");

/// The fields of an object, in the order of their names: each with what is said of its type.
type Fields = Vec<(String, String)>;

/// Those in the first table under a heading.
fn documented(page: &str, heading: &str) -> Fields {
    let mut lines = page.lines().skip_while(|line| *line != heading);
    assert_eq!(lines.next(), Some(heading));
    let section = lines.take_while(|line| !line.starts_with('#'));
    let rows = section
        .skip_while(|line| !line.starts_with("| field "))
        .take_while(|line| line.starts_with('|'))
        .skip(2);
    let mut fields = Fields::new();
    for row in rows {
        let mut cells = row.trim_matches('|').split(" | ").map(str::trim);
        let (names, of_type) = (cells.next().unwrap(), cells.next().unwrap());
        // Several fields may share a row.
        for name in names.split(", ") {
            fields.push((name.trim_matches('`').to_owned(), of_type.to_owned()));
        }
    }
    assert!(!fields.is_empty(), "{heading}");
    fields.sort();
    fields
}

fn is_of_type(value: &Value, of_type: &str) -> bool {
    match value {
        Value::Null => of_type.ends_with("or null"),
        Value::Bool(_) => of_type.starts_with("boolean"),
        Value::Number(_) => of_type.starts_with("number"),
        Value::String(_) => of_type.starts_with("string"),
        Value::Array(items) => match of_type {
            "array of strings" => items.iter().all(Value::is_string),
            "array of objects" => items.iter().all(Value::is_object),
            other => other == "array",
        },
        Value::Object(_) => of_type.starts_with("object"),
    }
}

fn assert_documented(object: &Value, page: &str, heading: &str) {
    let fields = documented(page, heading);
    let printed: Vec<&String> = object.as_object().expect("an object").keys().collect();
    let names: Vec<&String> = fields.iter().map(|(name, _)| name).collect();
    assert_eq!(printed, names, "{heading}");
    for (name, of_type) in &fields {
        let value = &object[name.as_str()];
        assert!(
            is_of_type(value, of_type),
            "{heading} {name}, {of_type}: {value}"
        );
    }
}

/// The object that a command prints.
fn object(arguments: &[&str], path: &Path) -> Value {
    let path = path.to_str().unwrap();
    let run = pcm(&[arguments, &["--format", "json", path]].concat());
    assert_eq!(
        run.stdout.lines().count(),
        1,
        "{} {}",
        run.stdout,
        run.stderr
    );
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn what_pcm_inspect_prints() {
    let lpm = object(&["inspect"], &library("counts"));
    assert_documented(&lpm, LIBRARIES, "## `pcm inspect`");
    for part in ["trust", "process", "lpm", "initialized", "unloaded"] {
        assert_documented(&lpm[part], LIBRARIES, &format!("### `{part}`"));
    }
    for more in [&["inspect"][..], &["inspect", "--full"]] {
        let incompatible = object(more, &library("incompatible-api"));
        assert_documented(&incompatible, LIBRARIES, "## `pcm inspect`");
        assert_documented(
            &incompatible["incompatible"],
            LIBRARIES,
            "### `incompatible`",
        );
    }
    let refuses = &["inspect", "--config", "initialize"];
    let refuses = object(refuses, &library("errs"));
    assert!(refuses["not_initialized"].is_string(), "{refuses}");
    for file in [&library("no-lpm"), Path::new("absent")] {
        assert_documented(&object(&["inspect"], file), LIBRARIES, "## `pcm inspect`");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_pcm_inspect_prints_about_hazards() {
    let hindered = object(&["inspect", "--no-load"], &library("no-delete"));
    assert_documented(&hindered["hazards"][0], LIBRARIES, "### `hazards`");
}

#[test]
fn what_pcm_check_prints() {
    let check = [
        "check",
        "--only",
        "lifecycle",
        "--only",
        "state",
        "--time-limit",
        "60 s",
    ];
    let faultless = object(&check, &library("accepts"));
    assert_documented(&faultless, LIBRARIES, "## `pcm check`");
    let refuses = [&check[..], &["--config", "initialize"]].concat();
    let refuses = object(&refuses, &library("errs"));
    assert_documented(&refuses, LIBRARIES, "## `pcm check`");
    assert_documented(&refuses["findings"][0], LIBRARIES, "### `findings`");
    let checks = refuses["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 2);
    for (check, outcome) in checks.iter().zip(["failed", "skipped"]) {
        assert_documented(check, LIBRARIES, "### `checks`");
        assert_eq!(check["outcome"], outcome);
    }
}

#[test]
fn what_pcm_check_can_find_is_in_the_book() {
    let source = include_str!("../src/commands/check/finding.rs");
    let names = source
        .lines()
        .filter_map(|line| line.trim().split_once(" => \""))
        .filter_map(|(kind, name)| {
            kind.strip_prefix("Self::")?;
            name.strip_suffix("\",")
        })
        .filter(|name| name.chars().all(|c| c == '_' || c.is_ascii_lowercase()));
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 20, "{names:?}");
    let findings = TOOLS.split("| finding | |").nth(1).expect("the table");
    let table = findings.split("\n\n").next().unwrap();
    for name in names {
        assert!(table.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn what_pcm_replay_prints() {
    let run = pcm(&["replay", "--format", "json", office().to_str().unwrap()]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let mut kinds = Vec::new();
    for mut record in run.json() {
        let fields = record.as_object_mut().unwrap();
        let kind = fields.remove("type").unwrap();
        let kind = kind.as_str().unwrap().to_owned();
        assert_documented(&record, REPLAY, &format!("## `{kind}`"));
        kinds.push(kind);
    }
    for kind in [
        "lpm_initialized",
        "decision",
        "lpm_deinitialized",
        "library_unloaded",
        "summary",
    ] {
        assert!(kinds.iter().any(|seen| seen == kind), "{kind}");
    }
}
