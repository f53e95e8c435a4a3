//! What operators ask: who was refused, and why; and what would another policy do.
#![forbid(unsafe_code)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use lpm_rsvp::build::{Identity, Path as PathMessage, PolicyData};
use lpm_rsvp::{FilterSpec, RsvpHop, Session, TimeValues, Tspec};
use serde_json::{Value, json};
use support::{Pcap, Run, configured_with, ipv4, office, pcm};

/// Somebody may send one slow flow.
const STRICT: &str = "[default]\npriority = 7\nmax_flows = 1\nmax_flow_rate = '100 kbit/s'\n\
                      [unauthenticated]\nreject = 'no_privileges'\n";
const GENEROUS: &str = "[default]\npriority = 7\n[unauthenticated]\npriority = 1\n";

/// The Path of a flow of ada's from this port, with this rate in bytes per second.
fn path_packet(port: u16, rate: f32) -> Vec<u8> {
    const RSVP: u8 = 46;
    let hop = RsvpHop {
        address: [10, 0, 0, 7].into(),
        logical_interface: 0,
    };
    let tspec = Tspec {
        rate,
        bucket: 1.0,
        peak_rate: rate,
        min_policed: 1,
        max_packet: 1,
    };
    let sender = FilterSpec::new([10, 0, 0, 7], port);
    let session = Session::new([10, 0, 0, 9], 17, 5004).unwrap();
    let ada = PolicyData::new().element(Identity::user().credential("ada"));
    let path = PathMessage::new(session, hop, TimeValues::DEFAULT, sender, tspec).policy_data(ada);
    ipv4(RSVP, &path.build().unwrap())
}

/// Runs the program in a folder, so that it names files in the same way wherever that is.
fn run_in(folder: &Path, arguments: &[&str]) -> Run {
    let program = env!("CARGO_BIN_EXE_pcm");
    let run = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run {
        status: run.status.code().unwrap(),
        stdout: text(run.stdout),
        stderr: text(run.stderr),
    }
}

fn with_config(command: &[&str], policy: &str, more: &[&str]) -> Run {
    let folder = configured_with(policy, "");
    let office = office();
    let arguments = [
        command,
        &["--config", "pcm.toml", office.to_str().unwrap()],
        more,
    ];
    run_in(folder.path(), &arguments.concat())
}

fn replay(policy: &str, more: &[&str]) -> Run {
    let run = with_config(&["replay", "--format", "json"], policy, more);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    run
}

fn flows(run: &Run) -> Vec<Value> {
    let flows = run.records("decision").flat_map(|decision| {
        let about = decision.clone();
        let flows = decision["flows"].as_array().unwrap().clone();
        flows.into_iter().map(move |mut flow| {
            for field in ["users", "number", "message", "time", "session"] {
                flow[field] = about[field].clone();
            }
            flow
        })
    });
    flows.collect()
}

#[test]
fn whoever_is_refused_is_named_with_the_reason() {
    let run = replay(STRICT, &[]);
    let all = flows(&run);
    let refused: Vec<_> = all
        .iter()
        .filter(|flow| flow["refused_by"] == "policy")
        .collect();
    assert!(!refused.is_empty());
    for flow in &refused {
        let why = flow["why"]
            .as_str()
            .unwrap_or_else(|| panic!("no reason: {flow}"));
        let users = flow["users"].as_array().unwrap();
        match users
            .first()
            .map(|user| user.as_str().unwrap().to_lowercase())
        {
            Some(user) if !user.contains(['=', '(']) => {
                assert!(why.starts_with(&user), "{why}: {user}");
            }
            _ => assert!(why.contains(": "), "{why}"),
        }
    }
    let limits: Vec<&str> = refused
        .iter()
        .filter_map(|flow| flow["why"].as_str())
        .collect();
    assert!(
        limits
            .iter()
            .any(|why| why.contains(" asked, [default] allows 100 kbit/s (")
                && why.ends_with("held")),
        "{limits:?}"
    );
    assert!(
        limits
            .iter()
            .any(|why| why.contains("[unauthenticated] refuses: ")),
        "{limits:?}"
    );
    // Nobody is asked why where a flow is accepted.
    let accepted = all.iter().filter(|flow| flow["outcome"] == "accept");
    assert!(accepted.map(|flow| &flow["why"]).all(Value::is_null));
    assert!(all.iter().all(|flow| flow["asked"].is_object()));
    let table = with_config(&["replay"], STRICT, &[]).stdout;
    assert!(table.contains(limits[0]), "{table}");
}

