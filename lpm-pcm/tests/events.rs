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

#[cfg(unix)]
fn rights(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;

    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
#[cfg(unix)]
fn nobody_else_reads_a_file_of_events() {
    use std::os::unix::fs::PermissionsExt;

    let folder = configured("[[events]]\nto = 'file'\npath = 'pcm.log'\n");
    let file = folder.path().join("pcm.log");
    assert_eq!(replay(&folder).status, 0);
    assert_eq!(rights(&file) & !0o640, 0, "{:o}", rights(&file));
    // Nor one that was there.
    for (before, after) in [(0o666, 0o640), (0o644, 0o640), (0o600, 0o600)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(before)).unwrap();
        assert_eq!(replay(&folder).status, 0);
        assert_eq!(rights(&file), after);
    }
}

#[test]
fn half_a_line_is_ended_before_the_next_event() {
    let folder = configured("[[events]]\nto = 'file'\npath = 'pcm.log'\nformat = 'json'\n");
    let file = folder.path().join("pcm.log");
    fs::write(&file, "{\"type\":\"eve").unwrap();
    let count = replay(&folder).events().len();
    let lines = fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = lines.lines().collect();
    assert_eq!(lines.len(), 1 + count, "{lines:?}");
    assert_eq!(lines[0], "{\"type\":\"eve");
    for line in &lines[1..] {
        serde_json::from_str::<Value>(line).unwrap();
    }
}

#[test]
#[cfg(unix)]
fn a_fifo_without_a_reader_does_not_hold_the_start_and_loses_nothing() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::Command;

    let folder = configured("[[events]]\nto = 'file'\npath = 'fifo'\n");
    let (fifo, config) = (folder.path().join("fifo"), folder.path().join("pcm.toml"));
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    // Nobody ever reads.
    let run = replay(&folder);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(
        run.stderr.contains("no program reads from this FIFO"),
        "{}",
        run.stderr
    );
    let count = run.events().len();
    assert!(
        run.stderr
            .contains(&format!("{count} of {count} events were not written")),
        "{}",
        run.stderr
    );
    // Somebody reads after the start.
    let mut child = support::spawn(&["replay", "--config", config.to_str().unwrap(), "-"]);
    let mut lines = BufReader::new(fs::File::open(&fifo).unwrap()).lines();
    let mut seen = vec![lines.next().unwrap().unwrap()];
    let mut capture = child.stdin.take().unwrap();
    capture.write_all(&fs::read(office()).unwrap()).unwrap();
    drop(capture);
    seen.extend(lines.map(Result::unwrap));
    let run = support::finish(child);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(seen.len(), count, "{seen:?}");
}

