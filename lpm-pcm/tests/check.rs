//! `pcm check` finds what each fixture does wrong, and nothing wrong with LPMs that do nothing
//! wrong.
#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
#![forbid(unsafe_code)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use lpm_fixtures::library;
use serde_json::Value;
use support::{Run, no_libraries, pcm, sample_library};
use tempfile::TempDir;

/// A fixture with its configurations, and what is found; `{}` stands for a folder of its own.
type Case = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// Longer than any machine takes.
const SLOW: &str = "60 s";

const NOTHING: &[&str] = &[];
const IDLE: &[&str] = &["accepts_nothing"];
const PANICS: &[&str] = &["panics"];
const HANGS: &[&str] = &["hangs"];
const REFUSED: &[&str] = &["result_refused"];
const NO_ANSWER: &[&str] = &["no_answer"];
const INVALID: &[&str] = &["invalid_decision"];
const STAYS: &[&str] = &["stays_mapped"];
const LEFT: &[&str] = &["left_behind"];

/// LPMs that do nothing wrong.
const BEHAVE: &[Case] = &[
    ("accepts", &[""], NOTHING),
    ("counts", &[""], NOTHING),
    ("hands-over", &[""], NOTHING),
    // Whatever the hour is at which it is checked.
    ("office-hours", &["8-18"], NOTHING),
    ("supplies", &["2 later"], NOTHING),
    ("supplies", &["2 own"], NOTHING),
    ("twin", &[""], NOTHING),
    ("tries", &["read /dev/null"], NOTHING),
    ("witnesses", &["{}/file"], NOTHING),
];

/// LPMs that do nothing wrong, and accept nothing.
const ACCEPT_NOTHING: &[Case] = &[
    // Nobody answers there.
    ("asks-server", &["127.0.0.1:9"], IDLE),
    ("logs", &["spans"], IDLE),
    ("re-enters", &["admit"], IDLE),
    ("records-its-life", &["{}/file"], IDLE),
];

/// LPMs without an opinion that do nothing wrong but what is wrong elsewhere only: this host takes
/// it back without a trace.
const GO: &[Case] = &[
    ("c11-threads", &[""], IDLE),
    ("channels", &[""], IDLE),
    ("fork-handler-left", &[""], IDLE),
    ("local-time", &[""], IDLE),
    ("parking-lot", &[""], IDLE),
    ("random-numbers", &[""], IDLE),
    ("rayon-pool-dropped", &[""], IDLE),
    ("thread-about-to-end", &[""], IDLE),
    ("thread-current", &[""], IDLE),
    ("thread-key-leaked", &[""], IDLE),
    ("thread-local-const", &[""], IDLE),
    ("thread-local-lazy", &[""], IDLE),
    ("threads-joined", &[""], IDLE),
    ("threads-scoped", &[""], IDLE),
    ("tokio-shut-down", &[""], IDLE),
];

