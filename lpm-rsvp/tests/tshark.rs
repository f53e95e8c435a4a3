//! Field by field against an independent reader: what `tshark` says about every captured
//! message, and about messages that the builders made. Says so and compares nothing where
//! tshark is not installed.

mod common;

use std::fmt::{Display, LowerHex};
use std::path::Path;
use std::process::Command;

use lpm_rsvp::{
    FilterSpec, Message, ObjectIndex, ServiceRequest, SessionPort, SourceSelector, Tspec, class,
};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// What tshark is asked for; [`expected`] answers in the same order.
const FIELDS: [&str; 40] = [
    "rsvp.version",
    "rsvp.msg",
    "rsvp.message_checksum",
    "rsvp.sending_ttl",
    "rsvp.message_length",
    "rsvp.object",
    "rsvp.length",
    "rsvp.ctype",
    "rsvp.session.ip",
    "rsvp.session.proto",
    "rsvp.session.port",
    "rsvp.session.destination_address",
    "rsvp.session.protocol",
    "rsvp.session.destination_port",
    "rsvp.hop.neighbor_address_ipv4",
    "rsvp.hop.logical_interface",
    "rsvp.refresh_interval",
    "rsvp.error.error_node_ipv4",
    "rsvp.error.error_code",
    "rsvp.error_value",
    "rsvp.style.style",
    "rsvp.confirm.receiver_address_ipv4",
    "rsvp.scope.ipv4_address",
    "rsvp.sender.ip",
    "rsvp.sender.port",
    "rsvp.template_filter.source_address_ipv6",
    "rsvp.tspec.token_bucket_rate",
    "rsvp.tspec.token_bucket_size",
    "rsvp.tspec.peak_data_rate",
    "rsvp.flowspec.token_bucket_rate",
    "rsvp.flowspec.token_bucket_size",
    "rsvp.flowspec.peak_data_rate",
    "rsvp.flowspec.rate",
    "rsvp.flowspec.slack_term",
    "rsvp.minimum_policed_unit",
    "rsvp.maximum_packet_size",
    "rsvp.adspec.uint",
    "rsvp.adspec.float",
    "rsvp.integrity.sequence_number",
    "rsvp.integrity.hash",
];

