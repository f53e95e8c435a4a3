//! INTEGRITY: the signed messages of real routers verify; what we sign verifies; what was
//! altered does not.
#![cfg(feature = "integrity")]

mod common;

use lpm_rsvp::integrity::{
    Algorithm, IntegrityError, Key, ReplayWindow, challenge, respond, sign, verify, verify_response,
};
use lpm_rsvp::{Message, MessageType, ObjectIndex};
use proptest::prelude::*;

const CISCO_SECRETS: [&str; 3] = ["11223344", "password12345", "JtR_kicks_ass"];

/// Counts the messages of a Cisco capture that verify, by algorithm.
fn cisco(name: &str, signed: [usize; 2]) {
    let Some(messages) = common::messages(name) else {
        return;
    };
    let mut verified = [0, 0];
    let mut index = ObjectIndex::new();
    for bytes in &messages {
        let message = Message::parse(bytes, &mut index).unwrap();
        let Some(integrity) = message.integrity() else {
            continue;
        };
        assert!(integrity.handshake());
        let algorithms = [Algorithm::HmacMd5, Algorithm::HmacSha1];
        for (count, algorithm) in verified.iter_mut().zip(algorithms) {
            let valid = CISCO_SECRETS.iter().any(|secret| {
                let key = Key::new(integrity.key_id, algorithm, *secret).unwrap();
                verify(&message, &key).is_ok()
            });
            *count += usize::from(valid);
        }
    }
    assert_eq!(verified, signed, "{name}: HMAC-MD5, HMAC-SHA-1");
}

#[test]
fn cisco_messages_verify() {
    cisco("cisco/ios12-124path.pcap", [56, 51]);
    cisco("cisco/ios12-9path.pcap", [3, 6]);
    cisco("cisco/ios12-46path.pcap", [25, 21]);
}

fn key(algorithm: Algorithm) -> Key {
    Key::new(0x0102_0304_0506, algorithm, "secret").unwrap()
}

proptest! {
    #[test]
    fn signed_messages_verify_until_altered(
        bytes in common::strategy::message(),
        sequence: u64,
        sha1: bool,
        at: proptest::sample::Index,
        bit in 0_u32..8,
    ) {
        let key = key(if sha1 { Algorithm::HmacSha1 } else { Algorithm::HmacMd5 });
        let mut signed = sign(&bytes, &key, sequence).unwrap();
        let mut index = ObjectIndex::new();
        let message = Message::parse(&signed, &mut index).unwrap();
        let integrity = verify(&message, &key).unwrap();
        prop_assert_eq!(integrity.sequence, sequence);
        prop_assert_eq!(message.entries().len() - 1, {
            let mut index = ObjectIndex::new();
            Message::parse(&bytes, &mut index).unwrap().entries().len()
        });
        prop_assert_eq!(sign(&signed, &key, 1), Err(IntegrityError::AlreadySigned));

        let entries = message.entries().to_vec();
        let at = at.index(signed.len());
        signed[at] ^= 1_u8 << bit;
        let altered = Message::from_index(&signed, &entries);
        let covered = !(2..4).contains(&at);
        prop_assert_eq!(verify(&altered, &key).is_err(), covered, "byte {}", at);
    }
}

#[test]
fn other_keys_and_unsigned_messages_are_refused() {
    let md5 = key(Algorithm::HmacMd5);
    let bytes = challenge(md5.id(), 1);
    let signed = sign(&bytes, &md5, 1).unwrap();
    let mut index = ObjectIndex::new();
    let message = Message::parse(&signed, &mut index).unwrap();
    let other = Key::new(1, Algorithm::HmacMd5, "secret").unwrap();
    let expected = IntegrityError::OtherKey {
        expected: 1,
        found: md5.id(),
    };
    assert_eq!(verify(&message, &other), Err(expected));
    let wrong = Key::new(md5.id(), Algorithm::HmacMd5, "Secret").unwrap();
    assert_eq!(verify(&message, &wrong), Err(IntegrityError::Digest));
    assert_eq!(
        verify(&message, &key(Algorithm::HmacSha1)),
        Err(IntegrityError::Digest)
    );
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    assert_eq!(verify(&message, &md5), Err(IntegrityError::Unsigned));
    assert!(Key::new(1 << 48, Algorithm::HmacMd5, "").is_none());
    assert!(!format!("{md5:?}").contains("secret"));
}

#[test]
fn challenge_and_response() {
    let key = key(Algorithm::HmacMd5);
    let challenge = challenge(key.id(), 0xc001_cafe);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&challenge, &mut index).unwrap();
    assert_eq!(message.message_type(), MessageType::IntegrityChallenge);
    let response = respond(&message, &key, 77).unwrap();
    let mut index = ObjectIndex::new();
    let message = Message::parse(&response, &mut index).unwrap();
    assert_eq!(message.message_type(), MessageType::IntegrityResponse);
    let integrity = verify_response(&message, &key, 0xc001_cafe).unwrap();
    let mut window = ReplayWindow::starting_at(integrity.sequence, 1);
    assert!(window.accept(78) && !window.accept(77));
    let cookie = IntegrityError::Cookie {
        expected: 1,
        found: 0xc001_cafe,
    };
    assert_eq!(verify_response(&message, &key, 1), Err(cookie));
}
