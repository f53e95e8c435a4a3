//! Walking messages whose header is made right, so that the fuzzer need not find it, and whose
//! index lies.
#![no_main]

#[path = "../../tests/common/walk.rs"]
mod walk;

use libfuzzer_sys::fuzz_target;
use lpm_rsvp::{Message, ObjectEntry, ObjectIndex, Strictness};
use lpm_rsvp_fuzz::repair_header;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    repair_header(&mut bytes);
    for strictness in [Strictness::Lenient, Strictness::Strict] {
        let mut index = ObjectIndex::new();
        if let Ok(message) = Message::parse_with(&bytes, &mut index, strictness) {
            walk::walk(&message);
        }
    }
    walk::walk(&Message::from_index(&bytes, &lies(&bytes)));
});

/// An index made of the message itself: its bytes read as entries that begin inside it, or just
/// outside.
fn lies(bytes: &[u8]) -> Vec<ObjectEntry> {
    let entry = |&[offset1, offset2, length1, length2, class, c_type]: &[u8; 6]| {
        let offset = usize::from(u16::from_be_bytes([offset1, offset2])) % (bytes.len() + 2);
        ObjectEntry {
            offset: u16::try_from(offset).expect("at most what it was"),
            length: u16::from_be_bytes([length1, length2]),
            class,
            c_type,
        }
    };
    bytes.as_chunks().0.iter().map(entry).collect()
}
