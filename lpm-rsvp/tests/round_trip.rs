//! What is built can be parsed, and what is parsed builds the same bytes.

mod common;

use lpm_rsvp::build::{Path, PathErr, PathTear, Resv, ResvConf, ResvErr, ResvTear};
use lpm_rsvp::{Message, MessageType, ObjectIndex, Strictness, checksum};
use proptest::prelude::*;

fn rebuild(message: &Message<'_>) -> Vec<u8> {
    match message.message_type() {
        MessageType::Path => Path::from_message(message).unwrap().build(),
        MessageType::Resv => Resv::from_message(message).unwrap().build(),
        MessageType::PathErr => PathErr::from_message(message).unwrap().build(),
        MessageType::ResvErr => ResvErr::from_message(message).unwrap().build(),
        MessageType::PathTear => PathTear::from_message(message).unwrap().build(),
        MessageType::ResvTear => ResvTear::from_message(message).unwrap().build(),
        MessageType::ResvConf => ResvConf::from_message(message).unwrap().build(),
        other => panic!("a {other} is not in the strategy"),
    }
    .unwrap()
}

proptest! {
    #[test]
    fn built_messages_are_strictly_legal_and_rebuild(bytes in common::strategy::message()) {
        let mut index = ObjectIndex::new();
        let message = Message::parse_with(&bytes, &mut index, Strictness::Strict).unwrap();
        prop_assert!(message.policy_elements().all(|element| element.is_ok()));
        prop_assert!(message.message_type() == MessageType::PathErr
            || message.flow_descriptors().count() > 0);
        prop_assert_eq!(rebuild(&message), bytes);
    }
}

/// The message with m = 1: Cisco IOS sends 0, which is read but not legal to build.
fn with_legal_tspec(message: &Message<'_>) -> Vec<u8> {
    assert_eq!(message.sender_tspec().unwrap().min_policed, 0);
    assert!(Path::from_message(message).unwrap().build().is_err());
    let mut bytes = message.bytes().to_vec();
    let at = usize::from(message.find(lpm_rsvp::class::SENDER_TSPEC).unwrap().offset) + 28;
    bytes[at..at + 4].copy_from_slice(&1_u32.to_be_bytes());
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// The Cisco messages without INTEGRITY are canonical but for m.
#[test]
fn cisco_paths_rebuild() {
    let Some(messages) = common::messages("cisco/ios12-124path.pcap") else {
        return;
    };
    let mut index = ObjectIndex::new();
    let mut compared = 0;
    for bytes in &messages {
        let message = Message::parse(bytes, &mut index).unwrap();
        if message.find(lpm_rsvp::class::INTEGRITY).is_none() {
            let bytes = with_legal_tspec(&message);
            let mut index = ObjectIndex::new();
            assert_eq!(rebuild(&Message::parse(&bytes, &mut index).unwrap()), bytes);
            compared += 1;
        }
    }
    assert_eq!(compared, 17);
}

#[test]
fn wireshark_path_rebuilds() {
    for bytes in common::messages("wireshark/path.pcap").unwrap_or_default() {
        let mut index = ObjectIndex::new();
        let bytes = with_legal_tspec(&Message::parse(&bytes, &mut index).unwrap());
        let mut index = ObjectIndex::new();
        let message = Message::parse(&bytes, &mut index).unwrap();
        assert_eq!(rebuild(&message), bytes);
    }
}
