//! A small capture for each thing that real networks do to RSVP messages: what `pcm replay` makes
//! of it.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use lpm_rsvp::build::{self, Identity, PolicyData};
use lpm_rsvp::integrity::{Algorithm, Key, challenge, respond, sign};
use lpm_rsvp::{FilterSpec, Message, ObjectIndex, RsvpHop, Session, TimeValues, Tspec};
use serde_json::{Value, json};
use support::{Pcap, RSVP, Run, ipv4, pcm};

fn field(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures/field");
    let mut files = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let found = files.find(|file| {
        let file = file.file_name().unwrap().to_str().unwrap();
        let is_capture = file.ends_with(".pcap") || file.ends_with(".pcapng");
        file == name || is_capture && file.starts_with(&format!("{name}-"))
    });
    found.unwrap_or_else(|| panic!("no {name} in {}", folder.display()))
}

fn replay(name: &str) -> Run {
    let run = pcm(&["replay", "--format", "json", field(name).to_str().unwrap()]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{name}");
    counts_add_up(&run);
    run
}

fn summary(run: &Run) -> Value {
    run.records("summary").next().unwrap()
}

/// Every message has one record, and one count.
fn counts_add_up(run: &Run) {
    let summary = summary(run);
    let count = |name: &str| summary[name].as_u64().unwrap();
    let outcomes = [
        "accept",
        "reject",
        "drop",
        "dont_care",
        "malformed",
        "unsupported",
        "refused",
        "outgoing",
    ];
    let sum: u64 = outcomes.into_iter().map(count).sum();
    assert_eq!(sum, count("messages"), "{summary}");
    let kinds = [
        "decision",
        "malformed",
        "unsupported",
        "refused",
        "outgoing",
    ];
    let mut numbers: Vec<_> = kinds
        .into_iter()
        .flat_map(|kind| run.records(kind))
        .map(|record| record["number"].as_u64().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=count("messages")).collect::<Vec<_>>());
    let captures: u64 = run
        .records("capture")
        .map(|capture| capture["messages"].as_u64().unwrap())
        .sum();
    assert_eq!(captures, count("messages"));
}

/// The types of the messages that were decided, each with its packet.
fn decided(run: &Run) -> Vec<(String, u64)> {
    run.records("decision")
        .map(|record| {
            let message = record["message"].as_str().unwrap().to_owned();
            (message, record["packet"].as_u64().unwrap())
        })
        .collect()
}

fn named(messages: &[(&str, u64)]) -> Vec<(String, u64)> {
    let messages = messages.iter();
    messages
        .map(|(name, packet)| ((*name).to_owned(), *packet))
        .collect()
}

#[test]
fn a_path_and_a_resv_are_seen_through_everything_around_them() {
    for name in [
        "01",
        "02",
        "03",
        "04",
        "05",
        "06",
        "07",
        "08",
        "21",
        "23",
        "24",
        "25",
        "26",
        "01-mpls.pcap.xz",
        "01-mpls.pcap.zst",
    ] {
        let run = replay(name);
        assert_eq!(decided(&run), named(&[("Path", 1), ("Resv", 2)]), "{name}");
        let capture = run.records("capture").next().unwrap();
        assert_eq!(capture["not_looked_into"], json!([]), "{name}");
        let path = run.records("decision").next().unwrap();
        assert_eq!(path["capture"], field(name).to_str().unwrap());
        assert_eq!(path["source"], "10.9.0.1", "{name}: the innermost");
        assert_eq!(path["destination"], "10.9.0.2");
        assert_eq!(path["integrity"], "unsigned");
    }
}

#[test]
fn a_time_resolution_beyond_nanoseconds_is_read() {
    assert_eq!(decided(&replay("19")), named(&[("Path", 1)]));
}

