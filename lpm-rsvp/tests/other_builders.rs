//! Building what RFC 2814, 2961 and 2996 add: built, parsed strictly, read back, built again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lpm_rsvp::build::{
    Ack, BuildError, Bundle, DsbmWilling, Flows, IAmDsbm, Layer2, Path, PathTear, Resv, Srefresh,
    Targets,
};
use lpm_rsvp::{
    DClass, DsbmTimerIntervals, ErrorKind, FilterSpec, L2Address, Message, MessageId, MessageIdAck,
    MessageType, NonResvSendLimit, ObjectIndex, RsvpHop, SbmPriority, ServiceRequest, Session,
    Strictness, TimeValues, TrafficClass, Tspec, class,
};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5));
const MAC: L2Address = L2Address {
    octets: [0, 0x11, 0x22, 0x33, 0x44, 0x55],
};
const TSPEC: Tspec = Tspec {
    rate: 1000.0,
    bucket: 1500.0,
    peak_rate: f32::INFINITY,
    min_policed: 64,
    max_packet: 1500,
};
const HOP: RsvpHop = RsvpHop {
    address: ADDRESS,
    logical_interface: 0,
};

fn session() -> Session {
    Session::new(Ipv4Addr::new(10, 0, 0, 1), 17, 5004).unwrap()
}

fn sender() -> FilterSpec {
    FilterSpec::new(Ipv4Addr::new(10, 0, 0, 7), 4000)
}

fn path() -> Path {
    Path::new(session(), HOP, TimeValues::DEFAULT, sender(), TSPEC)
}

fn resv() -> Resv {
    let flows = Flows::FixedFilter(vec![(ServiceRequest::ControlledLoad(TSPEC), sender())]);
    Resv::new(session(), HOP, TimeValues::DEFAULT, flows)
}

fn ack(identifier: u32) -> MessageIdAck {
    let message = MessageId {
        flags: 0,
        epoch: 7,
        identifier,
    };
    MessageIdAck {
        negative: identifier % 2 == 1,
        message,
    }
}

/// The classes of a strictly legal message, in order.
fn classes(bytes: &[u8]) -> Vec<u8> {
    let mut index = ObjectIndex::new();
    let message = Message::parse_with(bytes, &mut index, Strictness::Strict).unwrap();
    message.objects().map(|object| object.class).collect()
}

/// Parses strictly, reads into the builder and builds again.
macro_rules! rebuilds {
    ($builder:ident, $bytes:expr) => {{
        let bytes = $bytes;
        let mut index = ObjectIndex::new();
        let message = Message::parse_with(bytes, &mut index, Strictness::Strict).unwrap();
        let again = $builder::from_message(&message).unwrap().build().unwrap();
        assert_eq!(&again, bytes);
    }};
}

#[test]
fn dsbm_election() {
    for address in [ADDRESS, IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let priority = SbmPriority { priority: 80 };
        let willing = DsbmWilling::new(address, MAC, priority).build().unwrap();
        assert_eq!(classes(&willing), [42, 161, 43]);
        rebuilds!(DsbmWilling, &willing);

        let timers = DsbmTimerIntervals {
            dead_interval: 15,
            refresh_interval: 5,
        };
        let limit = NonResvSendLimit { limit: TSPEC };
        let i_am = IAmDsbm::new(address, MAC, priority, timers);
        rebuilds!(IAmDsbm, &i_am.clone().build().unwrap());
        let i_am = i_am.non_resv_send_limit(limit).send_ttl(1).build().unwrap();
        assert_eq!(classes(&i_am), [42, 161, 43, 44, 45]);
        rebuilds!(IAmDsbm, &i_am);
        let mut index = ObjectIndex::new();
        let message = Message::parse(&i_am, &mut index).unwrap();
        let read = message.find(class::NON_RESV_SEND_LIMIT).unwrap().read();
        assert_eq!(read, Ok(limit));
    }
}

#[test]
fn layer2_objects_come_before_session() {
    let layer2 = Layer2 {
        hop: MAC,
        next_hop_l2: L2Address { octets: [0; 6] },
        next_hop: ADDRESS,
        loopback: ADDRESS,
    };
    let tclass = TrafficClass { user_priority: 5 };
    let bytes = path().layer2(layer2).traffic_class(tclass).build().unwrap();
    assert_eq!(classes(&bytes), [161, 162, 163, 164, 165, 1, 3, 5, 11, 12]);
    rebuilds!(Path, &bytes);
    let tear = PathTear::new(session(), HOP, sender())
        .layer2(layer2)
        .build()
        .unwrap();
    assert_eq!(classes(&tear), [162, 163, 164, 1, 3, 11]);
    rebuilds!(PathTear, &tear);

    // The first object, 12 bytes, behind SESSION, which follows the others.
    let mut late = bytes.clone();
    late[8..8 + 12 + 12 + 8 + 8 + 8 + 12].rotate_left(12);
    late[2..4].copy_from_slice(&[0, 0]);
    assert!(Message::parse(&late, &mut ObjectIndex::new()).is_ok());
    let mut index = ObjectIndex::new();
    let error = Message::parse_with(&late, &mut index, Strictness::Strict).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("layer 2 objects come before SESSION"),
        "{error}"
    );

    let wide = path()
        .traffic_class(TrafficClass { user_priority: 8 })
        .build();
    assert!(
        matches!(
            wide,
            Err(BuildError::OutOfRange {
                found: 8,
                limit: 7,
                ..
            })
        ),
        "{wide:?}"
    );
}

