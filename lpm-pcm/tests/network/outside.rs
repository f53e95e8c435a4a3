//! `pcm run` as it is seen and led from outside: metrics.

use std::collections::BTreeMap;

use crate::net::{Net, Pcm, can_make_networks};
use crate::support::eventually;
use crate::{ENFORCED, reserve};

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
