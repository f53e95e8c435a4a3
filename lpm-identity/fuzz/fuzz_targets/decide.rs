//! Every flow of every message gets a decision, and whatever was admitted can be released.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use lpm_api::lpm_rsvp::{Message, ObjectIndex};
use lpm_api::{DeleteReason, Interface};
use lpm_identity::consider::Facts;
use lpm_identity::policy::Policy;
use lpm_identity::IdentityLpm;
use lpm_sample::DEMO_POLICY;

static LPM: LazyLock<IdentityLpm> =
    LazyLock::new(|| IdentityLpm::new(Policy::parse("demo", DEMO_POLICY).expect("a legal policy")));

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    if let (Ok(length), Some(field)) = (u16::try_from(bytes.len()), bytes.get_mut(..8)) {
        field[0] = 0x10;
        field[2..4].copy_from_slice(&[0, 0]);
        field[6..8].copy_from_slice(&length.to_be_bytes());
    }
    let mut index = ObjectIndex::new();
    let Ok(message) = Message::parse(&bytes, &mut index) else {
        return;
    };
    let facts = Facts {
        interface: Interface {
            index: 1,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        },
        received: SystemTime::UNIX_EPOCH,
        integrity_verified: false,
    };
    let consideration = LPM.consider(message, facts);
    for flow in message.flow_descriptors() {
        let _ = consideration.decide(&flow);
    }
    drop(consideration);
    for flow in message.flow_descriptors() {
        LPM.release(DeleteReason::StateTimeout, &message, &flow);
    }
});
