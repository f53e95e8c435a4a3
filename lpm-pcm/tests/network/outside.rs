//! `pcm run` as it is seen and led from outside: metrics, giving up charge, reloading, systemd, few
//! privileges.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use lpm_rsvp::MessageType;
use serde_json::{Value, json};

use crate::net::{Net, POLICY, Pcm, RECEIVER, SENDER, can_make_networks, path};
use crate::support::{eventually, sample_library};
use crate::{ENFORCED, USUAL, reserve, to};

fn controlled() -> String {
    ENFORCED.replace("[run]\n", "[run]\ncontrol = 'control'\n")
}

/// The metrics, by name with labels. How each line has to look is tested where they are made.
fn metrics(pcm: &Pcm) -> BTreeMap<String, f64> {
    let (status, text) = pcm.ask(&["metrics"]);
    assert_eq!(status, 0, "{text}");
    values(&text)
}

fn values(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let values = lines.map(|line| line.rsplit_once(' ').expect(line));
    values
        .map(|(name, value)| (name.to_owned(), value.parse().expect(name)))
        .collect()
}

#[test]
fn what_is_counted_can_be_fetched() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let run = "[run]\ncontrol = 'control'\nmetrics = '127.0.0.1:9120'\n";
    let pcm = net.pcm(&ENFORCED.replace("[run]\n", run));
    let (sender, receiver) = (net.sender(), net.receiver());
    reserve(&sender, &receiver, 8e6);
    let seen = eventually("the Resv is counted", || {
        let seen = metrics(&pcm);
        let sent = r#"pcm_messages_sent_total{type="Resv",interface="r0"}"#;
        seen.contains_key(sent).then_some(seen)
    });
    for (name, value) in [
        ("pcm_in_charge", 1.0),
        ("pcm_sessions", 1.0),
        ("pcm_flows", 2.0),
        (
            r#"pcm_messages_received_total{type="Path",interface="r0"}"#,
            1.0,
        ),
        (
            r#"pcm_messages_received_total{type="Resv",interface="r1"}"#,
            1.0,
        ),
        (
            r#"pcm_rulings_total{message="Path",outcome="granted"}"#,
            1.0,
        ),
        (
            r#"pcm_rulings_total{message="Resv",outcome="granted"}"#,
            1.0,
        ),
        (
            r#"pcm_interface_bandwidth_bytes_per_second{interface="r1"}"#,
            1_250_000.0,
        ),
        (
            r#"pcm_interface_reserved_bytes_per_second{interface="r1"}"#,
            1_000_000.0,
        ),
        (
            r#"pcm_interface_free_bytes_per_second{interface="r1"}"#,
            250_000.0,
        ),
        (
            r#"pcm_interface_reserved_bytes_per_second{interface="r0"}"#,
            0.0,
        ),
        ("pcm_decision_duration_seconds_count", 2.0),
    ] {
        assert_eq!(seen.get(name), Some(&value), "{name}");
    }
    let lpm = |name: &str| {
        let mut values = seen.iter().filter(|(other, _)| other.starts_with(name));
        let value = values.next().map(|(_, value)| *value);
        assert!(values.next().is_none(), "one LPM");
        value
    };
    assert_eq!(lpm("pcm_lpm_serving{"), Some(1.0));
    assert_eq!(lpm("pcm_lpm_requests_total{"), Some(2.0));
    let request = "GET /metrics HTTP/1.1\r\nHost: pcm\r\n\r\n";
    let answer = net.http(9120, request);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(values(body)["pcm_flows"], 2.0);
    assert_eq!(pcm.stop("TERM"), Some(143));
}

