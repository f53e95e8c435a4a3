//! Parsing arbitrary bytes, leniently and strictly, and walking what passes, the tree included.
#![no_main]

#[path = "../../tests/common/walk.rs"]
mod walk;

use libfuzzer_sys::fuzz_target;
use lpm_rsvp::{Message, ObjectIndex, Strictness};

fuzz_target!(|bytes: &[u8]| {
    let (mut index, mut strict) = (ObjectIndex::new(), ObjectIndex::new());
    let strict = Message::parse_with(bytes, &mut strict, Strictness::Strict);
    match Message::parse(bytes, &mut index) {
        Ok(message) => {
            walk::walk(&message);
            match strict {
                Ok(strict) => assert_eq!(strict.entries(), message.entries()),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
            let again = Message::from_index(message.bytes(), message.entries());
            assert_eq!(again.to_string(), message.to_string());
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(strict.is_err(), "strict accepts what lenient refuses");
        }
    }
});
