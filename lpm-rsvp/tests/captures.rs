//! Messages of other implementations.

mod common;

use common::messages;
use lpm_rsvp::{Message, MessageType, ObjectIndex, ParseError, ResvStyle};

/// How many messages of each type.
type Counts = Vec<(MessageType, usize)>;

/// The messages of a capture that parse, and the faults of the others.
fn census(name: &str) -> Option<(Counts, Vec<ParseError>)> {
    let mut index = ObjectIndex::new();
    let mut types = Counts::new();
    let mut faults = Vec::new();
    for bytes in messages(name)? {
        match Message::parse(&bytes, &mut index) {
            Ok(message) => {
                match types
                    .iter_mut()
                    .find(|(kind, _)| *kind == message.message_type())
                {
                    Some((_, count)) => *count += 1,
                    None => types.push((message.message_type(), 1)),
                }
            }
            Err(error) => faults.push(error),
        }
    }
    types.sort();
    Some((types, faults))
}

fn all_are(name: &str, expected: &[(MessageType, usize)]) {
    if let Some((types, faults)) = census(name) {
        assert_eq!(faults, [], "{name}");
        assert_eq!(types, expected, "{name}");
    }
}

#[test]
fn cisco_ios_path_messages() {
    all_are("cisco/ios12-124path.pcap", &[(MessageType::Path, 124)]);
    all_are("cisco/ios12-9path.pcap", &[(MessageType::Path, 9)]);
    all_are("cisco/ios12-46path.pcap", &[(MessageType::Path, 46)]);
}

#[test]
fn wireshark_wiki_path() {
    all_are("wireshark/path.pcap", &[(MessageType::Path, 1)]);
}

#[test]
fn click_telecom_messages() {
    let expected = [
        (MessageType::Path, 1),
        (MessageType::Resv, 1),
        (MessageType::ResvTear, 1),
        (MessageType::ResvConf, 1),
    ];
    all_are("click/network1.pcap", &expected);
}

/// FILTER_SPEC before FLOWSPEC and a ResvConf without flows are forgiven; an object length of
/// 0 is not.
#[test]
fn click_seven_types_but_for_one_fault() {
    let (types, faults) = census("generated/click-7types.pcap").expect("in the repository");
    let expected = [
        (MessageType::Path, 1),
        (MessageType::Resv, 1),
        (MessageType::ResvErr, 1),
        (MessageType::PathTear, 1),
        (MessageType::ResvTear, 1),
        (MessageType::ResvConf, 2),
    ];
    assert_eq!(types, expected);
    let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "offset 80: NULL (0/0): object length 0 with 8 bytes left; a multiple of 4 that fits is \
          expected (RFC 2205 §3.1.2)"
        ]
    );
}

#[test]
fn click_flows_have_sender_and_style() {
    let mut index = ObjectIndex::new();
    for bytes in messages("generated/click-7types.pcap").expect("in the repository") {
        let Ok(message) = Message::parse(&bytes, &mut index) else {
            continue;
        };
        if message.message_type() == MessageType::ResvErr {
            assert_eq!(message.style(), Some(ResvStyle::FixedFilter));
            let flow = message.flow_descriptors().next().expect("one flow");
            assert_eq!(flow.filters().count(), 1);
            assert!(flow.flow_spec().is_some());
            assert_eq!(flow.tspec(), None, "its parameter length is byte-swapped");
        }
    }
}

/// tcpdump's files are malformed on purpose; every fault is found.
#[test]
fn tcpdump_fuzz_captures_are_refused() {
    for (name, count) in [
        ("tcpdump/rsvp-inf-loop-2.pcapng", 1),
        ("tcpdump/rsvp-infinite-loop.pcap", 5),
        ("tcpdump/rsvp-rsvp_obj_print-oobr.pcap", 1),
        ("tcpdump/rsvp_cap.pcap", 1),
        ("tcpdump/rsvp_fast_reroute-oobr.pcap", 1),
        ("tcpdump/rsvp_uni-oobr-1.pcap", 1),
        ("tcpdump/rsvp_uni-oobr-2.pcap", 1),
        ("tcpdump/rsvp_uni-oobr-3.pcap", 2),
    ] {
        let (types, faults) = census(name).expect("in the repository");
        assert_eq!(
            (types.as_slice(), faults.len()),
            (&[][..], count),
            "{name}: {faults:?}"
        );
    }
}

#[test]
fn cisco_values() {
    let Some(messages) = messages("cisco/ios12-124path.pcap") else {
        return;
    };
    let mut index = ObjectIndex::new();
    for bytes in &messages {
        let message = Message::parse(bytes, &mut index).unwrap();
        let tspec = message.sender_tspec().unwrap();
        assert_eq!((tspec.min_policed, tspec.max_packet), (0, 0x7fff_ffff));
        let adspec = message.adspec().unwrap();
        assert!(!adspec.general().unwrap().break_bit);
        assert_eq!(adspec.controlled_load(), Ok(Some(true)));
        assert_eq!(message.flow_descriptors().count(), 1);
        assert_eq!(message.time_values().unwrap().refresh_ms, 30_000);
    }
}
