//! The SBM stand-in as users of `pcm replay` see it: timers by the capture's clock, bandwidth, and
//! that the LPMs hear of both.
#![forbid(unsafe_code)]

mod support;

use std::fs;
use std::net::Ipv4Addr;

use lpm_fixtures::library;
use lpm_rsvp::build::{Flows, Path, PathTear, Resv};
use lpm_rsvp::{FilterSpec, RsvpHop, ServiceRequest, Session, TimeValues, Tspec};
use serde_json::{Value, json};
use support::{Pcap, RSVP, Run, configured_with, ipv4, pcm};

const RAW: u16 = 101;

/// Accepts one flow of anybody at a time.
const ONE_FLOW: &str = "[default]\npriority = 7\n[unauthenticated]\npriority = 3\nmax_flows = 1\n";

const ANYBODY: &str = "[default]\npriority = 7\n[unauthenticated]\npriority = 3\n";

fn session(number: u8) -> Session {
    Session::new(Ipv4Addr::new(10, 0, 1, number), 17, 5004).unwrap()
}

fn sender() -> FilterSpec {
    FilterSpec::new(Ipv4Addr::new(10, 0, 0, 7), 4000)
}

fn hop(number: u8) -> RsvpHop {
    RsvpHop {
        address: Ipv4Addr::new(10, 0, 9, number).into(),
        logical_interface: 0,
    }
}

/// 1 Mbit/s.
const TSPEC: Tspec = Tspec {
    rate: 125_000.0,
    bucket: 1_000.0,
    peak_rate: f32::INFINITY,
    min_policed: 64,
    max_packet: 1500,
};

fn path(number: u8) -> Vec<u8> {
    let path = Path::new(
        session(number),
        hop(1),
        TimeValues::DEFAULT,
        sender(),
        TSPEC,
    );
    ipv4(RSVP, &path.build().unwrap())
}

fn resv(number: u8) -> Vec<u8> {
    resv_of(number, 2, TSPEC.rate)
}

fn resv_of(number: u8, next_hop: u8, rate: f32) -> Vec<u8> {
    let tspec = Tspec { rate, ..TSPEC };
    let flows = Flows::FixedFilter(vec![(ServiceRequest::ControlledLoad(tspec), sender())]);
    let resv = Resv::new(session(number), hop(next_hop), TimeValues::DEFAULT, flows);
    ipv4(RSVP, &resv.build().unwrap())
}

/// Decides packets, one every `interval` seconds.
fn replay(interval: u32, packets: &[Vec<u8>], policy: &str, tables: &str) -> Run {
    replay_as("json", interval, packets, policy, tables)
}