#[test]
fn who_is_demoted_gives_everything_back_and_may_be_in_charge_again() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm(&controlled());
    let (sender, receiver) = (net.sender(), net.receiver());
    reserve(&sender, &receiver, 8e6);
    let (status, said) = pcm.ask(&["become-dsbm"]);
    assert_eq!(status, 1, "{said}");
    let (status, said) = pcm.ask(&["demote"]);
    assert_eq!((status, said.starts_with("demoted: ")), (0, true), "{said}");
    sender.next(MessageType::ResvTear);
    receiver.next(MessageType::PathTear);
    eventually("the class is gone", || {
        let classes = net.on_router("tc class show dev r1");
        (!classes.contains("8Mbit")).then_some(())
    });
    let (_, said) = pcm.ask(&["status"]);
    assert!(said.contains(", standby, 0 sessions, 0 flows"), "{said}");
    assert!(said.contains("LPM identity: not initialized"), "{said}");
    assert_eq!(metrics(&pcm)["pcm_in_charge"], 0.0);
    let (status, said) = pcm.ask(&["demote"]);
    assert_eq!(status, 1, "{said}");
    sender.send(SENDER, to(RECEIVER), path("CN=Bob", USUAL, 1e6));
    sender.next(MessageType::PathErr);

    let (status, said) = pcm.ask(&["become-dsbm"]);
    assert_eq!((status, said.starts_with("in charge")), (0, true), "{said}");
    reserve(&sender, &receiver, 3e6);
    let classes = net.on_router("tc class show dev r1");
    assert!(classes.contains("rate 3Mbit"), "{classes}");
    let (_, said) = pcm.ask(&["status"]);
    assert!(
        said.contains("LPM identity: serving, 0 requests open"),
        "{said}"
    );
    assert_eq!(pcm.stop("TERM"), Some(143));
}

#[test]
fn bandwidth_is_taken_by_a_reload_and_what_is_not_is_said() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm(&controlled());
    let (sender, receiver) = (net.sender(), net.receiver());
    reserve(&sender, &receiver, 8e6);
    let wider = controlled().replace("'10 Mbit/s'", "'20 Mbit/s'");
    let changed = "[run]\nmetrics = '127.0.0.1:9121'\nrefresh = '1 s'\n";
    let changed = wider.replace("[run]\n", changed);
    pcm.configure_with(POLICY, &format!("{changed}[sbm]\nmax_flows = 7\n"));
    assert_eq!(pcm.ask(&["reload"]).0, 0);
    eventually("pcm has reloaded", || {
        pcm.has_said("reloaded: ").then_some(())
    });
    assert!(pcm.has_said("needs a restart: [sbm]"));
    assert!(!pcm.has_said("needs a restart: [interface]"));
    eventually("the link is wider", || {
        let classes = net.on_router("tc class show dev r1");
        (classes.contains("rate 20Mbit") && classes.contains("rate 8Mbit")).then_some(())
    });
    let free = r#"pcm_interface_free_bytes_per_second{interface="r1"}"#;
    let answer = net.http(9121, "GET /metrics HTTP/1.1\r\n\r\n");
    assert_eq!(
        values(answer.split_once("\r\n\r\n").unwrap().1)[free],
        1_500_000.0
    );
    // There was not enough for this one before, and refreshes come by the new period.
    reserve(&sender, &receiver, 15e6);
    sender.next(MessageType::Resv);
    assert_eq!(pcm.stop("TERM"), Some(143));
}

