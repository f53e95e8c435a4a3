//! `pcm replay` as its users see it: what it prints where, and how it ends.

mod support;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::Value;
use support::{Pcap, Run, START, ipv4, pcm, pcm_with_input};
use tempfile::TempDir;

const RAW: u16 = 101;
const RSVP: u8 = 46;

/// A Path message, the first of the demo capture.
fn path_packet() -> Vec<u8> {
    let demo = fs::read(demo()).unwrap();
    let length = u32::from_le_bytes(demo[32..36].try_into().unwrap()) as usize;
    demo[40 + 14..40 + length].to_vec()
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/office.pcap")
}

fn demo_path() -> String {
    demo().to_str().unwrap().to_owned()
}

/// A folder with one file in it.
fn file(name: &str, contents: impl AsRef<[u8]>) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, contents).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

/// The sample LPM's library, as the program itself finds it.
fn sample_library() -> String {
    let run = pcm(&["replay", "--format", "json", &demo_path()]);
    let library = run.records("lpm_initialized").next().unwrap()["library"].clone();
    library.as_str().unwrap().to_owned()
}

fn error_line(run: &Run) -> &str {
    assert_eq!(run.stderr.lines().count(), 1, "one line: {}", run.stderr);
    run.stderr.trim_end()
}

#[test]
fn json_records_come_in_order_with_all_their_fields() {
    let run = pcm(&["replay", "--format", "json", &demo_path()]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    let records = run.json();
    let order = [
        (
            "lpm_initialized",
            &["lpm", "handle", "pe_type", "library"][..],
        ),
        (
            "decision",
            &[
                "number",
                "capture",
                "packet",
                "time",
                "source",
                "destination",
                "message",
                "interface",
                "session",
                "integrity",
                "users",
                "applications",
                "previous_hop",
                "flows",
                "outcome",
                "nanos",
            ],
        ),
        (
            "capture",
            &[
                "capture",
                "packets",
                "messages",
                "not_looked_into",
                "other",
                "error",
            ],
        ),
        (
            "lpm_deinitialized",
            &["lpm", "handle", "reason", "status", "status_name", "nanos"],
        ),
        (
            "library_unloaded",
            &["library", "outcome", "reasons", "nanos"],
        ),
        (
            "summary",
            &[
                "messages",
                "accept",
                "reject",
                "drop",
                "dont_care",
                "malformed",
                "unsupported",
                "refused",
                "outgoing",
                "bundles",
                "incomplete",
                "types",
                "removed",
                "flows",
                "shown",
            ],
        ),
    ];
    let mut place = 0;
    for record in &records {
        let kind = record["type"].as_str().unwrap();
        let mut fields = &[
            "id",
            "severity",
            "lpm",
            "handle",
            "library",
            "status",
            "status_name",
            "detail",
        ][..];
        if kind == "state_removed" {
            fields = &[
                "time",
                "message",
                "interface",
                "session",
                "filter",
                "reason",
            ];
        } else if kind != "event" {
            place += order[place..]
                .iter()
                .position(|(name, _)| *name == kind)
                .unwrap();
            fields = order[place].1;
        }
        let mut names: Vec<_> = record
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        names.retain(|name| *name != "type");
        let mut fields = fields.to_vec();
        fields.sort_unstable();
        names.sort_unstable();
        assert_eq!(names, fields, "{kind}");
    }
    assert_eq!(records.last().unwrap()["type"], "summary");

    let initialized = run.records("lpm_initialized").next().unwrap();
    assert_eq!(
        (&initialized["lpm"], &initialized["pe_type"]),
        (&"sample".into(), &0.into())
    );
    let deinitialized = run.records("lpm_deinitialized").next().unwrap();
    assert_eq!(deinitialized["handle"], initialized["handle"]);
    assert_eq!(deinitialized["reason"], "demotion");
    assert_eq!(deinitialized["status"], 0);
    let unloaded = run.records("library_unloaded").next().unwrap();
    assert_eq!(unloaded["library"], initialized["library"]);
    assert_eq!(unloaded["outcome"], support::GONE);
    let reasons = unloaded["reasons"].as_array().map(Vec::len);
    assert_eq!(reasons, Some(usize::from(support::GONE != "unmapped")));

    let resv = run.records("decision").nth(20).unwrap();
    assert_eq!(resv["number"], 21);
    assert_eq!(resv["time"], "2026-03-02T08:00:05.000000Z");
    assert_eq!(resv["session"], "10.1.1.21:5060/udp");
    assert_eq!(resv["outcome"], "accept");
    let fields = [
        "error_code",
        "error_value",
        "filter",
        "index",
        "lpv",
        "outcome",
        "by",
        "refused_by",
        "resources",
        "path",
        "asked",
        "why",
    ];
    for (index, flow) in resv["flows"].as_array().unwrap().iter().enumerate() {
        assert_eq!(flow["index"], index);
        assert_eq!(flow["filter"], format!("10.1.2.6{index}:4060"));
        assert_eq!(flow["by"], "sample");
        assert!(fields.iter().all(|field| flow.get(field).is_some()));
        assert_eq!(flow.as_object().unwrap().len(), fields.len());
    }
    let shared = run.records("decision").nth(23).unwrap();
    assert_eq!(
        shared["flows"][0]["filter"],
        "10.1.1.23:4010, 10.1.1.27:4010"
    );
    let wildcard = run.records("decision").nth(24).unwrap();
    assert_eq!(wildcard["flows"][0]["filter"], Value::Null);
}

#[test]
fn the_table_has_a_row_per_flow_and_no_colours_in_a_pipe() {
    let run = pcm(&["replay", &demo_path()]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
    let rows: Vec<_> = run
        .stdout
        .lines()
        .filter(|line| line.contains("10.1.1.21:5060/udp"))
        .collect();
    assert!(
        rows[0].contains("Resv") && rows[0].contains("accept, priority 300"),
        "{rows:?}"
    );
    assert!(
        run.stdout
            .contains(" asked, [[group]] \"engineering\" allows "),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .ends_with("0 dropped, 0 malformed; 12 flows left, 1 removed\n"),
        "{}",
        run.stdout
    );

    let coloured = pcm(&["--color", "always", "replay", &demo_path()]);
    assert!(coloured.stdout.contains('\u{1b}'));
    let stripped = anstream::adapter::strip_str(&coloured.stdout).to_string();
    assert_eq!(stripped.lines().count(), run.stdout.lines().count());
}

#[test]
fn captures_are_numbered_on_and_dash_is_standard_input() {
    let capture = Pcap::new(RAW).file(&[path_packet(), path_packet()]);
    let run = pcm_with_input(&["replay", "--format", "json", &demo_path(), "-"], &capture);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let numbers: Vec<_> = run
        .records("decision")
        .map(|record| record["number"].clone())
        .collect();
    assert_eq!(numbers, (1..=32).map(Value::from).collect::<Vec<_>>());
    let last = run.records("decision").last().unwrap();
    assert_eq!(last["time"], "2001-09-09T01:46:41.123456Z");
    assert_eq!(START, 1_000_000_000);
}

#[test]
fn malformed_messages_are_reported_and_do_not_end_the_run() {
    let good = path_packet();
    let mut wrong_version = good.clone();
    wrong_version[24] = 0x20;
    let capture = Pcap::new(RAW).snapped(&[
        (&good, 0),
        (&wrong_version, 0),
        (&good[..60], 100),
        (&ipv4(RSVP, &[]), 0),
        (&good, 0),
    ]);
    let (_folder, path) = file("five.pcap", capture);
    let run = pcm(&["replay", "--format", "json", &path]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    let malformed: Vec<_> = run.records("malformed").collect();
    let numbers: Vec<_> = malformed
        .iter()
        .map(|record| record["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [2, 3, 4]);
    assert_eq!(malformed[0]["offset"], 0);
    assert!(
        malformed[0]["error"]
            .as_str()
            .unwrap()
            .contains("version 2"),
        "{malformed:?}"
    );
    assert_eq!(malformed[1]["offset"], 36);
    assert!(
        malformed[1]["error"]
            .as_str()
            .unwrap()
            .contains("incomplete (packet 3)")
    );
    assert_eq!(malformed[2]["offset"], 0);
    let summary = run.records("summary").next().unwrap();
    assert_eq!(
        (&summary["messages"], &summary["malformed"]),
        (&5.into(), &3.into())
    );

    let table = pcm(&["replay", &path]);
    assert_eq!(table.status, 0);
    assert!(
        table.stdout.contains("message 2: malformed at offset 0"),
        "{}",
        table.stdout
    );
}

#[test]
fn what_is_no_capture_is_told_in_one_line_before_anything_is_loaded() {
    let (folder, text) = file("notes.txt", "Dear diary,\n");
    let empty = folder.path().join("empty.pcap");
    fs::write(&empty, "").unwrap();
    let missing = folder.path().join("missing.pcap");
    for (path, words) in [
        (Path::new(&text), "is not a capture file"),
        (&empty, "is empty"),
        (folder.path(), "is a directory"),
        (&missing, "cannot be opened"),
    ] {
        let run = pcm(&["replay", path.to_str().unwrap()]);
        assert_eq!((run.status, run.stdout.as_str()), (1, ""));
        let line = error_line(&run);
        assert!(
            line.starts_with(&format!("pcm: {}: ", path.display())),
            "{line}"
        );
        assert!(line.contains(words), "{line}");
    }
    let run = pcm_with_input(&["replay", "-"], b"");
    assert_eq!(run.status, 1);
    assert_eq!(
        error_line(&run),
        "pcm: standard input: is empty, not a capture file"
    );
}

#[cfg(unix)]
#[test]
fn a_capture_without_permission_is_told_of() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = file("secret.pcap", Pcap::new(RAW).file(&[path_packet()]));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        return eprintln!("not checked: this user may read everything");
    }
    let run = pcm(&["replay", &path]);
    assert_eq!(run.status, 1);
    assert!(
        error_line(&run).contains("Permission denied"),
        "{}",
        run.stderr
    );
}

#[test]
fn what_is_whole_of_a_capture_that_is_cut_off_is_decided() {
    let mut capture = Pcap::new(RAW).file(&[path_packet(), path_packet()]);
    capture.truncate(capture.len() - 7);
    let (_folder, path) = file("cut.pcap", capture);
    let run = pcm(&["replay", "--format", "json", &path, &demo_path()]);
    assert_eq!(run.status, 1);
    let line = error_line(&run);
    assert!(
        line.contains("is cut off") && line.contains("after packet 1"),
        "{line}"
    );
    // The capture after it is decided too, and the LPM ends well.
    assert_eq!(run.records("decision").count(), 31);
    assert_eq!(run.records("library_unloaded").count(), 1);
    assert_eq!(run.json().last().unwrap()["messages"], 31);
}

#[test]
fn wrong_usage_has_a_status_of_its_own() {
    for arguments in [
        &["replay"][..],
        &["replay", "--format", "xml", "x.pcap"],
        &["replay", "--colour", "x.pcap"],
        &["play"],
        &[],
    ] {
        let run = pcm(arguments);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(run.stderr.contains("--help"), "{}", run.stderr);
    }
    let help = pcm(&["--help"]);
    assert_eq!(help.status, 0);
    assert!(help.stdout.contains("Exit status:"));
}

#[test]
fn a_faulty_configuration_is_told_with_file_line_and_key() {
    let (folder, path) = file(
        "pcm.toml",
        "[[lpm]]\nname = 'a'\nlibrary = 'a.so'\noptionl = true\n",
    );
    let run = pcm(&["replay", "--config", &path, &demo_path()]);
    assert_eq!((run.status, run.stdout.as_str()), (1, ""));
    let line = error_line(&run);
    assert!(
        line.contains(&format!(
            "{path}: line 4, column 1: unknown field `optionl`"
        )),
        "{line}"
    );

    let missing = folder.path().join("other.toml");
    let run = pcm(&[
        "replay",
        "--config",
        missing.to_str().unwrap(),
        &demo_path(),
    ]);
    assert_eq!(run.status, 1);
    assert!(
        error_line(&run).contains("other.toml: cannot be read"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_required_lpm_that_does_not_load_ends_the_run() {
    let (folder, path) = file("pcm.toml", "[[lpm]]\nname = 'gone'\nlibrary = 'gone.so'\n");
    let library = folder.path().join("gone.so");
    for broken in [false, true] {
        if broken {
            fs::write(&library, "not a library\n").unwrap();
        }
        let run = pcm(&["replay", "--config", &path, &demo_path()]);
        assert_eq!((run.status, run.stdout.as_str()), (1, ""));
        let line = error_line(&run);
        assert!(
            line.contains("LPM gone: ") && line.contains("gone.so"),
            "{line}"
        );

        let run = pcm(&[
            "replay",
            "--format",
            "json",
            "--config",
            &path,
            &demo_path(),
        ]);
        assert_eq!(run.status, 1);
        assert!(error_line(&run).contains("gone.so"), "{}", run.stderr);
        let event = run.records("event").next().unwrap();
        assert_eq!(event["id"], "lpm_load_failed");
        assert_eq!(
            (&event["severity"], &event["lpm"]),
            (&"error".into(), &"gone".into())
        );
    }
}

#[test]
fn an_optional_lpm_that_does_not_load_is_told_of() {
    let library = sample_library();
    let (_folder, path) = file(
        "pcm.toml",
        format!(
            "[[lpm]]\nname = 'gone'\nlibrary = 'gone.so'\noptional = true\n\
             [[lpm]]\nname = 'sample'\nlibrary = '{library}'\n[lpm.config.default]\npriority = 7\n\
             [lpm.config.unauthenticated]\npriority = 3\n"
        ),
    );
    let run = pcm(&["replay", "--config", &path, &demo_path()]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(error_line(&run).contains("LPM gone: "), "{}", run.stderr);
    assert!(run.stdout.contains("accept, priority 7"), "{}", run.stdout);
}

#[test]
fn the_sample_lpm_is_found_where_packages_put_it() {
    // Beside what is linked there: a file that was just written may not be run while a child of
    // another test has it open.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let root = folder.path().canonicalize().unwrap();
    let program = root.join(format!("bin/pcm{}", std::env::consts::EXE_SUFFIX));
    let library = PathBuf::from(sample_library());
    let installed = root.join("lib/lpm").join(library.file_name().unwrap());
    for (from, to) in [
        (Path::new(env!("CARGO_BIN_EXE_pcm")), &program),
        (&library, &installed),
    ] {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::hard_link(from, to).unwrap();
    }
    let run = std::process::Command::new(&program)
        .args(["replay", "--format", "json", &demo_path()])
        .output()
        .unwrap();
    let first = String::from_utf8(run.stdout).unwrap();
    let first: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    assert_eq!(first["library"].as_str(), installed.to_str());
}

#[test]
fn a_library_listed_twice_is_initialized_twice_and_unloaded_once() {
    let library = sample_library();
    let lpm = |name| {
        format!(
            "[[lpm]]\nname = '{name}'\nlibrary = '{library}'\n[lpm.config.default]\npriority = 7\n\
             [lpm.config.unauthenticated]\npriority = 3\n"
        )
    };
    let (_folder, path) = file("pcm.toml", lpm("one") + &lpm("two"));
    let run = pcm(&[
        "replay",
        "--format",
        "json",
        "--config",
        &path,
        &demo_path(),
    ]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let names = |kind| {
        run.records(kind)
            .map(|record| {
                (
                    record["lpm"].as_str().unwrap().to_owned(),
                    record["handle"].as_u64().unwrap(),
                )
            })
            .collect::<Vec<_>>()
    };
    let mut started = names("lpm_initialized");
    assert_eq!(
        started
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>(),
        ["one", "two"]
    );
    assert_ne!(started[0].1, started[1].1);
    started.reverse();
    assert_eq!(names("lpm_deinitialized"), started);
    assert_eq!(run.records("library_unloaded").count(), 1);
}

#[test]
fn a_fault_in_an_lpms_configuration_names_the_line_of_pcm_toml() {
    let library = sample_library();
    let (_folder, path) = file(
        "pcm.toml",
        format!(
            "[[lpm]]\nname = 'sample'\nlibrary = '{library}'\n\n[lpm.config.default]\n\
             priority = 7\nmax_flow = 3\n"
        ),
    );
    let run = pcm(&["replay", "--config", &path, &demo_path()]);
    assert_eq!((run.status, run.stdout.as_str()), (1, ""));
    let line = error_line(&run);
    assert!(
        line.contains(&format!("{path}:7: max_flow in [default]")),
        "{line}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_of() {
    for format in ["table", "json"] {
        let run = support::pcm_into("/dev/full", &["replay", "--format", format, &demo_path()]);
        assert_eq!(run.status, 1);
        assert!(error_line(&run).contains("No space left"), "{}", run.stderr);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let packets = vec![path_packet(); 20_000];
    let (_folder, path) = file(
        "long.pcap",
        Pcap {
            interval: 0,
            ..Pcap::new(RAW)
        }
        .file(&packets),
    );
    for format in ["table", "json"] {
        let (first_line, run) =
            support::pcm_until_first_line(&["replay", "--format", format, &path]);
        assert!(!first_line.is_empty());
        assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    }
}

#[cfg(unix)]
#[test]
fn a_signal_takes_the_same_road_out() {
    let capture = Pcap::new(RAW).file(&[path_packet()]);
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        // The capture on standard input is not ended: the program waits for more.
        let run = support::pcm_stopped_by(signal, &["replay", "--format", "json", "-"], &capture);
        assert_eq!((run.status, run.stderr.as_str()), (status, ""));
        assert_eq!(run.records("decision").count(), 1);
        let deinitialized = run.records("lpm_deinitialized").next().unwrap();
        assert_eq!(deinitialized["reason"], "shutdown");
        assert_eq!(run.records("library_unloaded").count(), 1);
        assert_eq!(run.json().last().unwrap()["type"], "summary");
    }
}

/// As `cargo install` puts it: the program alone.
#[test]
fn without_its_library_the_sample_that_is_built_in_decides_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("pcm");
    fs::copy(env!("CARGO_BIN_EXE_pcm"), &program).unwrap();
    let alone = |format: &str| {
        let mut command = std::process::Command::new(&program);
        command.args(["replay", "--format", format, &demo_path()]);
        // A child that another test forked during the copy has it open for writing until it execs.
        let output = loop {
            match command.output() {
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => thread::yield_now(),
                output => break output.unwrap(),
            }
        };
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        String::from_utf8(output.stdout).unwrap()
    };
    let first = alone("table");
    let first = first.lines().next().unwrap();
    assert!(
        first.ends_with("built in (lpm_sample::lpm::SampleLpm)"),
        "{first}"
    );
    let outcomes = |out: &str| -> Vec<Value> {
        let records = out
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let decisions = records.filter(|record| record["type"] == "decision");
        decisions
            .map(|decision| decision["outcome"].clone())
            .collect()
    };
    let run = pcm(&["replay", "--format", "json", &demo_path()]);
    let expected = outcomes(&run.stdout);
    assert!(expected.len() > 10);
    assert_eq!(outcomes(&alone("json")), expected);
}