#[test]
fn dclass() {
    let bytes = resv().dclass(&[46, 10]).build().unwrap();
    assert_eq!(classes(&bytes), [1, 3, 5, 225, 8, 9, 10]);
    rebuilds!(Resv, &bytes);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    let dclass: DClass<'_> = message.find(class::DCLASS).unwrap().read().unwrap();
    assert_eq!(dclass.dscps().collect::<Vec<_>>(), [46, 10]);
    assert!(matches!(
        resv().dclass(&[64]).build(),
        Err(BuildError::OutOfRange { .. })
    ));
}

#[test]
fn message_ids_come_first() {
    let id = MessageId {
        flags: MessageId::ACK_DESIRED,
        epoch: 0x00ff_ffff,
        identifier: u32::MAX,
    };
    let bytes = path()
        .message_id(id)
        .acknowledge(ack(2))
        .acknowledge(ack(3))
        .build()
        .unwrap();
    assert_eq!(classes(&bytes), [24, 24, 23, 1, 3, 5, 11, 12]);
    rebuilds!(Path, &bytes);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    assert_eq!(message.find(class::MESSAGE_ID).unwrap().read(), Ok(id));
    let acks: Vec<MessageIdAck> = message
        .objects()
        .filter(|object| object.class == class::MESSAGE_ID_ACK)
        .map(|object| object.read().unwrap())
        .collect();
    assert_eq!(acks, [ack(2), ack(3)]);

    let epoch = MessageId {
        epoch: 1 << 24,
        ..id
    };
    assert!(matches!(
        path().message_id(epoch).build(),
        Err(BuildError::OutOfRange { .. })
    ));
}

#[test]
fn acks() {
    let bytes = Ack::new(ack(1)).acknowledge(ack(2)).build().unwrap();
    assert_eq!(classes(&bytes), [24, 24]);
    rebuilds!(Ack, &bytes);
    let error = Ack::new(ack(1))
        .message_id(ack(1).message)
        .build()
        .unwrap_err();
    let BuildError::Illegal(error) = error else {
        panic!("{error}");
    };
    let message = MessageType::Ack;
    assert_eq!(error.kind, ErrorKind::NotAllowed { message });
    assert_eq!(error.rule(), "RFC 2961 §4.4");
}

#[test]
fn summary_refreshes() {
    let (v4, v6) = (ADDRESS, IpAddr::V6(Ipv6Addr::LOCALHOST));
    for (targets, c_type) in [
        (Targets::List(vec![1, 2, 3]), 1),
        (Targets::Sources(vec![(1, v4), (2, v4)]), 2),
        (Targets::Sources(vec![(1, v6)]), 3),
        (Targets::Multicast(vec![(1, v4, v4)]), 4),
        (Targets::Multicast(vec![(1, v6, v6), (2, v6, v6)]), 5),
    ] {
        let bytes = Srefresh::new(7, targets).build().unwrap();
        assert_eq!((classes(&bytes), bytes[11]), (vec![25], c_type));
        rebuilds!(Srefresh, &bytes);
    }
    let mixed = Srefresh::new(7, Targets::Multicast(vec![(1, v4, v6)])).build();
    assert_eq!(mixed, Err(BuildError::MixedFamilies));
    let epoch = Srefresh::new(1 << 24, Targets::List(vec![])).build();
    assert!(
        matches!(epoch, Err(BuildError::OutOfRange { .. })),
        "{epoch:?}"
    );
}

#[test]
fn bundles() {
    let (path, resv) = (path().build().unwrap(), resv().build().unwrap());
    let bundle = Bundle::new()
        .message(&path)
        .unwrap()
        .message(&resv)
        .unwrap();
    assert_eq!(bundle.len(), 2);
    let bytes = bundle.build().unwrap();
    let mut index = ObjectIndex::new();
    let message = Message::parse_with(&bytes, &mut index, Strictness::Strict).unwrap();
    let parts: Vec<_> = message.bundled().map(Result::unwrap).collect();
    assert_eq!(parts, [path, resv]);

    assert_eq!(Bundle::new().build(), Err(BuildError::EmptyBundle));
    assert_eq!(Bundle::new().message(&bytes), Err(BuildError::NestedBundle));
    assert!(matches!(
        Bundle::new().message(&[1, 2, 3]),
        Err(BuildError::Illegal(_))
    ));
    let mut full = Bundle::new();
    for _ in 0..1000 {
        full = full.message(parts[0]).unwrap();
    }
    assert!(matches!(full.build(), Err(BuildError::TooLong { .. })));
}