#[test]
fn who_asks_for_a_reload_hears_what_came_of_it() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm(&controlled());
    let reload = |tables: &str| {
        pcm.configure_with(POLICY, tables);
        pcm.ask(&["reload"])
    };
    let done = "reloaded: the LPMs of the configuration run\n";
    assert_eq!(reload(&controlled()), (0, done.to_owned()));
    let (status, said) = reload("[run]\nenforced = true\n");
    assert!(
        status == 1 && said.contains("unknown field `enforced`"),
        "{said}"
    );
    let absent = "[[lpm]]\nname = 'absent'\nlibrary = 'not-there.so'\n";
    let (status, said) = reload(&format!("{absent}{}", controlled()));
    assert!(status == 1 && said.contains("not-there.so"), "{said}");
    let typing_error = controlled().replace("[run]\n", "[run]\ninterfaces = ['r0', 'r9']\n");
    let (status, said) = reload(&format!("{typing_error}[sbm]\nmax_flows = 7\n"));
    assert_eq!(status, 0, "{said}");
    for part in ["needs a restart: [sbm]", "names \"r9\"", done] {
        assert!(said.contains(part), "{said}");
    }
    // What cannot be opened elsewhere stays where it is.
    let elsewhere = "[run]\ncontrol = 'pcm.toml'\nmetrics = '203.0.113.1:9120'\n";
    let (status, said) = reload(&ENFORCED.replace("[run]\n", elsewhere));
    assert_eq!(status, 0, "{said}");
    for part in [
        "no socket is there; remove it",
        "metrics on 203.0.113.1:9120",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(reload(&controlled()), (0, done.to_owned()));
    // Who asks for JSON sees by the status, too, that it failed.
    pcm.configure_with(POLICY, "[run");
    let (status, said) = pcm.ask(&["reload", "--json"]);
    assert!(status == 1 && said.starts_with("{\"refused\":"), "{said}");
    // It goes on with what it had, and says what becomes of its links.
    net.on_router("ip link set r0 down");
    eventually("that is said", || {
        pcm.has_said("RSVP no longer on r0").then_some(())
    });
    assert_eq!(pcm.stop("TERM"), Some(143));
}

#[test]
fn what_keeps_it_from_reserving_is_said_at_its_start() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let without = [
        "setpriv",
        "--inh-caps=-net_admin",
        "--bounding-set=-net_admin",
    ];
    let program = Path::new(env!("CARGO_BIN_EXE_pcm"));
    let one = net.pcm_by(ENFORCED, program, &without, &[]);
    assert!(one.has_said("CAP_NET_ADMIN is missing"));
    assert!(!one.has_said("another program here"));
    let other = net.pcm(&ENFORCED.replace("10.77.2.254", "10.77.9.254"));
    assert!(other.has_said("another program here has a raw socket of RSVP open"));
    assert!(other.has_said("[interface.\"10.77.9.254\"] is none of the interfaces"));
    assert!(!other.has_said("CAP_NET_ADMIN is missing"));
    for pcm in [one, other] {
        assert_eq!(pcm.stop("TERM"), Some(143));
    }
}

#[test]
fn systemd_hears_that_it_is_ready_alive_and_stopping() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let word = || {
        let mut buffer = [0; 256];
        let length = systemd.recv(&mut buffer).expect("word of pcm run");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let environment = [
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "400000"),
    ];
    let program = Path::new(env!("CARGO_BIN_EXE_pcm"));
    let pcm = net.pcm_by("", program, &[], &environment);
    assert!(word().contains("READY=1"));
    for _ in 0..3 {
        assert_eq!(word().trim(), "WATCHDOG=1");
    }
    assert_eq!(pcm.stop("TERM"), Some(143));
    let last = std::iter::repeat_with(word).find(|word| word.trim() != "WATCHDOG=1");
    assert_eq!(last.unwrap().trim(), "STOPPING=1");
}

#[test]
fn two_capabilities_are_enough() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    // Where the tests are built nobody else may look.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let [program, library] = ["pcm", "lpm.so"].map(|name| folder.path().join(name));
    fs::copy(env!("CARGO_BIN_EXE_pcm"), &program).unwrap();
    fs::copy(sample_library(), &library).unwrap();
    for file in [&program, &library] {
        fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let privileges = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--no-new-privs",
        "--inh-caps=-all,+net_raw,+net_admin",
        "--ambient-caps=-all,+net_raw,+net_admin",
        "--bounding-set=-all,+net_raw,+net_admin",
    ];
    let pcm = net.pcm_by(ENFORCED, &program, &privileges, &[]);
    let process = pcm.process();
    let field = |name: &str| {
        let line = process.lines().find(|line| line.starts_with(name));
        line.unwrap_or_default()
            .split_whitespace()
            .last()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(field("Uid:"), "65534");
    // CAP_NET_ADMIN is bit 12, CAP_NET_RAW bit 13.
    for set in ["CapEff:", "CapPrm:", "CapBnd:"] {
        assert_eq!(field(set), "0000000000003000", "{set}");
    }
    let (sender, receiver) = (net.sender(), net.receiver());
    reserve(&sender, &receiver, 8e6);
    let classes = net.on_router("tc class show dev r1");
    assert!(classes.contains("rate 8Mbit"), "{classes}");
    assert_eq!(pcm.stop("TERM"), Some(143));
    assert!(!net.on_router("tc qdisc show dev r1").contains("htb"));
}