/// LPMs that break the contract in a call.
const MISBEHAVE: &[Case] = &[
    // It gives one decision, however many flows a message has.
    ("accepts", &["deferred"], REFUSED),
    ("accepts", &["kept"], NO_ANSWER),
    ("allocates", &["20000"], &["grows"]),
    ("answers-from-detached-thread", &["stays"], STAYS),
    (
        "answers-wrongly",
        &["decisions for objects\n{}/file"],
        REFUSED,
    ),
    ("answers-wrongly", &["keeps\n{}/file"], NO_ANSWER),
    ("answers-wrongly", &["late\n{}/file"], NO_ANSWER),
    ("answers-wrongly", &["never asked\n{}/file"], REFUSED),
    (
        "answers-wrongly",
        &["objects for decisions\n{}/file"],
        REFUSED,
    ),
    ("answers-wrongly", &["too few\n{}/file"], REFUSED),
    ("answers-wrongly", &["too many\n{}/file"], REFUSED),
    ("answers-wrongly", &["twice\n{}/file"], REFUSED),
    // What it does is in the message, and some of those with changed bytes say to keep the answer.
    ("crashes", &["exit deinitialize"], &["ends_process"]),
    ("defers", &["1"], NO_ANSWER),
    ("errs", &["deinitialize"], &["fails_to_stop"]),
    ("errs", &["initialize"], &["does_not_start"]),
    ("errs", &["ip_address_table"], &["refuses_addresses"]),
    ("fails-to-deinitialize", &[""], &["fails_to_stop"]),
    ("forgets", &[""], NO_ANSWER),
    ("forgets", &["leaks"], NO_ANSWER),
    ("incompatible-api", &[""], &["does_not_load"]),
    ("logs", &["flood 20000"], &["floods_log"]),
    ("logs", &["leaves-a-thread"], STAYS),
    ("no-lpm", &[""], &["does_not_load"]),
    ("panic-hook-set", &[""], PANICS),
    ("panics", &["admit"], PANICS),
    ("panics", &["commit_resv"], PANICS),
    ("panics", &["deinitialize"], PANICS),
    ("panics", &["delete_state"], PANICS),
    ("panics", &["drop"], PANICS),
    ("panics", &["initialize"], PANICS),
    ("panics", &["ip_address_table"], PANICS),
    ("panics", &["pe_type"], PANICS),
    ("panics", &["rsvp_objects"], PANICS),
    ("panics", &["statistics"], PANICS),
    ("panics-in-admit", &[""], PANICS),
    ("panics-in-deinitialize", &[""], PANICS),
    ("prints", &[""], &["prints"]),
    ("prints-without-newline", &[""], &["prints"]),
    ("speaks-nonsense", &["PE type"], &["does_not_start"]),
    ("speaks-nonsense", &["as the next"], REFUSED),
    ("speaks-nonsense", &["later"], REFUSED),
    ("speaks-nonsense", &["no reason"], INVALID),
    ("speaks-nonsense", &["reserved"], INVALID),
    ("speaks-nonsense", &["status"], &["call_fails"]),
    ("speaks-nonsense", &["unanswered"], INVALID),
    ("supplies", &["2 another's"], REFUSED),
    ("supplies", &["2 another's later"], REFUSED),
    ("supplies", &["2 malformed"], REFUSED),
    ("supplies", &["2 never"], NO_ANSWER),
    ("supplies", &["2 no policy data"], REFUSED),
    ("supplies", &["2 too large"], REFUSED),
    ("supplies", &["2 own", "2 own"], &["shares_pe_type"]),
];

/// LPMs that do not return.
const HANG: &[Case] = &[
    ("hangs", &["admit\n{}/inside\n{}/go-on"], HANGS),
    ("hangs", &["commit_resv\n{}/inside\n{}/go-on"], HANGS),
    ("hangs", &["deinitialize\n{}/inside\n{}/go-on"], HANGS),
    ("hangs", &["delete_state\n{}/inside\n{}/go-on"], HANGS),
    ("hangs", &["drop\n{}/inside\n{}/go-on"], HANGS),
    ("hangs", &["initialize\n{}/inside\n{}/go-on"], HANGS),
    ("hangs", &["ip_address_table\n{}/inside\n{}/go-on"], HANGS),
    ("hangs", &["pe_type\n{}/inside\n{}/go-on"], HANGS),
    ("hangs", &["rsvp_objects\n{}/inside\n{}/go-on"], HANGS),
    ("hangs", &["statistics\n{}/inside\n{}/go-on"], HANGS),
    ("hangs-in-admit", &["{}"], HANGS),
    ("hangs-in-deinitialize", &[""], HANGS),
    ("thread-local-hanging", &["{}"], HANGS),
];

/// LPMs that leave something behind.
const LEAVE: &[Case] = &[
    ("alarm-left", &[""], LEFT),
    // Its destructors and handlers are taken care of, and say so.
    ("cpp-static", &[""], &["prints"]),
    ("exit-handler-for-good", &[""], STAYS),
    ("exit-handler-left", &[""], &["prints"]),
    ("no-delete", &[""], &["hinders_unloading"]),
    ("own-allocator", &[""], &["hinders_unloading"]),
    ("rayon-global-pool", &[""], STAYS),
    ("signal-handler-left", &[""], LEFT),
    ("static-tls", &[""], &["hinders_unloading"]),
    ("thread-holding-lock", &[""], STAYS),
    ("thread-of-the-kernel", &[""], STAYS),
    ("thread-sleeping", &[""], STAYS),
    ("thread-spinning", &[""], STAYS),
    ("thread-started-unseen", &[""], STAYS),
    ("thread-local-buffered", &["{}/log"], &[]),
    ("timer-calling-function", &[""], LEFT),
    ("tokio-leaked", &[""], STAYS),
];

/// Takes all the memory there is, so most checks would take their time.
const ALLOCATE: &[Case] = &[
    ("allocates", &["aborts"], &["ends_process"]),
    ("allocates", &["until refused"], PANICS),
];

