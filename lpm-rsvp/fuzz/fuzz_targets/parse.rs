//! Parsing arbitrary bytes, and walking what passes.
#![no_main]

#[path = "../../tests/common/walk.rs"]
mod walk;

use libfuzzer_sys::fuzz_target;
use lpm_rsvp::{Message, ObjectIndex, Strictness};

fuzz_target!(|bytes: &[u8]| {
    let mut index = ObjectIndex::new();
    match Message::parse(bytes, &mut index) {
        Ok(message) => {
            walk::walk(&message);
            let again = Message::from_index(message.bytes(), message.entries());
            assert_eq!(again.to_string(), message.to_string());
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let mut index = ObjectIndex::new();
            let strict = Message::parse_with(bytes, &mut index, Strictness::Strict);
            assert!(strict.is_err(), "strict accepts what lenient refuses");
        }
    }
});
