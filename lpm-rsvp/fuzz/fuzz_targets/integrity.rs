//! Verifying arbitrary messages and their policy; signing what parses and verifying that.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lpm_rsvp::build::{Element, Path, PolicyData};
use lpm_rsvp::integrity::{
    Algorithm, Key, sign, sign_policy_data, verify, verify_policy_data, verify_response,
};
use lpm_rsvp::{FilterSpec, Message, ObjectIndex, RsvpHop, Session, TimeValues, Tspec};
use lpm_rsvp_fuzz::repair_header;

fuzz_target!(|input: &[u8]| {
    // An algorithm, a sequence number, a secret behind its length, a message.
    let Some((&[sha1, sequence @ .., length], rest)) = input.split_first_chunk::<10>() else {
        return;
    };
    let Some((secret, bytes)) = rest.split_at_checked(length.into()) else { return };
    let sequence = u64::from_be_bytes(sequence);
    let algorithm = if sha1 % 2 == 0 { Algorithm::HmacMd5 } else { Algorithm::HmacSha1 };
    let key = Key::new(sequence >> 16, algorithm, secret).expect("48 bits");
    let mut bytes = bytes.to_vec();
    repair_header(&mut bytes);
    policy_data(&bytes, &key, sequence);
    let mut index = ObjectIndex::new();
    let Ok(message) = Message::parse(&bytes, &mut index) else { return };
    assert!(verify(&message, &key).is_err(), "a digest out of nothing");
    assert!(verify_response(&message, &key, sequence).is_err());
    for data in message.policy_data().flatten() {
        assert!(verify_policy_data(&message, &data, &key).is_err(), "a digest out of nothing");
    }
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

/// Signs the bytes as policy in a Path: as built it verifies, with a bit turned it does not.
fn policy_data(bytes: &[u8], key: &Key, sequence: u64) {
    let address = [10, 0, 0, 1].into();
    let session = Session::new(address, 17, 5004).expect("a session").with_flags(sequence as u8);
    let (elements, hops) = (bytes.chunks(100), sequence % 3);
    let mut unsigned = elements.fold(PolicyData::new(), |data, element| {
        data.element(Element::new(element[0].into(), &element[1..]))
    });
    let hop = RsvpHop { address, logical_interface: 0 };
    if hops > 0 {
        unsigned = unsigned.hops(hop, (hops > 1).then_some(hop));
    }
    let Ok(signed) = sign_policy_data(unsigned, &session, key, sequence) else { return };
    let sender = FilterSpec::new(address, 4000);
    let path = Path::new(session, hop, TimeValues::DEFAULT, sender, TSPEC).policy_data(signed);
    let Ok(mut path) = path.build() else { return };
    let verified = |path: &[u8]| {
        let mut index = ObjectIndex::new();
        let message = Message::parse(path, &mut index).ok()?;
        let data = message.policy_data().next()?.ok()?;
        let place = (data.object().offset, data.object().body.len());
        Some((place, verify_policy_data(&message, &data, key).map(|found| found.sequence)))
    };
    let ((offset, length), found) = verified(&path).expect("legal");
    assert_eq!(found, Ok(sequence));
    path[2..4].copy_from_slice(&[0, 0]);
    let bit = usize::try_from(sequence).unwrap_or_default() % ((length + 4) * 8);
    path[usize::from(offset) + bit / 8] ^= 1 << (bit % 8);
    assert!(verified(&path).is_none_or(|(_, found)| found.is_err()), "bit {bit} is not signed");
}

const TSPEC: Tspec =
    Tspec { rate: 1e5, bucket: 3e3, peak_rate: 2e5, min_policed: 64, max_packet: 1500 };
