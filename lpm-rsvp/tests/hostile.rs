//! Hostile input: nothing panics, whatever the bytes and whatever the index.

mod common;

use common::strategy;
use common::walk::walk;
use lpm_rsvp::{Message, ObjectEntry, ObjectIndex, Strictness, checksum};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Parses both ways and walks whatever passes.
fn parse_and_walk(bytes: &[u8]) {
    for strictness in [Strictness::Lenient, Strictness::Strict] {
        let mut index = ObjectIndex::new();
        match Message::parse_with(bytes, &mut index, strictness) {
            Ok(message) => assert!(walk(&message) > 0),
            Err(error) => assert!(!error.to_string().is_empty() && !error.rule().is_empty()),
        }
    }
}

/// Makes length and checksum fit, so that faults further in are reached.
fn repair(bytes: &mut [u8]) {
    let length = u16::try_from(bytes.len()).unwrap();
    bytes[0] = 0x10;
    bytes[6..8].copy_from_slice(&length.to_be_bytes());
    let sum = checksum(bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
}

proptest! {
    #[test]
    fn arbitrary_bytes(mut bytes in vec(any::<u8>(), 0..300)) {
        parse_and_walk(&bytes);
        if bytes.len() >= 8 {
            bytes[1] %= 8;
            repair(&mut bytes);
            parse_and_walk(&bytes);
        }
    }

    #[test]
    fn mutated_messages(
        bytes in strategy::message(),
        changes in vec((any::<Index>(), any::<u8>()), 1..6),
        cut in any::<Option<Index>>(),
    ) {
        let mut bytes = bytes;
        for (at, value) in changes {
            *at.get_mut(&mut bytes) = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()).max(8));
        }
        parse_and_walk(&bytes);
        repair(&mut bytes);
        parse_and_walk(&bytes);
    }

    /// What crosses a library boundary may lie.
    #[test]
    fn arbitrary_index(
        bytes in strategy::message(),
        entries in vec(any::<(u16, u16, u8, u8)>(), 0..20),
    ) {
        let entries: Vec<_> = entries
            .into_iter()
            .map(|(offset, length, class, c_type)| ObjectEntry {
                offset: offset % 400,
                length: length % 100,
                class: class % 16,
                c_type: c_type % 6,
            })
            .collect();
        prop_assert!(walk(&Message::from_index(&bytes, &entries)) > 0);
    }
}

#[test]
fn mutations_of_every_captured_message() {
    let mut messages = common::all_messages();
    assert!(messages.len() >= 20, "the repository alone has that many");
    messages.truncate(80);
    for message in messages {
        for at in 0..message.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = message.clone();
                bytes[at] = value;
                if bytes.len() >= 8 {
                    repair(&mut bytes);
                }
                parse_and_walk(&bytes);
            }
        }
    }
}

/// The most objects a message can have, all of the class that costs most.
#[test]
fn largest_messages() {
    for (class, c_type, body) in [(14, 1, 12), (0, 0, 0), (10, 1, 8), (9, 2, 4), (192, 1, 0)] {
        let mut bytes = vec![0x10, 2, 0, 0, 64, 0, 0, 0];
        while bytes.len() + 4 + body <= 65_532 {
            bytes.extend([0, 4 + u8::try_from(body).unwrap(), class, c_type]);
            bytes.resize(bytes.len() + body, 0);
        }
        repair(&mut bytes);
        parse_and_walk(&bytes);
        bytes[1] = 20;
        repair(&mut bytes);
        parse_and_walk(&bytes);
    }
}