#[test]
fn each_message_in_a_bundle_is_one_of_its_own() {
    let run = replay("09");
    assert_eq!(decided(&run), named(&[("Path", 1), ("Resv", 2)]));
    assert_eq!(summary(&run)["bundles"], 1);
    assert_eq!(summary(&run)["flows"], 2);

    let run = replay("10");
    assert_eq!(
        decided(&run),
        named(&[("Path", 1), ("Resv", 2), ("PathTear", 3)])
    );
    assert_eq!(summary(&run)["flows"], 0);

    let run = replay("11");
    let malformed: Vec<_> = run
        .records("malformed")
        .map(|record| record["packet"].clone())
        .collect();
    assert_eq!(malformed, [1, 2, 3]);
    // A Bundle in a Bundle, and an empty one.
    assert_eq!(decided(&run), named(&[("Bundle", 4), ("Bundle", 5)]));
    assert_eq!(summary(&run)["accept"], 0);
}

#[test]
fn a_srefresh_renews_state_and_unknown_message_ids_are_told() {
    let run = replay("12");
    assert_eq!(run.records("state_removed").count(), 0);
    assert_eq!(summary(&run)["flows"], 2);
    let refreshes: Vec<_> = run.records("summary_refresh").collect();
    assert_eq!(refreshes.len(), 20);
    assert!(
        refreshes
            .iter()
            .all(|refresh| refresh["refreshed"] == json!(["1/7"]))
    );

    let run = replay("16");
    let refresh = run.records("summary_refresh").next().unwrap();
    assert_eq!(refresh["unknown"], json!(["1/7"]));
    assert_eq!(
        (&refresh["packet"], &refresh["refreshed"]),
        (&16.into(), &json!([]))
    );
    let table = pcm(&["replay", field("16").to_str().unwrap()]);
    assert!(
        table.stdout.contains("not known, MESSAGE_ID_NACK: 1/7"),
        "{}",
        table.stdout
    );
}

#[test]
fn fragments_come_on_several_interfaces_and_twice() {
    for (name, packet) in [("13", 2), ("14", 3)] {
        let run = replay(name);
        assert_eq!(decided(&run), named(&[("Path", packet)]), "{name}");
        assert_eq!(summary(&run)["messages"], 1);
        assert_eq!(run.records("incomplete").count(), 0);
    }
}

#[test]
fn missing_fragments_are_on_record() {
    let path = field("18");
    let run = pcm(&["replay", "--format", "json", path.to_str().unwrap()]);
    assert_eq!(run.status, 0);
    assert!(
        run.stderr
            .contains("1 fragmented RSVP message(s) not decided"),
        "{}",
        run.stderr
    );
    counts_add_up(&run);
    let incomplete = run.records("incomplete").next().unwrap();
    assert_eq!(
        (
            &incomplete["packet"],
            &incomplete["fragments"],
            &incomplete["bytes"]
        ),
        (&1.into(), &2.into(), &1600.into())
    );
    assert_eq!(
        (&incomplete["source"], &incomplete["destination"]),
        (&"10.9.0.1".into(), &"10.9.0.2".into())
    );
    assert_eq!(
        (&summary(&run)["incomplete"], &summary(&run)["messages"]),
        (&1.into(), &0.into())
    );
}

#[test]
fn traffic_engineering_is_not_for_this_pcm_and_not_malformed() {
    let run = replay("15");
    let resv = run.records("unsupported").next().unwrap();
    assert_eq!(resv["message"], "Resv");
    assert_eq!(resv["tunnel"], "tunnel 1 to 16.2.2.2 from 17.3.3.3");
    assert_eq!(
        (&resv["error_code"], &resv["error_value"]),
        (&14.into(), &0x0107.into())
    );

    let run = replay("16");
    assert_eq!(run.records("malformed").count(), 0);
    let unsupported: Vec<_> = run.records("unsupported").collect();
    assert_eq!(unsupported.len(), 13);
    let of_class = unsupported
        .iter()
        .find(|record| record["packet"] == 20)
        .unwrap();
    assert_eq!(
        (&of_class["error_code"], &of_class["error_value"]),
        (&13.into(), &0x1501.into())
    );
    assert_eq!(of_class["session"], "10.9.0.2:5004/udp");
    let tunnels = |text: &str| {
        unsupported
            .iter()
            .filter(|record| record["tunnel"] == text)
            .count()
    };
    assert_eq!(tunnels("tunnel 1 to 10.9.0.9 from 10.9.0.1"), 10);
    assert_eq!(tunnels("tunnel 1 to 2001:db8::9 from 2001:db8::1"), 1);
    assert_eq!(tunnels("tunnel 1 to P2MP group 100 from 10.9.0.1"), 1);
    let types = &summary(&run)["types"];
    assert_eq!((&types["Notify"], &types["Hello"]), (&1.into(), &1.into()));
}

