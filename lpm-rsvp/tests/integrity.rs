//! INTEGRITY: the signed messages of real routers verify; what we sign verifies; what was
//! altered does not.
#![cfg(feature = "integrity")]

mod common;

use lpm_rsvp::integrity::{
    Algorithm, IntegrityError, Key, ReplayWindow, challenge, respond, sign, verify, verify_response,
};
use lpm_rsvp::{Message, MessageType, ObjectIndex};
use proptest::prelude::*;

const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::HmacMd5,
    Algorithm::HmacSha1,
    Algorithm::HmacSha224,
    Algorithm::HmacSha256,
    Algorithm::HmacSha384,
    Algorithm::HmacSha512,
];

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
        for (count, algorithm) in verified.iter_mut().zip(ALGORITHMS) {
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
        algorithm in proptest::sample::select(&ALGORITHMS[..]),
        at: proptest::sample::Index,
        bit in 0_u32..8,
    ) {
        let key = key(algorithm);
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

/// RFC 2750 §B: covered are the object and the SESSION without its flags, nothing else.
#[test]
fn policy_data_signed_by_itself() {
    use lpm_rsvp::build::{Identity, Path, PolicyData};
    use lpm_rsvp::integrity::{PolicyDataError, sign_policy_data, verify_policy_data};
    use lpm_rsvp::{FilterSpec, RsvpHop, Session, TimeValues, Tspec, class};
    use std::net::Ipv4Addr;

    let session = Session::new(Ipv4Addr::new(10, 0, 0, 1), 17, 5004).unwrap();
    let hop = RsvpHop {
        address: Ipv4Addr::new(10, 0, 0, 254).into(),
        logical_interface: 0,
    };
    let sender = FilterSpec::new(Ipv4Addr::new(10, 0, 0, 7), 4000);
    let tspec = Tspec {
        rate: 1000.0,
        bucket: 1500.0,
        peak_rate: 2000.0,
        min_policed: 64,
        max_packet: 1500,
    };
    for algorithm in ALGORITHMS {
        let key = key(algorithm);
        let data = PolicyData::new()
            .hops(hop, None)
            .element(Identity::user().locator("CN=Alice"));
        let signed = sign_policy_data(data, &session, &key, 42).unwrap();
        assert_eq!(
            sign_policy_data(signed.clone(), &session, &key, 43),
            Err(PolicyDataError::Integrity(IntegrityError::AlreadySigned))
        );
        let path = |session| {
            Path::new(session, hop, TimeValues::DEFAULT, sender, tspec)
                .policy_data(signed.clone())
                .build()
                .unwrap()
        };
        // E_Police is cleared on the way; other hops do not know the policy either.
        let bytes = path(session.with_flags(Session::E_POLICE));
        let mut index = ObjectIndex::new();
        let message = Message::parse(&bytes, &mut index).unwrap();
        let data = message.policy_data().next().unwrap().unwrap();
        let integrity = verify_policy_data(&message, &data, &key).unwrap();
        assert_eq!((integrity.sequence, integrity.key_id), (42, key.id()));
        assert_eq!(data.integrity(), Some(Ok(integrity)));
        assert_eq!(data.originating_hop(), Some(Ok(hop)));

        let other = Session::new(Ipv4Addr::new(10, 0, 0, 2), 17, 5004).unwrap();
        let moved = path(other);
        let mut index = ObjectIndex::new();
        let message = Message::parse(&moved, &mut index).unwrap();
        let data = message.policy_data().next().unwrap().unwrap();
        assert_eq!(
            verify_policy_data(&message, &data, &key),
            Err(IntegrityError::Digest),
            "the policy of another session"
        );
        let at = usize::from(message.find(class::POLICY_DATA).unwrap().offset);
        let length = data.object().body.len() + 4;
        let entries = message.entries().to_vec();
        for altered in at..at + length {
            let mut bytes = path(session);
            bytes[altered] ^= 0x10;
            let message = Message::from_index(&bytes, &entries);
            let Some(Ok(data)) = message.policy_data().next() else {
                continue;
            };
            // Length, class and C-Type of the header come from the index, which is not altered.
            let verdict = verify_policy_data(&message, &data, &key);
            assert_eq!(
                verdict.is_ok(),
                altered < at + 4,
                "byte {altered}: {verdict:?}"
            );
        }
    }
}

/// The digest, written out by hand for one object.
#[test]
fn policy_data_digest_covers_the_bytes_of_the_rfc() {
    use hmac::{Hmac, KeyInit, Mac};
    use lpm_rsvp::build::{PathErr, PolicyData};
    use lpm_rsvp::integrity::sign_policy_data;
    use lpm_rsvp::{ErrorSpec, PreemptionPriority, RsvpHop, Session};

    let session = Session::new(std::net::Ipv4Addr::new(10, 0, 0, 1), 17, 5004).unwrap();
    let data = PolicyData::new().element(PreemptionPriority::new(1, 2).unwrap());
    let key = Key::new(7, Algorithm::HmacMd5, "secret").unwrap();
    let signed = sign_policy_data(data, &session.with_flags(1), &key, 9).unwrap();
    let mut covered = vec![0, 56, 14, 1, 0, 44, 0, 0];
    covered.extend([0, 36, 4, 1, 0, 0, 0, 0, 0, 0, 0, 7]);
    covered.extend([0, 0, 0, 0, 0, 0, 0, 9]);
    covered.extend([0; 16]);
    covered.extend([0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 2]);
    covered.extend([0, 12, 1, 1, 10, 0, 0, 1, 17, 0, 0x13, 0x8c]);
    let mut mac = Hmac::<md5::Md5>::new_from_slice(b"secret").unwrap();
    mac.update(&covered);
    let digest = mac.finalize().into_bytes();
    let hop = RsvpHop {
        address: std::net::Ipv4Addr::new(10, 0, 0, 254).into(),
        logical_interface: 0,
    };
    let error = ErrorSpec {
        node: hop.address,
        flags: 0,
        code: 2,
        value: 3,
    };
    let bytes = PathErr::new(session, error)
        .policy_data(signed)
        .build()
        .unwrap();
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    let data = message.policy_data().next().unwrap().unwrap();
    assert_eq!(data.integrity().unwrap().unwrap().digest, &digest[..]);
}
