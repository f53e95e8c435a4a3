//! Messages and objects beside RFC 2205: RFC 2747, 2814, 2961, 2996.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lpm_rsvp::{
    DClass, DsbmTimerIntervals, ErrorKind, L2Address, LspTunnel, Message, MessageId, MessageIdAck,
    MessageIdEntry, MessageIdList, MessageType, NonResvSendLimit, ObjectIndex, RawObject,
    SbmAddress, SbmPriority, TrafficClass, class,
};

fn object(class: u8, c_type: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 4).unwrap();
    [&length.to_be_bytes()[..], &[class, c_type], body].concat()
}

/// A message without a checksum.
fn message(message_type: u8, objects: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0x10, message_type, 0, 0, 64, 0, 0, 0];
    bytes.extend(objects.concat());
    let length = u16::try_from(bytes.len()).unwrap();
    bytes[6..8].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// Infinite rates, m = 0, M at its greatest: "anything".
fn anything() -> Vec<u8> {
    let mut body = vec![0, 0, 0, 7, 1, 0, 0, 6, 127, 0, 0, 5];
    for _ in 0..3 {
        body.extend(f32::INFINITY.to_be_bytes());
    }
    body.extend([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    body
}

#[test]
fn dsbm_election() {
    let mut objects = vec![
        object(class::DSBM_IP_ADDRESS, 1, &[10, 0, 0, 5]),
        object(
            class::RSVP_HOP_L2,
            1,
            &[0, 0x11, 0x22, 0x33, 0x44, 0x55, 0, 0],
        ),
        object(class::SBM_PRIORITY, 1, &[0, 0, 0, 80]),
    ];
    let bytes = message(66, &objects);
    let mut index = ObjectIndex::new();
    let willing = Message::parse(&bytes, &mut index).unwrap();
    assert_eq!(willing.message_type(), MessageType::DsbmWilling);
    assert_eq!(willing.to_string(), "DSBM_WILLING");
    let address: SbmAddress = willing
        .find(class::DSBM_IP_ADDRESS)
        .unwrap()
        .read()
        .unwrap();
    assert_eq!(address.address, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5)));
    let layer2: L2Address = willing.find(class::RSVP_HOP_L2).unwrap().read().unwrap();
    assert_eq!(layer2.to_string(), "00:11:22:33:44:55");
    let priority: SbmPriority = willing.find(class::SBM_PRIORITY).unwrap().read().unwrap();
    assert_eq!(priority.priority, 80);

    let mut index = ObjectIndex::new();
    let missing = message(67, &objects);
    let error = Message::parse(&missing, &mut index).unwrap_err();
    let kind = ErrorKind::Missing {
        message: MessageType::IAmDsbm,
        class: class::DSBM_TIMER_INTERVALS,
    };
    assert_eq!((error.kind, error.rule()), (kind, "RFC 2814 §B.6"));

    objects.push(object(class::DSBM_TIMER_INTERVALS, 1, &[0, 0, 15, 5]));
    let nested = object(class::SENDER_TSPEC, 2, &anything());
    for limit in [anything(), nested] {
        let mut objects = objects.clone();
        objects.push(object(class::NON_RESV_SEND_LIMIT, 1, &limit));
        let bytes = message(67, &objects);
        let mut index = ObjectIndex::new();
        let message = Message::parse(&bytes, &mut index).unwrap();
        let timers = message.find(class::DSBM_TIMER_INTERVALS).unwrap().read();
        assert_eq!(
            timers,
            Ok(DsbmTimerIntervals {
                dead_interval: 15,
                refresh_interval: 5
            })
        );
        let limit = message.find(class::NON_RESV_SEND_LIMIT).unwrap();
        let limit: NonResvSendLimit = limit.read().unwrap();
        assert_eq!(
            (limit.limit.rate, limit.limit.max_packet),
            (f32::INFINITY, u32::MAX)
        );
    }
}

#[test]
fn traffic_classes() {
    let bytes = message(
        20,
        &[
            object(class::TCLASS, 1, &[0, 0, 0, 0xfd]),
            object(class::DCLASS, 1, &[0, 0, 0, 46 << 2, 0, 0, 0, 10 << 2]),
        ],
    );
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    let tclass: TrafficClass = message.find(class::TCLASS).unwrap().read().unwrap();
    assert_eq!(tclass.user_priority, 5);
    let dclass: DClass<'_> = message.find(class::DCLASS).unwrap().read().unwrap();
    assert_eq!(dclass.dscps().collect::<Vec<_>>(), [46, 10]);
}

