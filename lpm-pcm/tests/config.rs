//! `pcm config check`, as before a restart.
#![forbid(unsafe_code)]

mod support;

use std::fs;

use support::{Run, configured, configured_with, pcm};
use tempfile::TempDir;

fn check(folder: &TempDir, more: &[&str]) -> Run {
    let config = folder.path().join("pcm.toml");
    pcm(&[&["config", "check", config.to_str().unwrap()], more].concat())
}

#[test]
fn what_would_start_is_told_and_nothing_is_written() {
    let folder = configured(
        "[[events]]\nto = 'file'\npath = 'pcm.log'\n[interface.1]\nbandwidth = '1 Mbit/s'\n",
    );
    let run = check(&folder, &[]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let lines: Vec<_> = run.stdout.lines().collect();
    assert!(
        lines[0].ends_with("pcm.toml: good: 1 LPM, 1 [interface] table, 1 [[events]] table"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("  LPM identity: all PE types, "),
        "{lines:?}"
    );
    assert!(!folder.path().join("pcm.log").exists());
    // The optional LPM is not there.
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(
        run.stderr
            .starts_with("pcm: error lpm_load_failed: LPM absent: "),
        "{}",
        run.stderr
    );
    assert_eq!(check(&folder, &["--deny-warnings"]).status, 1);
}

#[test]
fn what_keeps_it_from_starting_is_told() {
    let folder = configured_with("[default]\nrate = 'much'\n", "");
    let run = check(&folder, &[]);
    assert_eq!((run.status, run.stdout.as_str()), (1, ""), "{}", run.stderr);
    assert!(
        run.stderr.contains("lpm_initialize_failed: LPM identity: "),
        "{}",
        run.stderr
    );

    fs::write(folder.path().join("pcm.toml"), "[[lpm]]\nname = 'a'\n").unwrap();
    let run = check(&folder, &[]);
    assert_eq!((run.status, run.stdout.as_str()), (1, ""), "{}", run.stderr);
    assert!(run.stderr.contains("line 1"), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
}

#[test]
fn places_that_cannot_be_opened_are_told() {
    for (table, said) in [
        (
            "[[events]]\nto = 'file'\npath = 'absent/pcm.log'\n",
            "`path` in [[events]]: ",
        ),
        (
            "[[events]]\nto = 'file'\npath = '.'\n",
            "`path` in [[events]]: ",
        ),
        (
            "[run]\ncontrol = 'absent/control'\n",
            "`control` in [run]: ",
        ),
    ] {
        let folder = configured_with(lpm_sample::DEMO_POLICY, table);
        let run = check(&folder, &[]);
        assert_eq!((run.status, run.stdout.as_str()), (1, ""), "{table}");
        assert!(run.stderr.contains(said), "{}", run.stderr);
        assert!(run.stderr.contains("give another path"), "{}", run.stderr);
    }
    let names = fs::read_dir(configured("").path()).unwrap().count();
    assert_eq!(names, 1, "nothing is made");
}

#[cfg(target_os = "linux")]
#[test]
fn an_interface_that_is_not_there_is_a_warning() {
    let table = "[run]\ninterfaces = ['lo', 'nope-0']\n";
    let folder = configured_with(lpm_sample::DEMO_POLICY, table);
    let run = check(&folder, &[]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(
        run.stderr.contains("no interface nope-0 here") && run.stderr.lines().count() == 1,
        "{}",
        run.stderr
    );
    assert_eq!(check(&folder, &["--deny-warnings"]).status, 1);
}

/// What a message repeats steers no terminal; how to write a path is said once.
#[cfg(unix)]
#[test]
fn control_characters_are_never_printed_raw() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pcm.toml");
    std::fs::write(
        &config,
        "[[lpm]]\nname = 'x'\nlibrary = \"C:\\temp\\new.dll\"\n",
    )
    .unwrap();
    let config = config.to_str().unwrap();
    let run = pcm(&["config", "check", config]);
    assert_eq!(
        run.stderr.matches("single quotes").count(),
        1,
        "{}",
        run.stderr
    );
    for arguments in [
        &["replay", "no\u{1b}[31m.pcap"][..],
        &["config", "check", "no\u{1b}[31m.toml"],
        &["policy", "check", "no\u{1b}[31m.toml"],
        &["inspect", "no\u{1b}[31m.so"],
        &["replay", "--config", "no\u{1b}[31m.toml", config],
    ] {
        // Colours are on, as on a terminal.
        let run = pcm(&[&["--color", "always"], arguments].concat());
        assert!(
            run.stderr.contains("no\\u{1b}[31m"),
            "{arguments:?}: {}",
            run.stderr
        );
    }
    // What succeeds repeats paths on standard output.
    let odd = folder.path().join("no\u{1b}[31m");
    std::fs::create_dir(&odd).unwrap();
    let sample = support::sample_library();
    let library = odd.join(sample.file_name().unwrap());
    std::os::unix::fs::symlink(&sample, &library).unwrap();
    let text = format!(
        "[[lpm]]\nname = 'a'\nlibrary = {sample:?}\nconfig = \"[default]\\npriority = 7\"\n"
    );
    std::fs::write(odd.join("pcm.toml"), text).unwrap();
    std::fs::write(odd.join("policy.toml"), "[default]\npriority = 7\n").unwrap();
    std::fs::copy(support::office(), odd.join("office.pcap")).unwrap();
    let path = |name: &str| odd.join(name).to_str().unwrap().to_owned();
    let (config, policy, capture) = (path("pcm.toml"), path("policy.toml"), path("office.pcap"));
    for arguments in [
        &["config", "check", &config][..],
        &["policy", "check", &policy],
        &["inspect", library.to_str().unwrap()],
        &["check", library.to_str().unwrap(), "--only", "lifecycle"],
        &["replay", &capture, "--config", &config],
        &["explain", &capture, "--config", &config, "--message", "1"],
        &["new", &path("rate-limit")],
    ] {
        let run = pcm(&[&["--color", "always"], arguments].concat());
        let said = run.stdout + &run.stderr;
        assert!(said.contains("no\\u{1b}[31m"), "{arguments:?}: {said}");
        assert!(!said.contains("no\u{1b}[31m"), "{arguments:?}: {said}");
    }
}
