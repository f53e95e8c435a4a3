//! The first release of the API against this version, both ways, and what is refused. See
//! `tests/compat`.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::path::Path;

use lpm_tests::compat::{Built, Change, Compiler, Profile, Workspace};

const FIRST: &str = "0.1.0";

fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

fn build(workspace: &Workspace) -> Built {
    workspace.build(&Compiler::current(), Profile::Debug, false)
}

/// What the PCM of this version says when it is to run the LPM, built against the first release
/// with changes.
fn refusal(changes: &[Change<'_>]) -> String {
    let today = build(&Workspace::today(scratch()));
    let lpm = build(&Workspace::changed(scratch(), FIRST, changes, &["lpm"]));
    let said = today.load([&lpm]).expect_err("it must not start");
    let (line, rest) = said
        .trim_end()
        .split_once('\n')
        .unwrap_or((said.trim_end(), ""));
    assert_eq!(rest, "", "one line: {said}");
    let start = format!(
        "LPM `compat`: {} was built against an incompatible lpm-api: ",
        lpm.lpm().display()
    );
    let end = concat!(
        "; rebuild it with lpm-api ",
        env!("CARGO_PKG_VERSION"),
        ", which this host has"
    );
    let difference = line
        .strip_prefix(&start)
        .and_then(|line| line.strip_suffix(end));
    difference.unwrap_or_else(|| panic!("{line}")).to_owned()
}

/// The LPM and the program with an `lpm-api` of another version, which breaks building for authors.
fn with_lpm_api(version: &str) -> Built {
    let number = format!("version = \"{version}\"");
    let changes = [
        ["lpm-api", "Cargo.toml", "version = \"0.1.0\"", &number],
        [
            "lpm-host",
            "Cargo.toml",
            "[dependencies.lpm-api]\nversion = \"0.1.0\"",
            &format!("[dependencies.lpm-api]\n{number}"),
        ],
        [
            "lpm-api",
            "src/address_table.rs",
            "pub fn contains(",
            "pub fn is_around(",
        ],
    ];
    let members = ["lpm", "host"];
    build(&Workspace::changed(scratch(), FIRST, &changes, &members))
}

fn with_lpm_abi(version: &str) -> Built {
    let number = format!("version = \"{version}\"");
    let change = ["lpm-abi", "Cargo.toml", "version = \"1.0.0\"", &number];
    let members = ["lpm", "host"];
    build(&Workspace::changed(scratch(), FIRST, &[change], &members))
}

/// Each LPM in each PCM.
fn load_each_other(built: &[&Built]) {
    for host in built {
        for lpm in built {
            if let Err(difference) = host.load([*lpm]) {
                panic!(
                    "the LPM ({}) in the PCM ({}): {difference}",
                    lpm.how, host.how
                );
            }
        }
    }
}

#[test]
#[ignore = "builds four times, for about a minute each"]
fn every_lpm_api_works_with_every_other() {
    let today = build(&Workspace::today(scratch()));
    let first = build(&Workspace::released(scratch(), FIRST));
    let [second, third] = ["0.2.0", "0.3.0"].map(with_lpm_api);
    load_each_other(&[&today, &first, &second, &third]);
}

#[test]
#[ignore = "builds three times, for about a minute each"]
fn a_later_or_earlier_lpm_abi_is_not_refused_by_its_number() {
    let today = build(&Workspace::today(scratch()));
    let first = build(&Workspace::released(scratch(), FIRST));
    let later = with_lpm_abi("1.99.0");
    load_each_other(&[&today, &first, &later]);
}

#[test]
#[ignore = "builds twice"]
fn an_lpm_abi_that_cargo_takes_for_another_is_refused() {
    let changes = [
        [
            "lpm-abi",
            "Cargo.toml",
            "version = \"1.0.0\"",
            "version = \"2.0.0\"",
        ],
        [
            "lpm-api",
            "Cargo.toml",
            "[dependencies.lpm-abi]\nversion = \"1.0.0\"",
            "[dependencies.lpm-abi]\nversion = \"2.0.0\"",
        ],
    ];
    let difference = refusal(&changes);
    assert_eq!(
        difference,
        "version of lpm-abi: expected 1.0.0, found 2.0.0"
    );
}

/// A mistake that the compiler does not see, nor the size.
#[test]
#[ignore = "builds twice"]
fn fields_that_have_changed_places_are_refused() {
    let difference = refusal(&[[
        "lpm-abi",
        "src/interface.rs",
        "    pub index: u32,\n    /// 4 or 6.\n    pub family: u32,\n",
        "    pub family: u32,\n    /// SNMP ifIndex.\n    pub index: u32,\n",
    ]]);
    // Several functions have an interface in them; each type is compared where it is met first.
    let (what, sides) = difference.split_once("): ").expect("a function");
    let function = what.strip_prefix("field `index` of `AbiInterface` (in function `");
    assert!(function.is_some(), "{difference}");
    assert_eq!(sides, "expected `index: u32`, found `family: u32`");
}