#[test]
fn acknowledgements_and_summary_refresh() {
    let id = [1, 0, 0, 7, 0, 0, 0, 42];
    let bytes = message(13, &[object(class::MESSAGE_ID_ACK, 2, &id)]);
    let mut index = ObjectIndex::new();
    let ack = Message::parse(&bytes, &mut index).unwrap();
    let ack: MessageIdAck = ack.find(class::MESSAGE_ID_ACK).unwrap().read().unwrap();
    let named = MessageId {
        flags: MessageId::ACK_DESIRED,
        epoch: 7,
        identifier: 42,
    };
    assert_eq!(
        ack,
        MessageIdAck {
            negative: true,
            message: named
        }
    );

    let v4 = |last| Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)));
    let entry = |source, destination| MessageIdEntry {
        identifier: 42,
        source,
        destination,
    };
    for (c_type, body, expected) in [
        (1, vec![0, 0, 0, 42], entry(None, None)),
        (2, vec![0, 0, 0, 42, 10, 0, 0, 1], entry(v4(1), None)),
        (
            4,
            vec![0, 0, 0, 42, 10, 0, 0, 1, 10, 0, 0, 2],
            entry(v4(1), v4(2)),
        ),
    ] {
        let list = [&[0, 0, 0, 7][..], &body, &body].concat();
        let bytes = message(15, &[object(class::MESSAGE_ID_LIST, c_type, &list)]);
        let mut index = ObjectIndex::new();
        let message = Message::parse(&bytes, &mut index).unwrap();
        let list: MessageIdList<'_> = message
            .find(class::MESSAGE_ID_LIST)
            .unwrap()
            .read()
            .unwrap();
        assert_eq!(list.epoch(), 7);
        assert_eq!(list.entries().collect::<Vec<_>>(), [expected, expected]);
    }
    let half = message(15, &[object(class::MESSAGE_ID_LIST, 2, &[0; 8])]);
    assert!(Message::parse(&half, &mut ObjectIndex::new()).is_err());
}

#[test]
fn bundles() {
    let hello = message(20, &[]);
    let mut bytes = message(12, &[hello.clone(), hello.clone()]);
    let mut index = ObjectIndex::new();
    let bundle = Message::parse(&bytes, &mut index).unwrap();
    assert_eq!(bundle.entries(), []);
    let parts: Vec<_> = bundle.bundled().map(Result::unwrap).collect();
    assert_eq!(parts, [&hello[..], &hello[..]]);

    bytes[16 + 7] = 99;
    let mut index = ObjectIndex::new();
    let bundle = Message::parse(&bytes, &mut index).unwrap();
    let parts: Vec<_> = bundle.bundled().collect();
    assert!(parts[0].is_ok());
    assert_eq!(parts[1].unwrap_err().offset, 16);
    assert_eq!(parts.len(), 2);
    // A message shorter than its own header ends the bundle.
    for length in 0..8 {
        bytes[8 + 7] = length;
        let mut index = ObjectIndex::new();
        let bundle = Message::parse(&bytes, &mut index).unwrap();
        let parts: Vec<_> = bundle.bundled().collect();
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].unwrap_err().offset, 8);
    }
    let mut index = ObjectIndex::new();
    assert_eq!(
        Message::parse(&hello, &mut index)
            .unwrap()
            .bundled()
            .count(),
        0
    );
}

#[test]
fn tunnels_of_traffic_engineering_have_names() {
    let v6 = |last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).octets();
    let sessions: [(u8, Vec<u8>, &str); 5] = [
        (
            7,
            [[10, 9, 0, 9], [0, 0, 0, 1], [10, 9, 0, 1]].concat(),
            "tunnel 1 to 10.9.0.9 from 10.9.0.1",
        ),
        (
            7,
            [[10, 9, 0, 9], [0, 0, 1, 1], [0; 4]].concat(),
            "tunnel 257 to 10.9.0.9",
        ),
        (
            8,
            [&v6(9)[..], &[0, 0, 0, 2], &v6(1)].concat(),
            "tunnel 2 to 2001:db8::9 from 2001:db8::1",
        ),
        (
            13,
            [[0, 0, 0, 100], [0, 0, 0, 3], [10, 9, 0, 1]].concat(),
            "tunnel 3 to P2MP group 100 from 10.9.0.1",
        ),
        (
            14,
            [&[0, 0, 0, 7, 0, 0, 0, 4][..], &v6(1)].concat(),
            "tunnel 4 to P2MP group 7 from 2001:db8::1",
        ),
    ];
    for (c_type, body, text) in sessions {
        let raw = |body| RawObject {
            offset: 8,
            class: class::SESSION,
            c_type,
            body,
        };
        let tunnel: LspTunnel = raw(&body).read().unwrap();
        assert_eq!(tunnel.to_string(), text);
        let short = &body[..body.len() - 4];
        assert!(raw(short).read::<LspTunnel>().is_err());
        // For a PCM of RFC 2205 it is a C-Type of its own, to be answered with error 14.
        let bytes = message(1, &[object(class::SESSION, c_type, &body)]);
        let error = Message::parse(&bytes, &mut ObjectIndex::new()).unwrap_err();
        assert_eq!(error.error_code(), Some((14, 0x0100 + u16::from(c_type))));
    }
}

/// A class whose name is known is no class that is known.
#[test]
fn classes_of_traffic_engineering_are_answered_with_error_13() {
    let session = object(class::SESSION, 1, &[10, 0, 0, 1, 17, 0, 19, 140]);
    for (number, name) in [(16, "LABEL"), (19, "LABEL_REQUEST"), (63, "DETOUR")] {
        let bytes = message(1, &[session.clone(), object(number, 1, &[0; 4])]);
        let error = Message::parse(&bytes, &mut ObjectIndex::new()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::UnknownClass);
        let value = u16::from(number) << 8 | 1;
        assert_eq!(error.error_code(), Some((13, value)));
        assert!(
            error.to_string().contains(&format!("{name} ({number}/1)")),
            "{error}"
        );
    }
}