#[test]
fn what_a_crash_left_behind_is_gone_at_the_next_start() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm(ENFORCED);
    let (sender, receiver) = (net.sender(), net.receiver());
    reserve(&sender, &receiver, 8e6);
    assert_eq!(pcm.stop("KILL"), None);
    assert!(net.on_router("tc class show dev r1").contains("rate 8Mbit"));
    let pcm = net.pcm(ENFORCED);
    // Nobody has asked for anything yet.
    eventually("the qdisc is gone", || {
        let qdiscs = net.on_router("tc qdisc show dev r1");
        (!qdiscs.contains("htb")).then_some(())
    });
    assert_eq!(pcm.stop("TERM"), Some(143));
}

#[test]
fn the_unit_asks_for_no_more_than_that() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/pcm.service");
    let unit = fs::read_to_string(unit).unwrap();
    let values = |key: &str| {
        let lines = unit.lines().filter_map(|line| line.split_once('='));
        let values = lines
            .filter(|(other, _)| *other == key)
            .map(|(_, value)| value);
        values.collect::<Vec<_>>()
    };
    for (key, value) in [
        ("Type", "notify"),
        ("AmbientCapabilities", "CAP_NET_RAW CAP_NET_ADMIN"),
        ("CapabilityBoundingSet", "CAP_NET_RAW CAP_NET_ADMIN"),
        ("DynamicUser", "yes"),
        ("NoNewPrivileges", "yes"),
    ] {
        assert_eq!(values(key), [value], "{key}");
    }
    assert_eq!(values("WatchdogSec").len(), 1);
    assert_eq!(values("User").len(), 0);
}

/// What is on record in a file of JSON lines.
fn records(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines.collect()
}

#[test]
fn who_asked_for_what_and_what_was_decided_is_on_record() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let events = "[[events]]\nto = 'file'\npath = 'audit.jsonl'\nformat = 'json'\nrequired = true\n\
                  [[events]]\nto = 'file'\npath = 'audit.txt'\n";
    let pcm = net.pcm(events);
    let (sender, receiver) = (net.sender(), net.receiver());
    sender.send(SENDER, to(RECEIVER), path("CN=Eve", USUAL, 1e6));
    sender.next(MessageType::PathErr);
    reserve(&sender, &receiver, 2e6);
    // What is granted is on record already; what became of it may be on its way.
    let audit = pcm.file("audit.jsonl");
    let records = eventually("the ruling is on record", || {
        let records = records(&audit);
        let rulings = records.iter().filter(|record| record["type"] == "ruling");
        (rulings.count() >= 3).then_some(records)
    });
    let decisions: Vec<_> = records
        .iter()
        .filter(|record| record["type"] == "decision")
        .collect();
    assert_eq!(decisions.len(), 3, "{decisions:?}");
    let [eve, path, resv] = decisions[..] else {
        unreachable!()
    };
    for (record, message, user, interface, outcome) in [
        (eve, "Path", "CN=Eve", "r0", "reject"),
        (path, "Path", "CN=Bob", "r0", "accept"),
        (resv, "Resv", "CN=Bob", "r1", "accept"),
    ] {
        assert_eq!(record["message"], message);
        assert_eq!(record["users"], json!([user]));
        assert_eq!(record["session"], "10.77.2.1:5201/udp");
        assert_eq!(record["capture"], interface);
        assert_eq!(record["outcome"], outcome);
        assert_eq!(record["flows"][0]["by"], "identity");
        assert_eq!(record["flows"][0]["filter"], "10.77.1.1:4000");
    }
    assert_eq!(resv["flows"][0]["asked"]["service"], "controlled_load");
    assert_eq!(resv["flows"][0]["asked"]["rate"], 250_000.0);
    assert_eq!(resv["previous_hop"], "10.77.2.1");
    assert_eq!(eve["flows"][0]["refused_by"], "policy");
    assert_eq!(
        (
            &eve["flows"][0]["error_code"],
            &eve["flows"][0]["error_value"]
        ),
        (&json!(2), &json!(50))
    );
    let why = eve["flows"][0]["why"].as_str().expect("the LPM says why");
    assert!(why.contains("CN=Eve"), "{why}");
    let text = fs::read_to_string(pcm.file("audit.txt")).unwrap();
    let line = text
        .lines()
        .find(|line| line.contains("decision: Path") && line.contains("reject"));
    let line = line.expect(&text);
    assert!(
        line.contains("asked by CN=Eve") && line.contains("error 2/50: "),
        "{line}"
    );
    assert!(
        text.contains("ruling: Resv 10.77.2.1:5201/udp from 10.77.1.1:4000: granted"),
        "{text}"
    );
    assert_eq!(pcm.stop("TERM"), Some(143));
}