#[test]
fn an_unknown_class_is_error_13() {
    let session = [0, 12, 1, 1, 10, 0, 0, 1, 17, 0, 0x13, 0x8c];
    let label_request = [0, 8, 19, 1, 0, 0, 8, 0];
    let mut message = vec![0x10, 1, 0, 0, 64, 0, 0, 28];
    message.extend(session);
    message.extend(label_request);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("te.pcap");
    let cut = [&message[..26], &[0, 0]].concat();
    fs::write(
        &path,
        Pcap::new(101).file(&[ipv4(RSVP, &message), ipv4(RSVP, &cut)]),
    )
    .unwrap();
    let run = pcm(&["replay", "--format", "json", path.to_str().unwrap()]);
    let record = run.records("unsupported").next().unwrap();
    assert_eq!(
        (&record["error_code"], &record["error_value"]),
        (&13.into(), &0x1301.into())
    );
    assert_eq!(
        (&record["session"], &record["tunnel"]),
        (&"10.0.0.1:5004/udp".into(), &Value::Null)
    );
    assert!(
        record["error"]
            .as_str()
            .unwrap()
            .starts_with("LABEL_REQUEST (19/1)"),
        "{record}"
    );
    counts_add_up(&run);
}

/// Takes a user's name as his only in a verified message.
const VERIFIED_ONLY: &str = "[authentication]
accept = []
accept_with_integrity = ['ascii_id']
[[user]]
id = 'ada'
priority = 100
[unauthenticated]
reject = 'no_privileges'
";

#[test]
fn a_rule_about_verified_messages_works_in_a_replay() {
    let identity = Identity::user().credential("ada");
    let tspec = Tspec {
        rate: 1000.0,
        bucket: 1500.0,
        peak_rate: 2000.0,
        min_policed: 64,
        max_packet: 1500,
    };
    let hop = RsvpHop {
        address: [10, 0, 9, 1].into(),
        logical_interface: 0,
    };
    let path = build::Path::new(
        Session::new([10, 0, 1, 1], 17, 5004).unwrap(),
        hop,
        TimeValues::DEFAULT,
        FilterSpec::new([10, 0, 0, 7], 4000),
        tspec,
    );
    let path = path
        .policy_data(PolicyData::new().element(identity))
        .build()
        .unwrap();
    for algorithm in [
        Algorithm::HmacMd5,
        Algorithm::HmacSha1,
        Algorithm::HmacSha512,
    ] {
        let key = Key::new(5, algorithm, "secret").unwrap();
        let signed = |sequence| ipv4(RSVP, &sign(&path, &key, sequence).unwrap());
        let name = match algorithm {
            Algorithm::HmacMd5 => "hmac-md5",
            Algorithm::HmacSha1 => "hmac-sha1",
            _ => "hmac-sha512",
        };
        // Keys for the hop of the message, not for its source address; of other algorithms, too.
        let mut tables = String::new();
        for name in ["hmac-sha384", name] {
            tables +=
                &format!("[[keys]]\nsender = '10.0.9.1'\nalgorithm = '{name}'\nfile = 'r1.key'\n");
        }
        let folder = tempfile::tempdir().unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_pcm")).parent().unwrap();
        let library = program
            .join("deps")
            .join(lpm_fixtures::file_name("lpm-identity"));
        let text = format!(
            "[[lpm]]\nname = 'identity'\nlibrary = {library:?}\nconfig = {VERIFIED_ONLY:?}\n{tables}"
        );
        fs::write(folder.path().join("pcm.toml"), text).unwrap();
        fs::write(folder.path().join("r1.key"), "secret\n").unwrap();
        let capture = folder.path().join("signed.pcap");
        let packets = [ipv4(RSVP, &path), signed(7), signed(8), signed(7)];
        fs::write(&capture, Pcap::new(101).file(&packets)).unwrap();
        let config = folder.path().join("pcm.toml");
        let config = config.to_str().unwrap();
        let run = pcm(&[
            "replay",
            "--format",
            "json",
            "--config",
            config,
            capture.to_str().unwrap(),
        ]);
        assert_eq!(run.status, 0, "{}", run.stderr);
        let decided: Vec<_> = run
            .records("decision")
            .map(|record| (record["integrity"].clone(), record["outcome"].clone()))
            .collect();
        let verified = (json!("verified"), json!("accept"));
        assert_eq!(
            decided,
            [
                (json!("unsigned"), json!("reject")),
                verified.clone(),
                verified
            ]
        );
        assert_eq!(
            run.records("refused").next().unwrap()["integrity"],
            "replayed"
        );
        counts_add_up(&run);
    }
}

