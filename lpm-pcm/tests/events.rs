//! Where events go: files and standard error. Daemons have tests of their own.
#![forbid(unsafe_code)]

mod support;

use std::fs;

use serde_json::Value;
use support::{configured, office, pcm, replay};

#[test]
fn several_sinks_get_what_each_wants() {
    let folder = configured(
        "[[events]]\nto = 'file'\npath = 'all.jsonl'\nformat = 'json'\n\
         [[events]]\nto = 'file'\npath = 'bad.log'\nmin_severity = 'error'\n\
         [[events]]\nto = 'stderr'\nmin_severity = 'warning'\n",
    );
    let run = replay(&folder);
    assert_eq!(run.status, 0, "{}", run.stderr);

    let all = fs::read_to_string(folder.path().join("all.jsonl")).unwrap();
    let all: Vec<Value> = all
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut names: Vec<_> = all
        .iter()
        .map(|event| event["id"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, run.events());
    let failed = all.iter().find(|event| event["number"] == 11).unwrap();
    assert_eq!(failed["lpm"], "absent");
    assert_eq!(failed["severity"], "error");
    assert!(failed["time"].as_str().unwrap().ends_with('Z'));

    let bad = fs::read_to_string(folder.path().join("bad.log")).unwrap();
    assert_eq!(bad.lines().count(), 1, "{bad}");
    assert!(bad.contains(" error lpm_load_failed: LPM absent"), "{bad}");
    assert_eq!(run.stderr, bad);
}

#[test]
fn standard_error_has_the_sink_or_the_table_not_both() {
    let folder = configured("[[events]]\nto = 'stderr'\nmin_severity = 'warning'\n");
    let config = folder.path().join("pcm.toml");
    let office = office();
    let run = pcm(&[
        "replay",
        "--config",
        config.to_str().unwrap(),
        office.to_str().unwrap(),
    ]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(
        run.stderr.contains(" error lpm_load_failed: LPM absent"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_file_is_appended_to() {
    let folder = configured("[[events]]\nto = 'file'\npath = 'pcm.log'\n");
    let file = folder.path().join("pcm.log");
    fs::write(&file, "what was there\n").unwrap();
    let events = [replay(&folder), replay(&folder)].map(|run| run.events().len());
    let lines = fs::read_to_string(&file).unwrap();
    assert!(lines.starts_with("what was there\n"), "{lines}");
    assert_eq!(lines.lines().count(), 1 + events[0] + events[1], "{lines}");
}

#[test]
fn a_file_that_cannot_be_opened_keeps_the_run_from_starting() {
    let folder = configured("[[events]]\nto = 'file'\npath = 'no/such/folder/pcm.log'\n");
    let run = replay(&folder);
    assert_eq!((run.status, run.stdout.as_str()), (1, ""));
    let file = folder.path().join("no/such/folder/pcm.log");
    assert!(
        run.stderr
            .starts_with(&format!("pcm: events to file {}: ", file.display())),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("`path`"), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1);
}

/// `/dev/full` is a disk on which there is no room.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told_and_the_other_sinks_go_on() {
    let folder = configured(
        "[[events]]\nto = 'file'\npath = '/dev/full'\n\
         [[events]]\nto = 'file'\npath = 'pcm.log'\n",
    );
    let run = replay(&folder);
    assert_eq!(run.status, 0);
    let lines: Vec<_> = run
        .stderr
        .lines()
        .filter(|line| line.starts_with("pcm: "))
        .collect();
    assert_eq!(lines.len(), 2, "{}", run.stderr);
    assert!(
        lines[0].starts_with("pcm: events to file /dev/full: No space left on device"),
        "{}",
        lines[0]
    );
    assert!(lines[0].contains("make room"), "{}", lines[0]);
    let count = run.events().len();
    assert_eq!(
        lines[1],
        format!("pcm: events to file /dev/full: {count} of {count} events were not written")
    );
    let file = fs::read_to_string(folder.path().join("pcm.log")).unwrap();
    assert_eq!(file.lines().count(), count);
}

#[test]
#[cfg(unix)]
fn after_sighup_a_file_that_was_moved_away_is_made_anew() {
    use std::io::Write;
    use std::process::Command;

    let folder = configured("[[events]]\nto = 'file'\npath = 'pcm.log'\n");
    let config = folder.path().join("pcm.toml");
    let (file, moved) = (
        folder.path().join("pcm.log"),
        folder.path().join("pcm.log.1"),
    );
    let mut child = support::spawn(&["replay", "--config", config.to_str().unwrap(), "-"]);
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    support::eventually("became_dsbm", || {
        read(&file).contains("became_dsbm").then_some(())
    });

    fs::rename(&file, &moved).unwrap();
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", "HUP", &id])
            .status()
            .unwrap()
            .success()
    );
    // The signal is there before the end of the capture makes events.
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&fs::read(office()).unwrap())
        .unwrap();
    let run = support::finish(child);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(!read(&moved).contains("demoted"));
    assert!(read(&file).contains("demoted") && !read(&file).contains("became_dsbm"));
}
