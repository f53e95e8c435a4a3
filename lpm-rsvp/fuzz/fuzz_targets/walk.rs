//! Walking messages whose header is made right, so that the fuzzer need not find it, and whose
//! index lies.
#![no_main]

#[path = "../../tests/common/walk.rs"]
mod walk;

use libfuzzer_sys::fuzz_target;
use lpm_rsvp::{Message, ObjectEntry, ObjectIndex, Strictness};

/// The message types that have a grammar, and one that has none.
const TYPES: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 15, 20, 25, 26, 66, 67];

fuzz_target!(|input: (u8, Vec<u8>, Vec<(u16, u16, u8, u8)>)| {
    let (message_type, body, entries) = input;
    let length = body.len() + 8;
    let Ok(field) = u16::try_from(length) else { return };
    let [high, low] = field.to_be_bytes();
    let message_type = TYPES[usize::from(message_type % 16)];
    let mut bytes = vec![0x10, message_type, 0, 0, 64, 0, high, low];
    bytes.extend(body);
    for strictness in [Strictness::Lenient, Strictness::Strict] {
        let mut index = ObjectIndex::new();
        if let Ok(message) = Message::parse_with(&bytes, &mut index, strictness) {
            walk::walk(&message);
        }
    }
    let entries: Vec<_> = entries
        .into_iter()
        .map(|(offset, length, class, c_type)| ObjectEntry { offset, length, class, c_type })
        .collect();
    walk::walk(&Message::from_index(&bytes, &entries));
});
