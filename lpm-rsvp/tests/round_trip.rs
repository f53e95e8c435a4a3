//! What is built can be parsed, and what is parsed builds the same bytes.

mod common;

use lpm_rsvp::build::{Path, PathErr, PathTear, Resv, ResvConf, ResvErr, ResvTear};
use lpm_rsvp::{Message, MessageType, ObjectIndex, Strictness};
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

/// The Cisco messages without INTEGRITY are canonical.
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
            assert_eq!(rebuild(&message), *bytes);
            compared += 1;
        }
    }
    assert_eq!(compared, 17);
}

#[test]
fn wireshark_path_rebuilds() {
    for bytes in common::messages("wireshark/path.pcap").unwrap_or_default() {
        let mut index = ObjectIndex::new();
        let message = Message::parse(&bytes, &mut index).unwrap();
        assert_eq!(rebuild(&message), bytes);
    }
}
