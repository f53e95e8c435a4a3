//! Verifying arbitrary messages; signing what parses and verifying that.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lpm_rsvp::integrity::{Algorithm, Key, sign, verify, verify_response};
use lpm_rsvp::{Message, ObjectIndex};

fuzz_target!(|input: (bool, u64, Vec<u8>, Vec<u8>)| {
    let (sha1, sequence, secret, mut bytes) = input;
    let algorithm = if sha1 { Algorithm::HmacSha1 } else { Algorithm::HmacMd5 };
    let key = Key::new(sequence >> 16, algorithm, secret).expect("48 bits");
    if let (Ok(length), Some(field)) = (u16::try_from(bytes.len()), bytes.get_mut(..8)) {
        field[0] = 0x10;
        field[2..4].copy_from_slice(&[0, 0]);
        field[6..8].copy_from_slice(&length.to_be_bytes());
    }
    let mut index = ObjectIndex::new();
    let Ok(message) = Message::parse(&bytes, &mut index) else { return };
    assert!(verify(&message, &key).is_err(), "a digest out of nothing");
    assert!(verify_response(&message, &key, sequence).is_err());
    let Ok(signed) = sign(&bytes, &key, sequence) else { return };
    let mut index = ObjectIndex::new();
    // Some message types have no place for INTEGRITY; those that have, verify.
    if let Ok(message) = Message::parse(&signed, &mut index) {
        if let Some(integrity) = message.integrity() {
            assert_eq!(verify(&message, &key), Ok(integrity));
            assert_eq!(integrity.sequence, sequence);
        }
    }
});