/// Linked by the test.
const UNIQUE: &str = "unique-symbol";

#[test]
fn nothing_is_found_in_lpms_that_behave() {
    let limits = ["--cycles", "4", "--time-limit", SLOW];
    expect_only(check_each(
        BEHAVE,
        &[&limits[..], &["--deny-warnings"]].concat(),
    ));
    let at_unload = ["--only", "lifecycle", "--only", "cycles"];
    expect_only(check_each(GO, &[&limits[..], &at_unload].concat()));
}

#[test]
fn an_lpm_that_accepts_nothing_is_warned_of() {
    let limits = ["--cycles", "4", "--time-limit", SLOW];
    expect_only(check_each(ACCEPT_NOTHING, &limits));
}

/// What has one cause is found once, in whatever check and on whatever thread, and told with what
/// helps there.
#[test]
fn one_cause_is_one_finding_with_its_own_advice() {
    for (fixture, config, kind, why, fix) in [
        (
            "panics",
            "initialize",
            "panics",
            "does not start",
            "InitError",
        ),
        (
            "panics",
            "deinitialize",
            "panics",
            "with every stop",
            "deinitialize",
        ),
        (
            "panics",
            "admit",
            "panics",
            "are rejected",
            "malformed in a message",
        ),
        (
            "forgets",
            "",
            "no_answer",
            "are rejected",
            "keep each `Deferral`",
        ),
        (
            "accepts",
            "kept",
            "no_answer",
            "whole time limit",
            "result_time_limit",
        ),
    ] {
        let library = library(fixture);
        let run = pcm(&[
            "check",
            library.to_str().unwrap(),
            "--config",
            config,
            "--cycles",
            "4",
            "--time-limit",
            "1 s",
            "--format",
            "json",
        ]);
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        let [finding] = &report["findings"].as_array().unwrap()[..] else {
            panic!("{fixture} {config}: {}", run.stdout)
        };
        assert_eq!(finding["finding"], kind, "{}", run.stdout);
        for (field, part) in [("why", why), ("fix", fix)] {
            let text = finding[field].as_str().unwrap();
            assert!(text.contains(part), "{fixture} {config}: {field}: {text}");
        }
    }
}

/// Built by the test, since all fixtures unwind.
#[test]
fn a_library_in_which_a_panic_ends_the_process_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("aborts.rs");
    fs::write(
        &source,
        r#"
        use lpm_api::{AdmitRequest, Answer, Decision, InitError, InitInfo, Lpm, Priority};
        struct Aborts(bool);
        impl Lpm for Aborts {
            fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
                Ok(Self(init.config() == "panic"))
            }
            fn admit(&self, request: AdmitRequest<'_>) -> Answer {
                assert!(!self.0, "told to");
                request.decide_all(Decision::accept(Priority::MIN))
            }
        }
        lpm_api::export_lpm!(Aborts);
        "#,
    )
    .unwrap();
    let built = folder.path().join("libaborts.so");
    let lpm_api = lpm_fixtures::lpm_api();
    let below = lpm_api.parent().unwrap();
    let compiled = Command::new("rustc")
        .args([
            "--edition=2024",
            "--crate-type=cdylib",
            "-Cpanic=abort",
            "-o",
        ])
        .arg(&built)
        .arg(format!("--extern=lpm_api={}", lpm_api.display()))
        .arg(format!("-Ldependency={}", below.display()))
        .arg(format!("-Ldependency={}", below.join("deps").display()))
        .arg(&source)
        .output()
        .unwrap();
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    for (config, kind) in [("", "hinders_unloading"), ("panic", "ends_process")] {
        let library = built.to_str().unwrap();
        let limits = [
            "--only",
            "lifecycle",
            "--time-limit",
            SLOW,
            "--format",
            "json",
        ];
        let run = pcm(&[&["check", library, "--config", config], &limits[..]].concat());
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        let [finding] = &report["findings"].as_array().unwrap()[..] else {
            panic!("{config}: {}", run.stdout)
        };
        assert_eq!(finding["finding"], kind, "{}", run.stdout);
        let (what, fix) = (
            finding["what"].as_str().unwrap(),
            finding["fix"].as_str().unwrap(),
        );
        assert!(
            what.contains("libaborts.so: it is built with panic=abort"),
            "{what}"
        );
        assert!(fix.contains("panic = \"abort\""), "{fix}");
    }
}

