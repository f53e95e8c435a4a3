//! Walking messages whose header is made right, so that the fuzzer need not find it, and whose
//! index lies.
#![no_main]

#[path = "../../tests/common/walk.rs"]
mod walk;

use libfuzzer_sys::fuzz_target;
use lpm_rsvp::{Message, ObjectEntry, ObjectIndex};

fuzz_target!(|input: (u8, Vec<u8>, Vec<(u16, u16, u8, u8)>)| {
    let (message_type, body, entries) = input;
    let length = body.len() + 8;
    let Ok(field) = u16::try_from(length) else { return };
    let [high, low] = field.to_be_bytes();
    let mut bytes = vec![0x10, message_type % 8, 0, 0, 64, 0, high, low];
    bytes.extend(body);
    let mut index = ObjectIndex::new();
    if let Ok(message) = Message::parse(&bytes, &mut index) {
        walk::walk(&message);
    }
    let entries: Vec<_> = entries
        .into_iter()
        .map(|(offset, length, class, c_type)| ObjectEntry { offset, length, class, c_type })
        .collect();
    walk::walk(&Message::from_index(&bytes, &entries));
});