fn replay_as(format: &str, interval: u32, packets: &[Vec<u8>], policy: &str, tables: &str) -> Run {
    let folder = configured_with(policy, tables);
    let capture = folder.path().join("capture.pcap");
    let pcap = Pcap {
        interval,
        ..Pcap::new(RAW)
    };
    fs::write(&capture, pcap.file(packets)).unwrap();
    let config = folder.path().join("pcm.toml");
    let [config, capture] = [&config, &capture].map(|path| path.to_str().unwrap());
    let run = pcm(&["replay", "--format", format, "--config", config, capture]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    run
}

/// A field of each decision's only flow.
fn of_flows(run: &Run, field: &str) -> Vec<Value> {
    run.records("decision")
        .map(|decision| decision["flows"][0][field].clone())
        .collect()
}

#[test]
fn what_is_not_refreshed_times_out_by_the_clock_of_the_capture() {
    // 0 s, 100 s, 200 s: the first one's time is over after 157.5 s.
    let run = replay(100, &[path(1), path(2), path(3)], ANYBODY, "");
    let removed: Vec<_> = run.records("state_removed").collect();
    assert_eq!(
        removed,
        [json!({
            "type": "state_removed", "time": "2001-09-09T01:49:17.623456Z", "message": "Path",
            "interface": 1, "session": "10.0.1.1:5004/udp", "filter": "10.0.0.7:4000",
            "reason": "state_timeout",
        })]
    );
    let summary = run.records("summary").next().unwrap();
    assert_eq!(
        (&summary["removed"], &summary["flows"]),
        (&1.into(), &2.into())
    );
    // Refreshed, it stays.
    let run = replay(100, &[path(1), path(1), path(1), path(1)], ANYBODY, "");
    assert_eq!(run.records("state_removed").count(), 0);
}

#[test]
fn lpms_hear_of_a_timeout() {
    let refused = |run: &Run| of_flows(run, "outcome");
    let run = replay(100, &[path(1), path(2)], ONE_FLOW, "");
    assert_eq!(refused(&run), ["accept", "reject"]);
    assert_eq!(of_flows(&run, "refused_by"), [Value::Null, "policy".into()]);
    // The first flow is over: there is room for another.
    let run = replay(160, &[path(1), path(2)], ONE_FLOW, "");
    assert_eq!(refused(&run), ["accept", "accept"]);
    let limit = "[sbm]\nmax_flow_duration = '90 s'\n";
    let run = replay(100, &[path(1), path(2)], ONE_FLOW, limit);
    assert_eq!(refused(&run), ["accept", "accept"]);
    let removed = run.records("state_removed").next().unwrap();
    assert_eq!(removed["reason"], "flow_duration");
}

#[test]
fn bandwidth_runs_out() {
    let pool = "[interface.'*']\nbandwidth = '1.5 Mbit/s'\n";
    let packets = [path(1), resv(1), resv(1), path(2), resv(2)];
    let run = replay(1, &packets, ANYBODY, pool);
    assert_eq!(
        of_flows(&run, "resources"),
        json!([null, "allocated", "unchanged", null, "refused"])
            .as_array()
            .unwrap()
            .as_slice()
    );
    let refused = run.records("decision").last().unwrap();
    assert_eq!(refused["outcome"], "reject");
    let flow = &refused["flows"][0];
    assert_eq!(
        (&flow["error_code"], &flow["error_value"]),
        (&1.into(), &2.into())
    );
    // What policy said.
    assert_eq!((&flow["lpv"], &flow["by"]), (&3.into(), &"identity".into()));
    assert_eq!(flow["refused_by"], "sbm");
}

#[test]
fn a_table_for_an_interface_without_messages_is_told() {
    let tables = "[interface.1]\nbandwidth = '1 Mbit/s'\n[interface.7]\nbandwidth = '1 Mbit/s'\n\
                  [interface.'192.0.2.77']\nbandwidth = '1 Mbit/s'\n[interface.'*']\nbandwidth = '1 bit/s'\n";
    let run = replay(1, &[path(1)], ANYBODY, tables);
    let lines: Vec<_> = run.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, name) in lines.iter().zip(["192.0.2.77", "7"]) {
        let expected = format!("pcm: [interface.\"{name}\"] was not used: no message came in on");
        assert!(line.starts_with(&expected), "{line}");
    }
}

#[test]
fn lpms_hear_that_resources_are_refused() {
    // A flow of each kind: the Path counts as sent, the Resv as received.
    let none = "[interface.1]\nbandwidth = '0 bit/s'\n";
    let packets = [resv(1), resv(2)];
    let run = replay(1, &packets, ONE_FLOW, "");
    assert_eq!(of_flows(&run, "refused_by"), [Value::Null, "policy".into()]);
    let run = replay(1, &packets, ONE_FLOW, none);
    // Policy has forgotten the first one, and has nothing against the second.
    assert_eq!(of_flows(&run, "refused_by"), ["sbm", "sbm"]);
}

#[test]
fn every_lpm_hears_of_reservations_and_of_state_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    let recorder = format!(
        "[[lpm]]\nname = 'recorder'\nlibrary = {:?}\nconfig = {calls:?}\n",
        library("records-its-life")
    );
    // Every 50 s: a second next hop asks for twice as much, and then is not heard of again. Its
    // time is over after 100 + 157.5 s, before the message of 300 s.
    let packets = [
        path(1),
        resv(1),
        resv_of(1, 3, 250_000.0),
        path(1),
        resv(1),
        path(1),
        resv(1),
    ];
    replay(50, &packets, ANYBODY, &recorder);
    let calls = fs::read_to_string(&calls).unwrap();
    let calls = calls.lines().map(|line| line.rsplit_once(' ').unwrap().0);
    let calls: Vec<_> = calls
        .filter(|call| !call.contains("initialize") && *call != "admit")
        .collect();
    assert_eq!(
        calls,
        [
            "commit_resv(ResourcesAllocated, Some(125000.0))",
            "commit_resv(ResourcesModified, Some(250000.0))",
            "delete_state(StateTimeout)",
            "commit_resv(ResourcesModified, Some(125000.0))",
        ]
    );
}