/// Against `lpmapi.h`.
#[test]
fn an_lpm_in_c_is_checked_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let record = format!("{:?}", folder.path().join("record"));
    for (fixture, way, found) in [
        ("accepts", "0", NOTHING),
        ("misbehaves", "6", &["writes_beyond"]),
        ("misbehaves", "14", &["call_fails"]),
        ("misbehaves", "1", &["does_not_load"]),
    ] {
        let macros = [("RECORD", &*record), ("WAY", way)];
        let library = lpm_fixtures::lpm_in_c(fixture, &macros, folder.path());
        let library = library.to_str().unwrap();
        let run = pcm(&[
            "check",
            library,
            "--time-limit",
            SLOW,
            "--cycles",
            "3",
            "--format",
            "json",
        ]);
        let found: BTreeSet<_> = found.iter().map(|kind| (*kind).to_owned()).collect();
        assert_eq!(findings(&run), found, "{fixture} {way}: {}", run.stdout);
    }
}

#[test]
fn the_sample_passes_with_all_its_cycles() {
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lpm-sample/demo-policy.toml");
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("junit.xml");
    let sample = sample_library();
    let run = pcm(&[
        "check",
        sample.to_str().unwrap(),
        "--config-file",
        policy.to_str().unwrap(),
        "--deny-warnings",
        "--time-limit",
        SLOW,
        "--junit",
        junit.to_str().unwrap(),
    ]);
    assert_eq!(run.status, 0, "{}\n{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("nothing found"), "{}", run.stdout);
    assert_eq!(run.stdout.matches("passed").count(), 7, "{}", run.stdout);
    let junit = fs::read_to_string(junit).unwrap();
    assert!(junit.contains("tests=\"7\""), "{junit}");
    assert!(junit.contains("failures=\"0\""), "{junit}");
}

#[test]
fn what_is_done_wrong_in_calls_is_found() {
    expect_found(MISBEHAVE, &["--cycles", "4", "--time-limit", "1 s"]);
}

#[test]
fn calls_that_do_not_return_are_found() {
    expect_found(HANG, &["--cycles", "4", "--time-limit", "200 ms"]);
}

#[test]
fn what_is_left_behind_is_found() {
    expect_found(LEAVE, &["--cycles", "4", "--time-limit", SLOW]);
}

#[test]
fn running_out_of_memory_is_found() {
    expect_found(ALLOCATE, &["--only", "lifecycle", "--time-limit", SLOW]);
}

#[test]
fn a_symbol_that_keeps_a_library_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let linked = folder.path().join("libunique_symbol.so");
    let fixture = lpm_fixtures::native_source("unique-symbol.cpp");
    let archive = library("unique-symbol").with_extension("a");
    let linker = Command::new("c++")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&linked)
        .arg(fixture)
        .arg("-Wl,--whole-archive")
        .arg(archive)
        .arg("-Wl,--no-whole-archive")
        .status();
    assert!(linker.unwrap().success());
    let run = pcm(&["check", linked.to_str().unwrap(), "--format", "json"]);
    let found = findings(&run);
    assert!(found.contains("hinders_unloading"), "{}", run.stdout);
    assert!(found.contains("stays_mapped"), "{}", run.stdout);
    assert_eq!(run.status, 1);
}

#[test]
fn a_finding_says_what_why_and_how_to_mend_it() {
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("junit.xml");
    let panics = library("panics");
    let arguments = [
        "check",
        panics.to_str().unwrap(),
        "--config",
        "admit",
        "--only",
        "lifecycle",
        "--junit",
        junit.to_str().unwrap(),
    ];
    let run = pcm(&arguments);
    assert_eq!(run.status, 1);
    let out = &run.stdout;
    assert!(out.contains("lifecycle   failed"), "{out}");
    assert!(out.contains("error panics: panicked at "), "{out}");
    assert!(out.contains("panics as it is told to"), "{out}");
    for part in ["seen in:  lifecycle", "matters:  ", "to mend:  "] {
        assert!(out.contains(part), "{out}");
    }
    let junit = fs::read_to_string(junit).unwrap();
    assert!(
        junit.contains("<failure message=\"panics: panicked at "),
        "{junit}"
    );
}