#[test]
fn filters_show_some_of_what_is_decided_all_the_same() {
    let all = replay(STRICT, &["--no-timing"]);
    let whole = flows(&all);
    let expect = |more: &[&str], is_shown: &dyn Fn(&Value) -> bool| {
        let run = replay(STRICT, &[&["--no-timing"], more].concat());
        let shown = flows(&run);
        let expected: Vec<_> = whole
            .iter()
            .filter(|flow| is_shown(flow))
            .cloned()
            .collect();
        assert!(
            !expected.is_empty() && expected.len() < whole.len(),
            "{more:?}"
        );
        assert_eq!(shown, expected, "{more:?}");
        let summary = |run: &Run| run.records("summary").next().unwrap();
        // It counts all messages, and says how many of them are shown.
        let mut told = summary(&run);
        let count = told["shown"].take();
        let messages = run.records("decision").count();
        let others = ["malformed", "unsupported", "refused", "outgoing"];
        let others = others.map(|what| run.records(what).count());
        let shown = messages + others.iter().sum::<usize>();
        assert_eq!(count, json!(shown), "{more:?}");
        assert_eq!(told, summary(&all), "{more:?}");
    };
    expect(&["--only", "rejected"], &|flow| flow["outcome"] == "reject");
    expect(&["--only", "accepted"], &|flow| flow["outcome"] == "accept");
    let someone = whole
        .iter()
        .find_map(|flow| flow["users"][0].as_str())
        .unwrap();
    expect(&["--user", &someone.to_uppercase()], &|flow| {
        flow["users"].as_array().unwrap().contains(&json!(someone))
    });
    let time = whole[whole.len() / 2]["time"].as_str().unwrap();
    expect(&["--since", time], &|flow| {
        flow["time"].as_str().unwrap() >= time
    });
    expect(&["--until", time.trim_end_matches('Z')], &|flow| {
        flow["time"].as_str().unwrap() < time
    });
    let session = whole[0]["session"].as_str().unwrap();
    expect(&["--session", session], &|flow| flow["session"] == session);
    let address = session.split(':').next().unwrap();
    expect(&["--session", address], &|flow| {
        flow["session"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{address}:"))
    });
    let table = with_config(&["replay", "--user", "nobody of them"], STRICT, &[]).stdout;
    let none = table.lines().find(|line| line.starts_with("0 of "));
    let none = none.unwrap_or_else(|| panic!("{table}"));
    assert!(none.ends_with(" messages shown; of all of them:"), "{none}");
    for (wrong, said) in [
        (&["--since", "yesterday"][..], "expected a time such as"),
        (&["--session", "host"], "such as 10.0.0.1:5004/udp"),
        (
            &["--only", "refused"],
            "possible values: accepted, rejected",
        ),
        (
            &["--since", "2026-03-02T09:00", "--until", "2026-03-02T08:00"],
            "--until has to be later than --since",
        ),
    ] {
        let bad = pcm(&[&["replay", office().to_str().unwrap()], wrong].concat());
        assert_eq!(bad.status, 2, "{wrong:?}");
        assert!(bad.stderr.contains(said), "{}", bad.stderr);
        assert_eq!(bad.stdout, "", "{wrong:?}");
    }
}

#[test]
fn two_runs_without_times_print_the_same() {
    for format in ["table", "json"] {
        let run = || with_config(&["replay", "--format", format, "--no-timing"], STRICT, &[]);
        assert_eq!(run().stdout, run().stdout, "{format}");
    }
}

#[test]
fn a_summary_counts_by_user_application_and_reason() {
    let run = replay(STRICT, &["--summary"]);
    assert_eq!(run.records("decision").count(), 0);
    let tallies: Vec<Value> = run.records("tally").collect();
    let decisions = flows(&replay(STRICT, &[]));
    let count = |by: &str, outcome: &str| -> u64 {
        let tallies = tallies.iter().filter(|tally| tally["by"] == by);
        tallies.map(|tally| tally[outcome].as_u64().unwrap()).sum()
    };
    let refused = decisions
        .iter()
        .filter(|flow| flow["outcome"] == "reject")
        .count() as u64;
    assert_eq!(count("reason", "reject"), refused);
    assert!(count("user", "reject") >= refused - count("application", "reject"));
    let users: BTreeSet<&str> = tallies
        .iter()
        .filter(|tally| tally["by"] == "user")
        .map(|tally| tally["name"].as_str().unwrap())
        .collect();
    assert!(users.len() > 1, "{users:?}");
    let table = with_config(&["replay", "--summary"], STRICT, &[]).stdout;
    assert!(table.contains("user "), "{table}");
    assert!(table.contains(" rejected"), "{table}");
}

#[test]
fn one_message_is_explained() {
    let refused = flows(&replay(STRICT, &["--only", "rejected"]));
    let refused = refused
        .iter()
        .find(|flow| flow["users"][0].is_string())
        .unwrap();
    let number = refused["number"].to_string();
    let run = with_config(&["explain", "--message", &number], STRICT, &[]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{}", run.stdout);
    for part in [
        &format!("message {number}: "),
        "  who asks: ",
        "  previous hop: ",
        "    asks for: rate ",
        "    decision: reject 2/",
        "    why: ",
        "the policy of identity, where nothing is held yet:",
        "[default], line 1",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert!(
        run.stdout.contains(refused["why"].as_str().unwrap()),
        "{}",
        run.stdout
    );
    // What is accepted has a reason, too.
    let accepted = flows(&replay(GENEROUS, &["--only", "accepted"]));
    let number = accepted[0]["number"].to_string();
    let run = with_config(&["explain", "--message", &number], GENEROUS, &[]);
    assert!(
        run.stdout.contains(" admits with priority "),
        "{}",
        run.stdout
    );

    let run = with_config(&["explain", "--message", "4711"], STRICT, &[]);
    assert_eq!(run.status, 1);
    assert!(
        run.stderr.contains("no RSVP message with this number"),
        "{}",
        run.stderr
    );
}

fn diff(old: &str, new: &str, more: &[&str]) -> Run {
    let folders = [old, new].map(|policy| configured_with(policy, ""));
    let configs = folders
        .each_ref()
        .map(|folder| folder.path().join("pcm.toml"));
    let [old, new] = configs.each_ref().map(|config| config.to_str().unwrap());
    let office = office();
    let office = office.to_str().unwrap();
    pcm(&[&["diff", "--config", old, "--config", new, office], more].concat())
}

#[test]
fn what_another_policy_would_decide_is_named_by_flow_and_by_user() {
    let same = diff(STRICT, STRICT, &[]);
    assert_eq!(
        (same.status, same.stderr.as_str()),
        (0, ""),
        "{}",
        same.stdout
    );
    assert!(
        same.stdout
            .starts_with("0 flows decided differently, in 0 decisions on "),
        "{}",
        same.stdout
    );

    let run = diff(GENEROUS, STRICT, &["--format", "json"]);
    assert_eq!((run.status, run.stderr.as_str()), (1, ""));
    let differences: Vec<Value> = run.records("difference").collect();
    let (old, new) = (flows(&replay(GENEROUS, &[])), flows(&replay(STRICT, &[])));
    let different: Vec<_> = old
        .iter()
        .zip(&new)
        .filter(|(old, new)| {
            ["outcome", "lpv", "error_code", "error_value"]
                .iter()
                .any(|field| old[*field] != new[*field])
        })
        .collect();
    let summary = run.records("summary").next().unwrap();
    assert_eq!(summary["decisions"].as_u64(), Some(different.len() as u64));
    assert_eq!(summary["flows"].as_u64(), Some(differences.len() as u64));
    assert!(!differences.is_empty() && differences.len() <= different.len());
    for difference in &differences {
        assert_eq!(difference["old"]["outcome"], "accept");
        assert_eq!(difference["new"]["outcome"], "reject");
    }
    assert!(
        differences
            .iter()
            .any(|it| it["why"].as_str().is_some_and(|why| why.contains("allows")))
    );
    let no_more: u64 = run
        .records("tally")
        .map(|tally| tally["no_more"].as_u64().unwrap())
        .sum();
    assert!(no_more >= differences.len() as u64);

    let table = diff(GENEROUS, STRICT, &[]);
    assert_eq!(table.status, 1);
    assert!(
        table.stdout.contains("  accept, priority 7 > reject 2/"),
        "{}",
        table.stdout
    );
    assert!(
        table
            .stdout
            .contains(" flows no longer accepted, 0 accepted now, "),
        "{}",
        table.stdout
    );
}

#[test]
fn a_comparison_that_cannot_be_made_is_no_difference() {
    let office = office();
    let office = office.to_str().unwrap();
    let folder = configured_with(STRICT, "");
    let config = folder.path().join("pcm.toml");
    let config = config.to_str().unwrap();
    let one = pcm(&["diff", "--config", config, office]);
    assert_eq!(one.status, 2);
    assert!(
        one.stderr.contains("expected --config twice"),
        "{}",
        one.stderr
    );
    let stdin = pcm(&["diff", "--config", config, "--config", config, "-"]);
    assert_eq!(stdin.status, 2);
    assert!(
        stdin.stderr.contains("captures are read twice"),
        "{}",
        stdin.stderr
    );
    let absent = pcm(&[
        "diff",
        "--config",
        config,
        "--config",
        "absent.toml",
        office,
    ]);
    assert_eq!(absent.status, 2);
    assert!(absent.stderr.contains("absent.toml"), "{}", absent.stderr);
}

#[test]
fn the_table_fits_the_terminal() {
    let folder = configured_with(STRICT, "");
    let captures = folder.path().join("office.pcap");
    fs::copy(office(), &captures).unwrap();
    let mut lengths = Vec::new();
    for columns in [80, 120, 200] {
        let output = Command::new(env!("CARGO_BIN_EXE_pcm"))
            .args(["replay", "--config", "pcm.toml", "office.pcap"])
            .current_dir(folder.path())
            .env("COLUMNS", columns.to_string())
            .output()
            .unwrap();
        assert!(output.status.success());
        let table = String::from_utf8(output.stdout).unwrap();
        let rows = table.lines().skip_while(|line| !line.starts_with("packet"));
        let rows: Vec<&str> = rows.take_while(|line| !line.starts_with("LPM ")).collect();
        assert!(rows.len() > 10, "{table}");
        for row in &rows {
            assert!(row.chars().count() <= columns, "{columns}: {row}");
        }
        // Whatever it is broken into, all of it is there.
        let words: Vec<&str> = rows.iter().flat_map(|row| row.split_whitespace()).collect();
        assert!(words.contains(&"[unauthenticated]") && words.contains(&"reject"));
        lengths.push(rows.len());
    }
    assert!(lengths[0] > lengths[2], "{lengths:?}");
}

#[test]
fn a_refresh_that_is_refused_again_has_the_reason_of_now() {
    const RAW: u16 = 101;
    let (fast, slow) = (path_packet(1, 1e6), path_packet(2, 1e3));
    let packets = [&fast, &fast, &fast, &slow, &fast, &fast, &slow, &fast];
    let policy = "[default]\npriority = 7\nmax_flow_rate = '100 kbit/s'\n";
    let folder = configured_with(policy, "");
    fs::write(folder.path().join("a.pcap"), Pcap::new(RAW).file(&packets)).unwrap();
    let arguments = ["replay", "--config", "pcm.toml", "a.pcap", "--format"];
    let run = |format| run_in(folder.path(), &[&arguments[..], &[format]].concat());

    let whys: Vec<_> = flows(&run("json"))
        .iter()
        .filter_map(|flow| Some(flow["why"].as_str()?.to_owned()))
        .collect();
    assert_eq!(whys.len(), 6, "{whys:?}");
    let different: BTreeSet<_> = whys.iter().collect();
    assert_eq!(different.len(), 2, "{whys:?}");
    let table = run("table");
    let rows = table.stdout.lines().filter(|row| row.contains(" reject "));
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len(), whys.len(), "{}", table.stdout);
    for (row, why) in rows.iter().zip(&whys) {
        assert!(row.ends_with(why.as_str()), "{row}: {why}");
        assert!(row.contains("  ada  "), "{row}");
    }
}