/// What the views say, one list of values a field. `None`: this message is not compared in
/// this field (tshark has another opinion of what belongs there).
fn expected(message: &Message<'_>) -> Vec<Option<Vec<String>>> {
    let header = message.header();
    let objects = || {
        message
            .objects()
            .filter(|object| object.class != class::NULL)
    };
    let senders: Vec<FilterSpec> = objects()
        .filter(|object| [class::FILTER_SPEC, class::SENDER_TEMPLATE].contains(&object.class))
        .map(|object| object.read().unwrap())
        .collect();
    let ports = || {
        senders
            .iter()
            .filter_map(|sender| Some((sender.address(), sender.port()?)))
    };
    let session = message.session().unwrap();
    let plain = matches!(session.port(), SessionPort::Port(_));
    let session = |v4| Some(session).filter(|s| plain && s.address().is_ipv4() == v4);
    let (hop, error) = (message.hop(), message.error_spec());
    let services: Vec<_> = objects()
        .filter(|object| object.class == class::FLOWSPEC)
        .map(|object| object.read::<lpm_rsvp::FlowSpec<'_>>().unwrap().service())
        .collect();
    let readable = services
        .iter()
        .all(|s| s.as_ref().is_ok_and(|s| s.tspec().is_some()));
    let flow = |value: fn(&ServiceRequest) -> Option<String>| {
        readable.then(|| {
            services
                .iter()
                .flatten()
                .filter_map(value)
                .collect::<Vec<_>>()
        })
    };
    let tspec = |value: fn(Tspec) -> f32| match message.find(class::SENDER_TSPEC) {
        Some(object) => object
            .read()
            .ok()
            .map(|tspec| vec![value(tspec).to_string()]),
        None => Some(vec![]),
    };
    let words = |value: fn(Tspec) -> u32| match message.find(class::SENDER_TSPEC) {
        Some(object) => object
            .read()
            .ok()
            .map(|tspec| vec![value(tspec).to_string()]),
        None => readable.then(|| {
            services
                .iter()
                .flatten()
                .filter_map(|s| Some(value(s.tspec()?).to_string()))
                .collect()
        }),
    };
    let adspec = message
        .adspec()
        .map(|adspec| lpm_rsvp::build::AdSpec::from_view(&adspec));
    let adspec = adspec.transpose().unwrap();
    let integrity = message.integrity();
    let v4 = |address: Option<std::net::IpAddr>| {
        Some(
            address
                .filter(std::net::IpAddr::is_ipv4)
                .iter()
                .map(ToString::to_string)
                .collect(),
        )
    };
    vec![
        one(1),
        one(header.message_type.number()),
        hex(header.checksum, 4),
        one(header.send_ttl),
        one(header.length),
        all(objects().map(|object| object.class)),
        all(objects().map(|object| object.body.len() + 4)),
        all(objects().map(|object| object.c_type)),
        all(session(true).iter().map(|session| session.address())),
        all(session(true).iter().map(|session| session.protocol())),
        all(session(true).iter().map(|s| s.port().number())),
        all(session(false).iter().map(|session| session.address())),
        all(session(false).iter().map(|session| session.protocol())),
        all(session(false).iter().map(|s| s.port().number())),
        v4(hop.map(|hop| hop.address)),
        hop.filter(|hop| hop.address.is_ipv4())
            .map(|hop| vec![hop.logical_interface.to_string()]),
        all(message.time_values().iter().map(|time| time.refresh_ms)),
        v4(error.map(|error| error.node)),
        all(error.iter().map(|error| error.code)),
        // tshark gives the values of these codes other names.
        (!error.is_some_and(|error| [13, 14].contains(&error.code)))
            .then(|| error.iter().map(|error| error.value.to_string()).collect()),
        message
            .style()
            .map_or(Some(vec![]), |style| hex(style.option_vector(), 6)),
        v4(message.resv_confirm().map(|confirm| confirm.receiver)),
        message.scope().map_or(Some(vec![]), |scope| {
            all(scope.addresses().filter(std::net::IpAddr::is_ipv4))
        }),
        plain.then(|| {
            ports()
                .filter(|(a, _)| a.is_ipv4())
                .map(|(a, _)| a.to_string())
                .collect()
        }),
        plain.then(|| {
            ports()
                .filter(|(a, _)| a.is_ipv4())
                .map(|(_, port)| port.to_string())
                .collect()
        }),
        (plain
            && !senders
                .iter()
                .any(|s| matches!(s.selector(), SourceSelector::FlowLabel(_))))
        .then(|| {
            ports()
                .filter(|(a, _)| a.is_ipv6())
                .map(|(a, _)| a.to_string())
                .collect()
        }),
        tspec(|tspec| tspec.rate),
        tspec(|tspec| tspec.bucket),
        tspec(|tspec| tspec.peak_rate),
        flow(|service| service.tspec().map(|tspec| tspec.rate.to_string())),
        flow(|service| service.tspec().map(|tspec| tspec.bucket.to_string())),
        flow(|service| service.tspec().map(|tspec| tspec.peak_rate.to_string())),
        flow(|service| match service {
            ServiceRequest::Guaranteed(_, rspec) => Some(rspec.rate.to_string()),
            _ => None,
        }),
        flow(|service| match service {
            ServiceRequest::Guaranteed(_, rspec) => Some(rspec.slack.to_string()),
            _ => None,
        }),
        words(|tspec| tspec.min_policed),
        words(|tspec| tspec.max_packet),
        all(adspec.iter().flat_map(|adspec| {
            let g = adspec.general;
            let mut words = vec![g.is_hops, g.minimum_latency, g.path_mtu];
            if let Some(g) = adspec.guaranteed {
                words.extend([g.c_tot, g.d_tot, g.c_sum, g.d_sum]);
            }
            words
        })),
        all(adspec.iter().map(|adspec| adspec.general.path_bandwidth)),
        all(integrity.iter().map(|integrity| integrity.sequence)),
        all(integrity.iter().map(|integrity| {
            integrity
                .digest
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        })),
    ]
}

fn one(value: impl Display) -> Option<Vec<String>> {
    Some(vec![value.to_string()])
}

fn all<T: Display>(values: impl IntoIterator<Item = T>) -> Option<Vec<String>> {
    Some(values.into_iter().map(|value| value.to_string()).collect())
}

fn hex(value: impl LowerHex, digits: usize) -> Option<Vec<String>> {
    Some(vec![format!("{value:#0width$x}", width = digits + 2)])
}

/// tshark prints floats with six digits.
fn same(ours: &str, theirs: &str) -> bool {
    if ours == theirs {
        return true;
    }
    match (ours.parse::<f64>(), theirs.parse::<f64>()) {
        (Ok(ours), Ok(theirs)) if ours.is_finite() && theirs.is_finite() => {
            (ours - theirs).abs() <= 1e-5 * ours.abs()
        }
        _ => false,
    }
}

/// The rows of tshark, one a message, one list of values a field; the last field is what
/// tshark complains about. `None` without tshark.
fn tshark(capture: &Path) -> Option<Vec<Vec<Vec<String>>>> {
    let mut command = Command::new("tshark");
    command
        .arg("-r")
        .arg(capture)
        .args(["-n", "-Y", "rsvp && !icmp", "-T", "fields"]);
    command.args([
        "-E",
        "occurrence=a",
        "-E",
        "aggregator=;",
        "-E",
        "separator=/t",
    ]);
    for field in FIELDS.iter().chain(&["_ws.expert.message"]) {
        command.args(["-e", field]);
    }
    let Ok(output) = command.output() else {
        eprintln!("not compared: tshark is not installed");
        return None;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let list = |cell: &str| {
        cell.split(';')
            .filter(|v| !v.is_empty())
            .map(String::from)
            .collect()
    };
    Some(
        text.lines()
            .map(|line| line.split('\t').map(list).collect())
            .collect(),
    )
}

/// Compares all messages that parse and returns how many fields that were.
fn compare(name: &str, messages: &[Vec<u8>], rows: &[Vec<Vec<String>>]) -> usize {
    assert_eq!(
        messages.len(),
        rows.len(),
        "{name}: messages, rows of tshark"
    );
    let mut index = ObjectIndex::new();
    let (mut compared, mut differences) = (0, Vec::new());
    for (number, (bytes, row)) in messages.iter().zip(rows).enumerate() {
        let Ok(message) = Message::parse(bytes, &mut index) else {
            continue;
        };
        for ((field, ours), theirs) in FIELDS.iter().zip(expected(&message)).zip(row) {
            let Some(ours) = ours else { continue };
            compared += ours.len();
            let equal = ours.len() == theirs.len()
                && ours
                    .iter()
                    .zip(theirs)
                    .all(|(ours, theirs)| same(ours, theirs));
            if !equal {
                differences.push(format!(
                    "{number} ({message}) {field}: {ours:?}, tshark: {theirs:?}"
                ));
            }
        }
    }
    println!(
        "{name}: {compared} fields compared, {} differ",
        differences.len()
    );
    assert!(
        differences.is_empty(),
        "{name}:\n{}",
        differences.join("\n")
    );
    compared
}

#[test]
fn captures() {
    let mut compared = 0;
    for name in common::WELL_FORMED {
        let Some(messages) = common::messages(name) else {
            continue;
        };
        let path = common::capture_dirs().map(|dir| dir.join(name));
        let path = path.iter().find(|path| path.exists()).unwrap();
        let Some(rows) = tshark(path) else { return };
        compared += compare(name, &messages, &rows);
    }
    assert!(compared > 100, "the repository alone has more fields");
}

/// Messages of the builders: read alike, and without a complaint.
#[test]
fn built_messages() {
    let mut runner = TestRunner::deterministic();
    let messages: Vec<Vec<u8>> = (0..300)
        .map(|_| {
            common::strategy::message()
                .new_tree(&mut runner)
                .unwrap()
                .current()
        })
        .collect();
    let path = std::env::temp_dir().join(format!("lpm-rsvp-built-{}.pcap", std::process::id()));
    std::fs::write(&path, common::pcap(&messages)).unwrap();
    let rows = tshark(&path);
    std::fs::remove_file(&path).unwrap();
    let Some(rows) = rows else { return };
    assert!(compare("built", &messages, &rows) > 10_000);
    let mut index = ObjectIndex::new();
    let (mut silent, mut unknown) = (0, 0);
    for (bytes, row) in messages.iter().zip(&rows) {
        let message = Message::parse(bytes, &mut index).unwrap();
        let complaints = row.get(FIELDS.len()).map_or(&[][..], Vec::as_slice);
        // RFC 2207 and flow labels are unknown to tshark.
        if complaints.iter().all(|text| text.starts_with("Unknown ")) && !complaints.is_empty() {
            assert!(!is_plain(&message), "{complaints:?}: {message}");
            unknown += 1;
        } else {
            assert!(complaints.is_empty(), "{complaints:?}: {message}");
            silent += 1;
        }
    }
    println!("built: no complaint about {silent}, {unknown} with C-Types tshark does not know");
    assert!(silent >= 100);
}

/// Whether the message has ports everywhere, neither GPI nor flow labels.
fn is_plain(message: &Message<'_>) -> bool {
    matches!(message.session().unwrap().port(), SessionPort::Port(_))
        && message
            .flow_descriptors()
            .flat_map(|flow| flow.filters())
            .all(|sender| sender.port().is_some())
}