#[test]
fn forged_and_replayed_messages_are_refused() {
    let key = |secret: &str, more: &str| {
        let folder = support::configured_with(
            lpm_sample::DEMO_POLICY,
            &format!("[[keys]]\nalgorithm = 'hmac-md5'\nfile = 'r1.key'\n{more}"),
        );
        fs::write(folder.path().join("r1.key"), secret).unwrap();
        let config = folder.path().join("pcm.toml");
        let run = pcm(&[
            "replay",
            "--format",
            "json",
            "--config",
            config.to_str().unwrap(),
            field("17").to_str().unwrap(),
        ]);
        assert_eq!(run.status, 0, "{}", run.stderr);
        counts_add_up(&run);
        run
    };
    let integrity = |run: &Run, kind| {
        run.records(kind)
            .map(|record| record["integrity"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for more in [
        "",
        "sender = '10.1.24.4'\n",
        "interface = '1'\nid = 1\n",
        "window = 8\n",
    ] {
        let run = key("password12345\n", more);
        assert_eq!(integrity(&run, "decision"), ["verified"], "{more}");
        assert_eq!(integrity(&run, "refused"), ["digest", "replayed"], "{more}");
        let refused = run.records("refused").next().unwrap();
        assert_eq!(
            (&refused["packet"], &refused["message"]),
            (&2.into(), &"Path".into())
        );
        assert_eq!(summary(&run)["refused"], 2);
    }
    // Another key, sender or interface.
    assert_eq!(integrity(&key("other", ""), "refused"), ["digest"; 3]);
    assert_eq!(
        integrity(&key("password12345", "id = 2\n"), "refused"),
        ["key"; 3]
    );
    for more in ["sender = '10.1.24.5'\n", "interface = '2'\n"] {
        let run = key("password12345", more);
        assert_eq!(integrity(&run, "decision"), ["not_verified"; 3], "{more}");
    }
    // Without keys.
    assert_eq!(integrity(&replay("17"), "decision"), ["not_verified"; 3]);
}

#[test]
fn unsigned_messages_are_refused_where_a_key_says_so() {
    let tables = "[keys]\nalgorithm = 'hmac-sha256'\nfile = 'r1.key'\nrequired = true\n";
    let folder = support::configured_with(lpm_sample::DEMO_POLICY, tables);
    fs::write(folder.path().join("r1.key"), "secret").unwrap();
    let config = folder.path().join("pcm.toml");
    let config = config.to_str().unwrap();
    let path = field("01");
    let arguments = [
        "replay",
        "--format",
        "json",
        "--config",
        config,
        path.to_str().unwrap(),
    ];
    let run = pcm(&arguments);
    let refused: Vec<_> = run
        .records("refused")
        .map(|record| record["integrity"].clone())
        .collect();
    assert_eq!(refused, ["unsigned", "unsigned"]);
    counts_add_up(&run);
}

/// A challenge is never signed, its response always is (RFC 2747 §4.3); neither is malformed, or a
/// matter of policy.
#[test]
fn the_handshake_about_sequence_numbers_is_named_and_checked() {
    let key = |secret: &str| Key::new(1, Algorithm::HmacSha256, secret).unwrap();
    let asked = challenge(1, 0x5eed);
    let mut index = ObjectIndex::new();
    let asked_for = Message::parse(&asked, &mut index).unwrap();
    let answer = |secret, sequence| respond(&asked_for, &key(secret), sequence).unwrap();
    let forged = answer("another", 8);
    let answer = answer("secret", 7);
    let packets = [&asked, &answer, &answer, &forged].map(|message| ipv4(RSVP, message));
    let capture = Pcap::new(101).file(&packets);

    let tables = "[keys]\nid = 1\nalgorithm = 'hmac-sha256'\nfile = 'r1.key'\nrequired = true\n";
    let run = |tables: &str| {
        let folder = support::configured_with(lpm_sample::DEMO_POLICY, tables);
        fs::write(folder.path().join("r1.key"), "secret").unwrap();
        fs::write(folder.path().join("handshake.pcap"), &capture).unwrap();
        let [config, capture] = ["pcm.toml", "handshake.pcap"].map(|name| folder.path().join(name));
        let [config, capture] = [&config, &capture].map(|path| path.to_str().unwrap());
        let run = pcm(&["replay", "--format", "json", "--config", config, capture]);
        assert_eq!((run.status, run.stderr.as_str()), (0, ""));
        counts_add_up(&run);
        let types = json!({"IntegrityChallenge": 1, "IntegrityResponse": 3});
        assert_eq!(summary(&run)["types"], types);
        run
    };
    let said = |run: &Run, kind: &'static str| -> Vec<(Value, Value)> {
        run.records(kind)
            .map(|record| (record["message"].clone(), record["integrity"].clone()))
            .collect()
    };
    let is = |message: &str, integrity: &str| (json!(message), json!(integrity));

    let without_keys = run("");
    let [challenge, response] = ["IntegrityChallenge", "IntegrityResponse"];
    let not_verified = is(response, "not_verified");
    let expected = [
        is(challenge, "unsigned"),
        not_verified.clone(),
        not_verified.clone(),
        not_verified,
    ];
    assert_eq!(said(&without_keys, "decision"), expected);
    assert_eq!(summary(&without_keys)["dont_care"], 4);

    let with_keys = run(tables);
    let expected = [is(challenge, "unsigned"), is(response, "verified")];
    assert_eq!(said(&with_keys, "decision"), expected);
    let expected = [is(response, "replayed"), is(response, "digest")];
    assert_eq!(said(&with_keys, "refused"), expected);
}

#[test]
fn what_is_no_rsvp_is_counted_and_named() {
    for (name, what, list) in [
        ("20", "UDP", "other"),
        ("27", "IP packets with a wrong length", "not_looked_into"),
        ("28", "UDP datagrams with a wrong length", "not_looked_into"),
    ] {
        let run = replay(name);
        assert_eq!(summary(&run)["messages"], 0, "{name}");
        let capture = run.records("capture").next().unwrap();
        assert_eq!(capture[list][0]["what"], what, "{name}");
        assert_eq!(capture[list][0]["packets"], capture["packets"]);
    }
    let table = pcm(&["replay", field("20").to_str().unwrap()]);
    assert!(
        table.stdout.contains("no RSVP in 2 packets, but UDP 2"),
        "{}",
        table.stdout
    );
    let table = pcm(&["replay", field("28").to_str().unwrap()]);
    let named = "not looked into: UDP datagrams with a wrong length 1";
    assert!(table.stdout.contains(named), "{}", table.stdout);
}

#[test]
fn what_the_capturing_node_sent_is_marked_and_not_decided() {
    let run = replay("22");
    assert_eq!(decided(&run), named(&[("Path", 1), ("Resv", 3)]));
    let outgoing: Vec<_> = run
        .records("outgoing")
        .map(|record| (record["message"].clone(), record["packet"].clone()))
        .collect();
    assert_eq!(
        outgoing,
        [("Path".into(), 2.into()), ("Resv".into(), 4.into())]
    );
    assert_eq!(summary(&run)["flows"], 2);
}

#[test]
fn one_unreadable_capture_does_not_keep_the_others_from_being_decided() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes.txt");
    fs::write(&notes, "Dear diary,\n").unwrap();
    let (first, last) = (field("01"), field("09"));
    let run = pcm(&[
        "replay",
        "--format",
        "json",
        first.to_str().unwrap(),
        notes.to_str().unwrap(),
        last.to_str().unwrap(),
    ]);
    assert_eq!(run.status, 1);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(
        run.stderr.contains("notes.txt: is not a capture file"),
        "{}",
        run.stderr
    );
    counts_add_up(&run);
    let captures: Vec<_> = run.records("capture").collect();
    assert_eq!(captures.len(), 3);
    assert_eq!(captures[2]["messages"], 2);
    assert!(
        captures[1]["error"]
            .as_str()
            .unwrap()
            .contains("not a capture")
    );
    let packets: Vec<_> = run
        .records("decision")
        .map(|record| record["packet"].clone())
        .collect();
    assert_eq!(packets, [1, 2, 1, 2]);
}

#[test]
fn every_record_and_row_can_be_found_again() {
    let table = pcm(&["replay", field("16").to_str().unwrap()]);
    let rows = table
        .stdout
        .lines()
        .filter(|line| line.contains("10.9.0.1 > 10.9.0.2"));
    let packets: Vec<_> = rows
        .map(|row| {
            let mut cells = row.split_whitespace();
            let packet: u64 = cells.next().unwrap().parse().unwrap();
            assert!(cells.next().unwrap().starts_with("22:1"), "{row}");
            packet
        })
        .collect();
    assert_eq!(packets.len(), 25);
    assert!(packets.is_sorted());
    assert!(
        table
            .stdout
            .contains("16-rsvp-te-all.pcap, 2023-11-14 (UTC)"),
        "{}",
        table.stdout
    );
    for kind in [
        "decision",
        "malformed",
        "unsupported",
        "refused",
        "outgoing",
        "summary_refresh",
        "incomplete",
    ] {
        for name in ["11", "16", "17", "22"] {
            for record in replay(name).records(kind) {
                assert!(
                    record["capture"].as_str().unwrap().contains(name),
                    "{record}"
                );
                assert!(record["packet"].as_u64().unwrap() > 0, "{record}");
                assert!(
                    record["time"]
                        .as_str()
                        .unwrap()
                        .starts_with("2023-11-14T22:"),
                    "{record}"
                );
                for address in ["source", "destination"] {
                    let text = record[address].as_str().unwrap();
                    assert!(text.parse::<std::net::IpAddr>().is_ok(), "{record}");
                }
            }
        }
    }
}

#[test]
fn an_event_says_which_message_it_is_about() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pcm.toml");
    let library = lpm_fixtures::library("panics-in-admit");
    fs::write(
        &config,
        format!("[[lpm]]\nname = 'panics'\nlibrary = {library:?}\n"),
    )
    .unwrap();
    let path = field("01");
    let arguments = [
        "replay",
        "--format",
        "json",
        "--config",
        config.to_str().unwrap(),
        path.to_str().unwrap(),
    ];
    let run = pcm(&arguments);
    let event = run
        .records("event")
        .find(|event| event["id"] == "lpm_panicked")
        .unwrap();
    assert_eq!(
        (&event["packet"], &event["message"]),
        (&1.into(), &"Path".into())
    );
    assert_eq!(event["capture"], path.to_str().unwrap());
    assert_eq!(
        (&event["number"], &event["source"]),
        (&1.into(), &"10.9.0.1".into())
    );
}
