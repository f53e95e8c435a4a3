//! The demo capture: made anew, read by an independent reader, and decided as its story says.

mod support;

#[path = "../examples/office_capture.rs"]
mod office_capture;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::pcm;

/// What the demo policy says about each message of the demo capture, worked out by hand:
/// message type, then per flow the priority it is accepted with, or error code and value.
const EXPECTED: [(&str, &[Flow]); 30] = [
    // Engineers: 2 Mbit/s, Ada 8; 19 is the flow rate (2) of a user (3): 8 · 2 + 3.
    ("Path", &[Accept(300)]),
    ("Path", &[Accept(300)]),
    ("Path", &[Reject(19)]),
    ("Path", &[Accept(300)]),
    // Katherine: priority 1000, but the default's 500 kbit/s: 8 · 2 + 1.
    ("Path", &[Accept(1000)]),
    ("Path", &[Reject(17)]),
    // George: one flow at a time: 8 · 0 + 3, until the first one is torn down.
    ("Path", &[Accept(100)]),
    ("Path", &[Reject(3)]),
    ("PathTear", &[]),
    ("Path", &[Accept(100)]),
    // Charles has left (51), a visitor has no privileges (50).
    ("Path", &[Reject(51)]),
    ("Path", &[Reject(50)]),
    // Mary is not listed: the default, 500 kbit/s.
    ("Path", &[Accept(100)]),
    ("Path", &[Reject(17)]),
    // Nobody in particular: 64 kbit/s, 8 · 2 + 4.
    ("Path", &[Accept(1)]),
    ("Path", &[Reject(20)]),
    ("Path", &[Accept(1)]),
    // Telephones and the backup.
    ("Path", &[Accept(5000)]),
    ("Resv", &[Accept(5000)]),
    ("Path", &[Accept(10)]),
    // Grace's group may have 2 Mbit/s (8 · 2 + 2) and three flows (8 · 0 + 2).
    (
        "Resv",
        &[Accept(300), Accept(300), Reject(18), Accept(300), Reject(2)],
    ),
    ("ResvTear", &[]),
    ("Resv", &[Accept(300)]),
    // The all-hands meeting.
    ("Resv", &[Accept(300)]),
    ("Resv", &[Accept(1)]),
    ("ResvTear", &[]),
    // Errors on their way back pass.
    ("PathErr", &[Accept(1)]),
    ("ResvErr", &[Accept(1)]),
    ("ResvConf", &[]),
    ("PathTear", &[]),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flow {
    /// With this priority.
    Accept(u64),
    /// By policy (error code 2), with this error value.
    Reject(u64),
}
use Flow::{Accept, Reject};

fn office_pcap() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/office.pcap")
}

#[test]
fn the_program_that_makes_it_makes_the_same_bytes() {
    let made = office_capture::office_capture().unwrap();
    let stored = fs::read(office_pcap()).unwrap();
    assert!(
        made == stored,
        "run `cargo run -p lpm-pcm --example office_capture`"
    );
}

#[test]
fn it_is_decided_as_the_policy_says() {
    let run = pcm(&[
        "replay",
        "--format",
        "json",
        office_pcap().to_str().unwrap(),
    ]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let decisions: Vec<_> = run.records("decision").collect();
    assert_eq!(decisions.len(), EXPECTED.len());
    for (decision, (message, flows)) in decisions.iter().zip(EXPECTED) {
        let decided: Vec<_> = decision["flows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|flow| match flow["outcome"].as_str().unwrap() {
                "accept" => Accept(flow["lpv"].as_u64().unwrap()),
                "reject" => {
                    assert_eq!(flow["lpv"], 65535);
                    assert_eq!(flow["error_code"], 2);
                    Reject(flow["error_value"].as_u64().unwrap())
                }
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(
            (decision["message"].as_str().unwrap(), &decided[..]),
            (message, flows)
        );
    }
    // The telephone call's reservation ends with its Path.
    let removed: Vec<_> = run.records("state_removed").collect();
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0]["session"], "10.1.1.52:16384/udp");
    assert_eq!(removed[0]["reason"], "received_path_tear");
    // Three Resvs have a path: the call and the meeting's two.
    let has_path = |decision: &&Value| decision["flows"][0]["path"] == "known";
    assert_eq!(decisions.iter().filter(has_path).count(), 3);
    let summary = run.records("summary").next().unwrap();
    assert_eq!(summary["messages"], 30);
    assert_eq!(summary["malformed"], 0);
    assert_eq!(
        (&summary["removed"], &summary["flows"]),
        (&1.into(), &12.into())
    );
}

#[test]
fn tshark_reads_the_same() {
    let output = Command::new("tshark")
        .args(["-n", "-d", "udp.port==1698,rsvp", "-T", "fields"])
        .args([
            "-e",
            "rsvp.msg",
            "-e",
            "_ws.malformed",
            "-e",
            "_ws.expert.severity",
        ])
        .args(["-e", "ip.opt.ra", "-o", "ip.check_checksum:TRUE", "-r"])
        .arg(office_pcap())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return eprintln!("not checked: tshark does not run here: {error}"),
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let output = String::from_utf8(output.stdout).unwrap();
    let numbers = [
        "Path", "Resv", "PathErr", "ResvErr", "PathTear", "ResvTear", "ResvConf",
    ];
    let read: Vec<_> = output
        .lines()
        .map(|line| {
            let fields: Vec<_> = line.split('\t').collect();
            assert_eq!(fields[1..3], ["", ""], "malformed, or a complaint: {line}");
            let number: usize = fields[0].parse().unwrap();
            (numbers[number - 1], !fields[3].is_empty())
        })
        .collect();
    let types: Vec<_> = read.iter().map(|(message, _)| *message).collect();
    assert_eq!(types, EXPECTED.map(|(message, _)| message));
    let mut alerts = 0;
    for (message, alert) in read {
        let wanted = ["Path", "PathTear", "ResvConf"].contains(&message);
        assert!(wanted || !alert, "{message} with Router Alert");
        alerts += usize::from(alert);
    }
    // All but the one in UDP.
    let wanted = types
        .iter()
        .filter(|kind| ["Path", "PathTear", "ResvConf"].contains(kind));
    assert_eq!(alerts, wanted.count() - 1);
}