#[test]
fn a_resv_without_path_is_refused_when_the_configuration_says_so() {
    let run = replay(
        1,
        &[resv(1), path(1), resv(1)],
        ANYBODY,
        "[sbm]\nrequire_path = true\n",
    );
    assert_eq!(
        of_flows(&run, "path"),
        json!(["no_path", null, "known"])
            .as_array()
            .unwrap()
            .as_slice()
    );
    assert_eq!(of_flows(&run, "outcome"), ["reject", "accept", "accept"]);
    assert_eq!(of_flows(&run, "error_code"), [3, 0, 0]);
}

#[test]
fn a_full_table_is_told() {
    let run = replay(
        1,
        &[path(1), path(2), path(1)],
        ANYBODY,
        "[sbm]\nmax_flows = 1\n",
    );
    assert_eq!(of_flows(&run, "outcome"), ["accept", "reject", "accept"]);
    assert_eq!(of_flows(&run, "error_code"), [0, 23, 0]);
}

#[test]
fn the_table_says_who_refuses() {
    let folder = configured_with(ANYBODY, "[interface.'*']\nbandwidth = '500 kbit/s'\n");
    let capture = folder.path().join("capture.pcap");
    let pcap = Pcap {
        interval: 200,
        ..Pcap::new(RAW)
    };
    fs::write(&capture, pcap.file(&[path(1), resv(1)])).unwrap();
    let config = folder.path().join("pcm.toml");
    let [config, capture] = [&config, &capture].map(|path| path.to_str().unwrap());
    let run = pcm(&["replay", "--config", config, capture]);
    let line = |part: &str| {
        run.stdout
            .lines()
            .find(|line| line.contains(part))
            .expect(part)
    };
    for (what, why) in [
        ("removed ", "state timeout"),
        (
            "reject 1/2",
            "too little bandwidth: asked 1 Mbit/s, free 500 kbit/s",
        ),
    ] {
        let line = line(what);
        assert!(line.contains(" sbm ") && line.ends_with(why), "{line}");
    }
}

#[test]
fn what_comes_again_is_decided_like_what_says_the_same_in_other_bytes() {
    let tear = ipv4(
        RSVP,
        &PathTear::new(session(1), hop(1), sender()).build().unwrap(),
    );
    let (path, resv) = ([path(1), path(2)], [resv(1), resv(2)]);
    let mut story = Vec::new();
    for _ in 0..3 {
        for (path, resv) in path.iter().zip(&resv) {
            story.extend([path, resv, resv, path, path, resv].map(Clone::clone));
        }
        story.push(tear.clone());
        // Without Path state, and then with some again.
        story.extend([&resv[0], &resv[0], &path[0], &resv[0], &resv[0]].map(Clone::clone));
    }
    // Each message with and without a checksum, in turn: none is what it was when it came last.
    let mut others = story.clone();
    for number in 0..others.len() {
        let before = story[..number].iter();
        if before.filter(|packet| **packet == story[number]).count() % 2 == 1 {
            others[number][22..24].fill(0);
        }
    }
    // At the longer interval state times out between refreshes.
    for interval in [1, 30] {
        for tables in [
            "",
            "[sbm]\nrequire_path = true\nmax_flow_duration = '50 s'\n",
        ] {
            let run = |format, packets: &[_]| replay_as(format, interval, packets, ANYBODY, tables);
            let rows = |packets: &[_]| {
                let run = run("table", packets);
                let rows = run.stdout.lines().map(str::to_owned);
                let of_flows = |row: &String| row.contains("/udp") || row.contains("5004");
                rows.filter(of_flows).collect::<Vec<_>>()
            };
            let records = |packets: &[_]| {
                let mut records = run("json", packets).json();
                records.retain(|record| {
                    matches!(record["type"].as_str(), Some("decision" | "state_removed"))
                });
                for record in &mut records {
                    record.as_object_mut().unwrap().remove("nanos");
                    record.as_object_mut().unwrap().remove("capture");
                }
                records
            };
            assert!(rows(&story).len() >= story.len());
            assert_eq!(rows(&story), rows(&others));
            assert_eq!(records(&story), records(&others));
        }
    }
}