/// An event names the message that was being decided, wherever the LPM's code runs.
#[test]
fn events_name_the_message_that_was_being_decided() {
    for calls in ["inline", "worker"] {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[[lpm]]\nname = 'panics'\nlibrary = {:?}\nconfig = 'admit'\ncalls = '{calls}'\n\
             [[events]]\nto = 'file'\npath = 'all.jsonl'\nformat = 'json'\n\
             [[events]]\nto = 'file'\npath = 'all.log'\n",
            lpm_fixtures::library("panics"),
        );
        fs::write(folder.path().join("pcm.toml"), text).unwrap();
        let run = replay(&folder);
        assert_eq!(run.status, 0, "{}", run.stderr);
        let decisions: Vec<Value> = run.records("decision").collect();

        let lines = fs::read_to_string(folder.path().join("all.jsonl")).unwrap();
        let events = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let (panics, others): (Vec<Value>, Vec<Value>) =
            events.partition(|event: &Value| event["id"] == "lpm_panicked");
        assert!(!panics.is_empty(), "{lines}");
        for event in &panics {
            let about = &event["about"];
            let mut decisions = decisions.iter();
            let decision = decisions.find(|decision| decision["number"] == about["number"]);
            let decision = decision.unwrap_or_else(|| panic!("{calls}: {event}"));
            for field in [
                "capture",
                "packet",
                "time",
                "source",
                "destination",
                "message",
            ] {
                assert_eq!(about[field], decision[field], "{calls}: {event}");
            }
        }
        // Each message once, and none where none was decided.
        let number = |event: &Value| event["about"]["number"].as_u64().unwrap();
        assert!(
            panics
                .windows(2)
                .all(|two| number(&two[0]) < number(&two[1]))
        );
        let of_life = [
            "became_dsbm",
            "lpm_initialized",
            "lpm_deinitialized",
            "demoted",
        ];
        for event in others
            .iter()
            .filter(|event| of_life.iter().any(|id| event["id"] == *id))
        {
            assert_eq!(event["about"], Value::Null, "{event}");
        }
        let text = fs::read_to_string(folder.path().join("all.log")).unwrap();
        let of_first = format!("packet {} of ", panics[0]["about"]["packet"]);
        let first = text
            .lines()
            .find(|line| line.contains("lpm_panicked"))
            .unwrap();
        assert!(first.contains(&of_first), "{first}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_is_granted_while_a_required_file_cannot_be_written() {
    let outcomes = |required: bool, path: &str| {
        let folder = configured(&format!(
            "[[events]]\nto = 'file'\npath = '{path}'\nrequired = {required}\n"
        ));
        let run = replay(&folder);
        let is_lost = path == "/dev/full";
        assert_eq!(run.status, i32::from(required && is_lost), "{}", run.stderr);
        let told = run.stderr.matches("events were not written").count();
        assert_eq!(told, usize::from(is_lost), "{}", run.stderr);
        // Others grant nothing.
        let grants =
            |decision: &Value| decision["message"] == "Path" || decision["message"] == "Resv";
        let decisions: Vec<_> = run.records("decision").filter(grants).collect();
        let accepted = decisions
            .iter()
            .filter(|decision| decision["outcome"] == "accept")
            .count();
        (accepted, decisions)
    };
    let (granted, _) = outcomes(false, "/dev/full");
    assert!(granted > 0);
    let (kept, _) = outcomes(true, "pcm.log");
    assert_eq!(kept, granted);
    let (none, decisions) = outcomes(true, "/dev/full");
    assert_eq!(none, 0);
    let flows = decisions
        .iter()
        .flat_map(|decision| decision["flows"].as_array().unwrap());
    let refused: Vec<_> = flows.filter(|flow| flow["refused_by"] == "sbm").collect();
    assert!(!refused.is_empty());
    for flow in refused {
        assert_eq!(
            (&flow["error_code"], &flow["error_value"]),
            (&23.into(), &0.into())
        );
    }
    let folder = configured("[[events]]\nto = 'file'\npath = '/dev/full'\nrequired = true\n");
    let (config, office) = (folder.path().join("pcm.toml"), office());
    let [config, office] = [&config, &office].map(|path| path.to_str().unwrap());
    let table = pcm(&["replay", "--config", config, office]).stdout;
    assert!(
        table.contains("required events cannot be written"),
        "{table}"
    );
}

#[test]
#[cfg(unix)]
fn sighup_does_not_end_the_program_where_no_file_is_configured() {
    use std::io::Write;
    use std::process::Command;

    let mut child = support::spawn(&["replay", "--format", "json", "-"]);
    let mut capture = child.stdin.take().unwrap();
    let office = fs::read(office()).unwrap();
    let (head, tail) = office.split_at(1_000);
    capture.write_all(head).unwrap();
    // What it waits for now comes after the signal.
    let id = child.id().to_string();
    support::eventually("the signal is taken over", || {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok();
        let Some(status) = status else {
            return Some(());
        };
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
        (caught & 1 != 0).then_some(())
    });
    for _ in 0..2 {
        assert!(
            Command::new("kill")
                .args(["-s", "HUP", &id])
                .status()
                .unwrap()
                .success()
        );
    }
    capture.write_all(tail).unwrap();
    drop(capture);
    let run = support::finish(child);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(run.records("lpm_deinitialized").count(), 1);
}

#[test]
fn the_first_events_say_what_decides() {
    use sha2::{Digest, Sha256};

    let folder = configured("[[events]]\nto = 'file'\npath = 'pcm.log'\n");
    assert_eq!(replay(&folder).status, 0);
    let log = fs::read_to_string(folder.path().join("pcm.log")).unwrap();
    let line = log
        .lines()
        .find(|line| line.contains("lpm_initialized"))
        .unwrap();
    let library = fs::read(support::sample_library()).unwrap();
    let sum: String = Sha256::digest(library)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(
        line.contains(&format!("; library SHA-256 {sum}, configuration SHA-256 ")),
        "{line}"
    );
    // A policy that stands in a file of its own is told, too.
    let apart = support::configured_with(
        "policy_file = 'policy.toml'\n",
        "[[events]]\nto = 'file'\npath = 'pcm.log'\n",
    );
    let policy = "[default]\npriority = 7\n";
    fs::write(apart.path().join("policy.toml"), policy).unwrap();
    assert_eq!(replay(&apart).status, 0);
    let told = fs::read_to_string(apart.path().join("pcm.log")).unwrap();
    let sum: String = Sha256::digest(policy)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(told.contains(&format!(", policy SHA-256 {sum}")), "{told}");
    // Another policy is another sum.
    let sum_of = |line: &str| line.rsplit_once(' ').unwrap().1.to_owned();
    let other = support::configured_with(
        "[default]\npriority = 7\n",
        "[[events]]\nto = 'file'\npath = 'pcm.log'\n",
    );
    assert_eq!(replay(&other).status, 0);
    let other = fs::read_to_string(other.path().join("pcm.log")).unwrap();
    let other = other
        .lines()
        .find(|line| line.contains("lpm_initialized"))
        .unwrap();
    assert_eq!(sum_of(line).len(), 64);
    assert_ne!(sum_of(line), sum_of(other));
}
