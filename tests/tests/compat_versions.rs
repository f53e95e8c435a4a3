//! The first release of the API against this version, both ways, and what is refused. See `tests/compat`.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::path::Path;

use lpm_tests::compat::{Built, Compiler, Profile, Workspace};

const FIRST: &str = "0.1.0";

fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

fn build(workspace: &Workspace) -> Built {
    workspace.build(&Compiler::current(), Profile::Debug, false)
}

/// What the PCM of this version says when it is to run the LPM, built against the first `lpm-api` with a
/// change.
fn refusal(file: &str, text: &str, other: &str) -> String {
    let today = build(&Workspace::today(scratch()));
    let workspace = Workspace::changed(scratch(), FIRST, [file, text, other], &["lpm"]);
    let lpm = build(&workspace);
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

fn load(host: &Built, lpm: &Built) {
    if let Err(difference) = host.load([lpm]) {
        panic!(
            "the LPM ({}) in the PCM ({}): {difference}",
            lpm.how, host.how
        );
    }
}

#[test]
#[ignore = "builds three times, for about a minute"]
fn releases_that_cargo_takes_for_compatible_work_together() {
    let today = build(&Workspace::today(scratch()));
    let first = build(&Workspace::released(scratch(), FIRST));
    let number = [
        "Cargo.toml",
        "\nversion = \"0.1.0\"",
        "\nversion = \"0.1.99\"",
    ];
    let later = build(&Workspace::changed(
        scratch(),
        FIRST,
        number,
        &["lpm", "host"],
    ));
    load(&first, &first);
    load(&today, &first);
    load(&first, &today);
    // By its number alone neither a later one nor an earlier one is refused.
    load(&today, &later);
    load(&first, &later);
    load(&later, &first);
    load(&later, &today);
}

#[test]
#[ignore = "builds twice"]
fn a_release_that_cargo_takes_for_another_is_refused() {
    let number = "\nversion = \"0.1.0\"";
    let difference = refusal("Cargo.toml", number, "\nversion = \"0.2.0\"");
    assert_eq!(
        difference,
        concat!(
            "version of lpm-api: expected ",
            env!("CARGO_PKG_VERSION"),
            ", found 0.2.0"
        )
    );
}

/// A mistake that the compiler does not see, nor the size.
#[test]
#[ignore = "builds twice"]
fn fields_that_have_changed_places_are_refused() {
    let difference = refusal(
        "src/abi/types.rs",
        "    pub index: u32,\n    /// 4 or 6.\n    pub family: u32,\n",
        "    pub family: u32,\n    /// SNMP ifIndex.\n    pub index: u32,\n",
    );
    assert_eq!(
        difference,
        "field `index` of `AbiInterface` (in function `interface`): expected `index: u32`, found `family: u32`"
    );
}
