//! Updating the ADSPEC of a Path hop by hop (RFC 2210 §3.3, RFC 2212, RFC 2215).

use std::net::Ipv4Addr;

use lpm_rsvp::build::{AdSpec, AdSpecNode, GuaranteedTerms, Overrides, Path};
use lpm_rsvp::intserv::{GeneralParameters, GuaranteedParameters, HopParameters};
use lpm_rsvp::{
    FilterSpec, Message, ObjectIndex, RsvpHop, Session, TimeValues, Tspec, checksum, class,
};

const HOP: HopParameters = HopParameters {
    bandwidth: 5e5,
    latency: 10,
    mtu: 1400,
};
const TERMS: GuaranteedTerms = GuaranteedTerms {
    c: 100,
    d: 200,
    reshapes: false,
};
const GENERAL: GeneralParameters = GeneralParameters {
    break_bit: false,
    is_hops: 3,
    path_bandwidth: 1e6,
    minimum_latency: 1000,
    path_mtu: 1500,
};

fn path(adspec: AdSpec) -> Vec<u8> {
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
    let path = Path::new(session, hop, TimeValues::DEFAULT, sender, tspec);
    path.adspec(adspec).build().unwrap()
}

/// The message with this ADSPEC content in place of its own.
fn with_content(content: &[u8]) -> Vec<u8> {
    let mut bytes = path(AdSpec {
        general: GENERAL,
        guaranteed: None,
        controlled_load: None,
    });
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    let at = usize::from(message.find(class::ADSPEC).unwrap().offset);
    bytes.truncate(at);
    let words = u16::try_from(content.len() / 4).unwrap();
    bytes.extend((words * 4 + 8).to_be_bytes());
    bytes.extend([class::ADSPEC, 2, 0, 0]);
    bytes.extend(words.to_be_bytes());
    bytes.extend(content);
    let length = u16::try_from(bytes.len()).unwrap();
    bytes[6..8].copy_from_slice(&length.to_be_bytes());
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn update(node: &AdSpecNode, bytes: &[u8]) -> Vec<u8> {
    let mut index = ObjectIndex::new();
    node.update(&Message::parse(bytes, &mut index).unwrap())
        .unwrap()
}

/// The ADSPEC content behind its message header.
fn content(bytes: &[u8]) -> Vec<u8> {
    let mut index = ObjectIndex::new();
    let message = Message::parse(bytes, &mut index).unwrap();
    message.find(class::ADSPEC).unwrap().body[4..].to_vec()
}

fn values(bytes: &[u8]) -> AdSpec {
    let mut index = ObjectIndex::new();
    let message = Message::parse(bytes, &mut index).unwrap();
    AdSpec::from_view(&message.adspec().unwrap()).unwrap()
}

#[test]
fn values_are_composed() {
    let guaranteed = GuaranteedParameters {
        break_bit: false,
        c_tot: 1,
        d_tot: 2,
        c_sum: 3,
        d_sum: u32::MAX,
    };
    let arrived = path(AdSpec {
        general: GENERAL,
        guaranteed: Some(guaranteed),
        controlled_load: Some(true),
    });
    let node = AdSpecNode::new(HOP)
        .controlled_load(Overrides::default())
        .guaranteed(TERMS, Overrides::default());
    let passed = update(&node, &arrived);
    assert_eq!(passed.len(), arrived.len());
    assert_eq!(
        values(&passed),
        AdSpec {
            general: GENERAL.compose(&HOP),
            guaranteed: Some(guaranteed.compose(100, 200)),
            controlled_load: Some(true),
        }
    );
    let reshaping = AdSpecNode::new(HOP).guaranteed(
        GuaranteedTerms {
            reshapes: true,
            ..TERMS
        },
        Overrides::default(),
    );
    let passed = values(&update(&reshaping, &arrived));
    assert_eq!(
        passed.guaranteed.map(|g| (g.c_tot, g.c_sum, g.d_sum)),
        Some((101, 0, 0))
    );
    assert_eq!(
        passed.controlled_load,
        Some(false),
        "not offered: the break bit"
    );
}

#[test]
fn other_objects_stay_and_integrity_goes() {
    let arrived = path(AdSpec {
        general: GENERAL,
        guaranteed: None,
        controlled_load: Some(true),
    });
    let node = AdSpecNode::new(HOP).controlled_load(Overrides::default());
    let mut signed = arrived.clone();
    let mut integrity = vec![0, 36, class::INTEGRITY, 1];
    integrity.resize(36, 0);
    signed.splice(8..8, integrity);
    let length = u16::try_from(signed.len()).unwrap();
    signed[6..8].copy_from_slice(&length.to_be_bytes());
    signed[2..4].copy_from_slice(&[0, 0]);
    assert_eq!(update(&node, &signed), update(&node, &arrived));

    let passed = update(&node, &arrived);
    let at = passed.len() - content(&passed).len();
    let header = 8..at;
    assert_eq!(passed[header.clone()], arrived[header]);

    let mut index = ObjectIndex::new();
    let message = Message::parse(&arrived, &mut index).unwrap();
    let without = Message::from_index(message.bytes(), &message.entries()[..5]);
    let passed = node.update(&without).unwrap();
    assert!(!passed.is_empty());
    let mut index = ObjectIndex::new();
    let passed = Message::parse(&passed, &mut index).unwrap();
    assert_eq!(passed.adspec(), None, "a Path without an ADSPEC gets none");
}

/// RFC 2210 §3.3.3: a header-only block is filled, its break bit kept.
#[test]
fn an_empty_guaranteed_block_is_filled() {
    let mut arrived = content(&path(AdSpec {
        general: GENERAL,
        guaranteed: None,
        controlled_load: None,
    }));
    arrived.extend([2, 0x80, 0, 0]);
    let node = AdSpecNode::new(HOP).guaranteed(TERMS, Overrides::default());
    let passed = values(&update(&node, &with_content(&arrived)));
    let filled = GuaranteedParameters {
        break_bit: true,
        c_tot: 100,
        d_tot: 200,
        c_sum: 100,
        d_sum: 200,
    };
    assert_eq!(passed.guaranteed, Some(filled));
}

/// RFC 2210 §3.3.5: overrides that arrive are composed, those of the node are added in order.
#[test]
fn overrides() {
    let mut arrived = content(&path(AdSpec {
        general: GENERAL,
        guaranteed: None,
        controlled_load: None,
    }));
    let general = arrived.clone();
    arrived.extend([5, 0, 0, 2, 8, 0, 0, 1]);
    arrived.extend(2000_u32.to_be_bytes());
    let node = AdSpecNode::new(HOP).controlled_load(Overrides {
        bandwidth: Some(7e5),
        latency: None,
        mtu: Some(1000),
    });
    let passed = content(&update(&node, &with_content(&arrived)));
    let mut expected = vec![5, 0, 0, 6, 6, 0, 0, 1];
    expected.extend(7e5_f32.to_be_bytes());
    expected.extend([8, 0, 0, 1]);
    expected.extend(2010_u32.to_be_bytes());
    expected.extend([10, 0, 0, 1]);
    expected.extend(1000_u32.to_be_bytes());
    assert_eq!(passed[general.len()..], expected);
}

/// What cannot be composed is marked invalid; services that are not offered are passed on.
#[test]
fn unknown_services_and_parameters() {
    let mut arrived = content(&path(AdSpec {
        general: GENERAL,
        guaranteed: None,
        controlled_load: None,
    }));
    let general = arrived.len();
    arrived.extend([5, 0, 0, 2, 200, 0, 0, 1, 1, 2, 3, 4]);
    arrived.extend([77, 0, 0, 2, 200, 0, 0, 1, 1, 2, 3, 4]);
    let node = AdSpecNode::new(HOP).controlled_load(Overrides::default());
    let passed = content(&update(&node, &with_content(&arrived)));
    assert_eq!(
        passed[general..],
        [
            5, 0, 0, 2, 200, 0x80, 0, 1, 1, 2, 3, 4, // composed by nobody
            77, 0x80, 0, 2, 200, 0, 0, 1, 1, 2, 3, 4, // not offered here
        ]
    );
}

#[test]
fn an_unreadable_adspec_is_an_error() {
    let mut arrived = content(&path(AdSpec {
        general: GENERAL,
        guaranteed: None,
        controlled_load: None,
    }));
    let node = AdSpecNode::new(HOP);
    for (at, value) in [(3, 200), (4, 99), (7, 2)] {
        let before = std::mem::replace(&mut arrived[at], value);
        let bytes = with_content(&arrived);
        let mut index = ObjectIndex::new();
        let message = Message::parse(&bytes, &mut index).unwrap();
        assert!(node.update(&message).is_err(), "byte {at} is {value}");
        arrived[at] = before;
    }
}