#[test]
fn nothing_is_granted_that_cannot_be_put_on_record() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    for (required, is_granted) in [("true", false), ("false", true)] {
        let events =
            format!("[[events]]\nto = 'file'\npath = '/dev/full'\nrequired = {required}\n");
        let pcm = net.pcm(&events);
        let (sender, receiver) = (net.sender(), net.receiver());
        sender.send(SENDER, to(RECEIVER), path("CN=Bob", USUAL, 1e6));
        if is_granted {
            receiver.next(MessageType::Path);
        } else {
            let error = sender.next(MessageType::PathErr);
            assert_eq!(error.read(|message| message.error_spec().unwrap().code), 2);
            assert!(pcm.has_said("No space left on device"));
        }
        assert_eq!(pcm.stop("TERM"), Some(if is_granted { 143 } else { 1 }));
    }
}

/// What `pcm lab` prints in its last lines of a user in each part, in Mbit/s.
fn rates(text: &str, user: &str) -> Vec<f64> {
    let lines = text.lines().skip_while(|line| !line.starts_with("     +"));
    let rates = lines.filter_map(|line| line.split_once(user)?.1.trim().split(' ').next());
    rates.map(|rate| rate.parse().expect(text)).collect()
}

#[test]
fn the_lab_shows_what_a_reservation_does_and_leaves_nothing_behind() {
    if !can_make_networks() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let svg = folder.path().join("lab.svg");
    // What a loaded machine does not send cannot arrive: another time it does.
    eventually("Bob's reservation shows", || {
        let lab = Command::new(env!("CARGO_BIN_EXE_pcm"))
            .args(["lab", "--seconds", "2", "--svg"])
            .arg(&svg)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let number = lab.id();
        let output = lab.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        assert!(
            text.contains("CN=Bob: 8 Mbit/s granted; CN=Eve: refused, error 2/50"),
            "{text}"
        );
        let names = Command::new("ip").args(["netns", "list"]).output().unwrap();
        let names = String::from_utf8_lossy(&names.stdout);
        assert!(!names.contains(&format!("pcmlab{number}")), "{names}");
        let (bob, eve) = (rates(&text, "CN=Bob"), rates(&text, "CN=Eve"));
        eprintln!("Bob {bob:?}, Eve {eve:?}");
        let holds = bob[1] > 6.0 && bob[1] > 2.0 * eve[1];
        (bob.len() == 3 && eve.len() == 3 && holds).then_some(())
    });
    assert!(fs::read_to_string(svg).unwrap().ends_with("</svg>\n"));
}