#[test]
fn files_that_are_no_library_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (path, complaint) in no_libraries(folder.path()) {
        let run = pcm(&["check", path.to_str().unwrap()]);
        assert_eq!(run.status, 1, "{}", path.display());
        assert!(run.stderr.contains(complaint), "{}", run.stderr);
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn every_fixture_is_checked() {
    let mut checked: BTreeSet<_> = [BEHAVE, ACCEPT_NOTHING, GO, MISBEHAVE, HANG, LEAVE, ALLOCATE]
        .into_iter()
        .flatten()
        .map(|(fixture, ..)| (*fixture).to_owned())
        .collect();
    checked.insert(UNIQUE.to_owned());
    assert_eq!(checked, lpm_fixtures::names());
}

type Checked = (&'static Case, Run, BTreeSet<String>);

/// What is named is found, and nothing else; none of it is an error.
/// LPMs that are checked in a process of their own.
const ISOLATED: &[Case] = &[
    ("accepts", &[""], NOTHING),
    ("supplies", &["2 later"], NOTHING),
    ("panics", &["admit"], PANICS),
    ("hangs", &["admit\n{}/inside\n{}/go-on"], HANGS),
    ("crashes", &["abort admit"], &["ends_process"]),
    ("crashes", &["exit deinitialize"], &["fails_to_stop"]),
    // What it leaves goes with the process.
    ("thread-sleeping", &[""], NOTHING),
];

#[test]
fn an_lpm_is_checked_in_a_process_of_its_own() {
    let only = ["lifecycle", "instances", "state", "deadlines", "cycles"];
    let mut arguments = vec!["--isolation", "process", "--cycles", "4", "--time-limit"];
    arguments.push("2 s");
    arguments.extend(only.iter().flat_map(|check| ["--only", check]));
    for case in ISOLATED {
        let run = check(case, &arguments);
        let found = findings(&run);
        for expected in case.2 {
            assert!(
                found.contains(*expected),
                "{case:?}: {} {}",
                run.stdout,
                run.stderr
            );
        }
        assert!(!found.contains("stays_mapped"), "{case:?}: {found:?}");
        if case.2.is_empty() {
            assert_eq!(run.status, 0, "{case:?}: {} {}", run.stdout, run.stderr);
        }
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(report["isolation"], "process");
    }
    let file = library("accepts");
    let text = pcm(&[
        &["check", file.to_str().unwrap(), "--only", "lifecycle"],
        &arguments[..2],
    ]
    .concat());
    assert!(
        text.stdout
            .contains("\nnot checked in a process of its own: "),
        "{}",
        text.stdout
    );
    let here = pcm(&["check", file.to_str().unwrap(), "--only", "lifecycle"]);
    assert!(!here.stdout.contains("not checked"), "{}", here.stdout);
}

fn expect_only(checked: Vec<Checked>) {
    for (case, run, found) in checked {
        let expected: BTreeSet<_> = case.2.iter().map(|kind| (*kind).to_owned()).collect();
        assert_eq!(found, expected, "{case:?}: {}\n{}", run.stdout, run.stderr);
        assert_eq!(run.status, 0, "{case:?}: {}", run.stdout);
    }
}

fn expect_found(cases: &'static [Case], limits: &[&str]) {
    for (case, run, found) in check_each(cases, limits) {
        for expected in case.2 {
            let text = format!("{case:?}: {}\n{}", run.stdout, run.stderr);
            assert!(found.contains(*expected), "{text}");
        }
    }
}

/// Checks each, a few at a time.
fn check_each(cases: &'static [Case], limits: &[&str]) -> Vec<Checked> {
    let queue = Mutex::new(cases.iter());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(case) = queue.lock().unwrap().next() else {
                        return;
                    };
                    let run = check(case, limits);
                    let found = findings(&run);
                    done.lock().unwrap().push((case, run, found));
                }
            });
        }
    });
    done.into_inner().unwrap()
}

fn check((fixture, configs, _): &Case, limits: &[&str]) -> Run {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let file = library(fixture);
    let configs: Vec<String> = configs
        .iter()
        .map(|config| config.replace("{}", folder.path().to_str().unwrap()))
        .collect();
    let mut arguments = vec!["check", file.to_str().unwrap(), "--format", "json"];
    for config in &configs {
        arguments.extend(["--config", config]);
    }
    arguments.extend(limits);
    pcm(&arguments)
}

fn findings(run: &Run) -> BTreeSet<String> {
    let report: Value = serde_json::from_str(&run.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}\n{}", run.stdout, run.stderr));
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| finding["finding"].as_str().unwrap().to_owned())
        .collect()
}
