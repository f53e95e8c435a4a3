//! The rules of RFC 2205 §3.1, each broken once: the error names offset, object and rule.

use std::net::{IpAddr, Ipv4Addr};

use lpm_rsvp::build::{BuildError, Flows, Path, Resv, ResvTear, Senders, UnknownObject};
use lpm_rsvp::class::UnknownClass;
use lpm_rsvp::{
    ErrorKind, FilterSpec, Message, MessageType, ObjectIndex, ResvStyle, RsvpHop, ServiceRequest,
    Session, Strictness, TimeValues, Tspec, checksum, class,
};

const RECEIVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const HOP: RsvpHop = RsvpHop {
    address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 254)),
    logical_interface: 7,
};
const TSPEC: Tspec = Tspec {
    rate: 1000.0,
    bucket: 1500.0,
    peak_rate: f32::INFINITY,
    min_policed: 64,
    max_packet: 1500,
};

fn session() -> Session {
    Session::new(RECEIVER, 17, 5004).unwrap()
}

fn sender(last: u8) -> FilterSpec {
    FilterSpec::new(Ipv4Addr::new(10, 0, 1, last), 4000)
}

fn path() -> Vec<u8> {
    Path::new(session(), HOP, TimeValues::DEFAULT, sender(7), TSPEC)
        .build()
        .unwrap()
}

fn resv(flows: Flows) -> Vec<u8> {
    Resv::new(session(), HOP, TimeValues::DEFAULT, flows)
        .build()
        .unwrap()
}

fn ff(count: u8) -> Flows {
    let flow = |last| (ServiceRequest::ControlledLoad(TSPEC), sender(last));
    Flows::FixedFilter((1..=count).map(flow).collect())
}

/// The objects of a message, each with its header.
fn objects(message: &[u8]) -> Vec<Vec<u8>> {
    let mut index = ObjectIndex::new();
    let message = Message::parse(message, &mut index).unwrap();
    let object = |o: &lpm_rsvp::ObjectEntry| {
        let start = usize::from(o.offset);
        message.bytes()[start..start + usize::from(o.length)].to_vec()
    };
    message.entries().iter().map(object).collect()
}

/// A message of these objects.
fn assemble(message_type: u8, objects: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0x10, message_type, 0, 0, 64, 0, 0, 0];
    bytes.extend(objects.concat());
    let length = u16::try_from(bytes.len()).unwrap();
    bytes[6..8].copy_from_slice(&length.to_be_bytes());
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn fault(bytes: &[u8]) -> String {
    Message::parse(bytes, &mut ObjectIndex::new())
        .unwrap_err()
        .to_string()
}

#[test]
fn header() {
    let good = path();
    assert_eq!(
        fault(&good[..7]),
        "offset 0: 7 bytes are too few for the common header of 8 (RFC 2205 §3.1.1)"
    );
    let mut bytes = good.clone();
    bytes[0] = 0x20;
    assert_eq!(
        fault(&bytes),
        "offset 0: version 2 found, 1 expected (RFC 2205 §3.1.1)"
    );
    assert_eq!(
        fault(&good[..good.len() - 4]),
        "offset 6: the header says 88 bytes, 84 were received (RFC 2205 §3.1.1)"
    );
    let mut bytes = good.clone();
    bytes[4] ^= 1;
    let error = Message::parse(&bytes, &mut ObjectIndex::new()).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Checksum { .. }), "{error}");
    bytes[2..4].copy_from_slice(&[0, 0]);
    assert!(
        Message::parse(&bytes, &mut ObjectIndex::new()).is_ok(),
        "0 says: no checksum"
    );
}

#[test]
fn object_lengths() {
    for (length, left) in [(0_u16, 12), (3, 12), (6, 12), (16, 12)] {
        let mut all = objects(&path());
        all.truncate(1);
        all[0][..2].copy_from_slice(&length.to_be_bytes());
        assert_eq!(
            fault(&assemble(1, &all)),
            format!(
                "offset 8: SESSION (1/1): object length {length} with {left} bytes left; a \
                 multiple of 4 that fits is expected (RFC 2205 §3.1.2)"
            )
        );
    }
}

#[test]
fn missing_objects() {
    let all = objects(&path());
    for (position, name) in [
        "SESSION",
        "RSVP_HOP",
        "TIME_VALUES",
        "SENDER_TEMPLATE",
        "SENDER_TSPEC",
    ]
    .iter()
    .enumerate()
    {
        let mut some = all.clone();
        let gone = some.remove(position);
        let at = 88 - gone.len();
        assert_eq!(
            fault(&assemble(1, &some)),
            format!("offset {at}: a Path needs {name} (RFC 2205 §3.1.3)")
        );
    }
}

#[test]
fn repeated_and_foreign_objects() {
    let mut all = objects(&path());
    all.push(all[0].clone());
    assert_eq!(
        fault(&assemble(1, &all)),
        "offset 88: SESSION (1/1): occurs a second time (RFC 2205 §3.1)"
    );
    all.pop();
    all.push(vec![0, 8, class::STYLE, 1, 0, 0, 0, 0x0a]);
    assert_eq!(
        fault(&assemble(1, &all)),
        "offset 88: STYLE (8/1): not allowed in a Path (RFC 2205 §3.1.3)"
    );
}

#[test]
fn integrity_comes_first() {
    let mut all = objects(&path());
    let mut integrity = vec![0, 36, class::INTEGRITY, 1];
    integrity.resize(36, 0);
    all.insert(0, integrity.clone());
    assert!(Message::parse(&assemble(1, &all), &mut ObjectIndex::new()).is_ok());
    all.remove(0);
    all.insert(1, integrity);
    assert_eq!(
        fault(&assemble(1, &all)),
        "offset 20: INTEGRITY (4/1): out of place: INTEGRITY follows the common header (RFC 2205 \
         §3.1)"
    );
}

#[test]
fn any_order_where_none_binds() {
    let mut all = objects(&path());
    all.reverse();
    let bytes = assemble(1, &all);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    assert_eq!(message.session(), Some(session()));
    let mut index = ObjectIndex::new();
    let strict = Message::parse_with(&bytes, &mut index, Strictness::Strict);
    assert!(matches!(
        strict.unwrap_err().kind,
        ErrorKind::Misplaced { .. }
    ));
}

#[test]
fn style_and_flows_come_last() {
    let mut all = objects(&resv(ff(1)));
    let style = all.remove(3);
    all.push(style);
    assert_eq!(
        fault(&assemble(2, &all)),
        "offset 40: FLOWSPEC (9/2): out of place: STYLE comes before the flow descriptors (RFC \
         2205 §3.1)"
    );
    let mut all = objects(&resv(ff(1)));
    let hop = all.remove(1);
    all.push(hop);
    let text = fault(&assemble(2, &all));
    assert!(
        text.contains("RSVP_HOP (3/1): out of place: STYLE and the flow"),
        "{text}"
    );
}

#[test]
fn flow_descriptor_lists() {
    let style = |flows| objects(&resv(flows)).drain(3..).collect::<Vec<_>>();
    let request = ServiceRequest::ControlledLoad(TSPEC);
    let (wf, ff, se) = (
        style(Flows::WildcardFilter(request)),
        style(ff(1)),
        style(Flows::SharedExplicit(request, vec![sender(1), sender(2)])),
    );
    let (spec, filter) = (ff[1].clone(), ff[2].clone());
    let head = objects(&path()).drain(..3).collect::<Vec<_>>();
    let check = |list: &[&Vec<u8>], expected: Result<usize, &str>| {
        let mut all = head.clone();
        all.extend(list.iter().copied().cloned());
        let bytes = assemble(2, &all);
        let mut index = ObjectIndex::new();
        match (Message::parse(&bytes, &mut index), expected) {
            (Ok(message), Ok(flows)) => assert_eq!(message.flow_descriptors().count(), flows),
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    };
    check(&[&wf[0], &spec], Ok(1));
    check(&[&wf[0]], Err("a FLOWSPEC is missing"));
    check(&[&wf[0], &spec, &spec], Err("WF has one FLOWSPEC"));
    check(&[&wf[0], &spec, &filter], Err("WF has no FILTER_SPEC"));
    check(&[&ff[0], &spec, &filter], Ok(1));
    check(&[&ff[0], &spec, &filter, &filter, &spec, &filter], Ok(3));
    check(&[&ff[0], &filter, &spec], Err("begin with a FLOWSPEC"));
    check(
        &[&ff[0], &spec, &spec, &filter],
        Err("a FILTER_SPEC after each"),
    );
    check(
        &[&ff[0], &spec, &filter, &spec],
        Err("a FILTER_SPEC is missing"),
    );
    check(&[&ff[0], &spec], Err("a FILTER_SPEC is missing"));
    check(&[&se[0], &spec, &filter, &filter], Ok(1));
    check(&[&se[0], &spec, &filter, &spec], Err("SE has one FLOWSPEC"));
    check(&[&se[0], &spec], Err("a FILTER_SPEC is missing"));
    let unknown = vec![0, 8, class::STYLE, 1, 0, 0, 0, 0x1f];
    check(&[&unknown, &spec, &filter], Ok(0));
}

#[test]
fn an_omitted_flow_spec_repeats_the_one_before() {
    let mut all = objects(&resv(ff(2)));
    let second_spec = all.remove(6);
    assert_eq!(second_spec[2], class::FLOWSPEC);
    let bytes = assemble(2, &all);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    let flows: Vec<_> = message.flow_descriptors().collect();
    assert_eq!(flows.len(), 2);
    for (position, flow) in flows.iter().enumerate() {
        assert_eq!(usize::from(flow.index()), position);
        assert_eq!(flow.tspec(), Some(TSPEC));
    }
    assert_eq!(flows[1].filters().next(), Some(sender(2)));
}

#[test]
fn unknown_classes_by_their_high_bits() {
    for (number, rule) in [
        (16, UnknownClass::RejectMessage),
        (127, UnknownClass::RejectMessage),
        (128, UnknownClass::Ignore),
        (191, UnknownClass::Ignore),
        (192, UnknownClass::Forward),
        (255, UnknownClass::Forward),
    ] {
        assert_eq!(UnknownClass::rule(number), rule);
        let mut all = objects(&resv(ff(1)));
        all.insert(5, vec![0, 4, number, 9]);
        let bytes = assemble(2, &all);
        let mut index = ObjectIndex::new();
        match Message::parse(&bytes, &mut index) {
            Ok(message) => {
                assert_ne!(rule, UnknownClass::RejectMessage);
                assert_eq!(
                    message.flow_descriptors().next().unwrap().tspec(),
                    Some(TSPEC)
                );
            }
            Err(error) => {
                assert_eq!(rule, UnknownClass::RejectMessage);
                assert_eq!(error.error_code(), Some((13, u16::from(number) << 8 | 9)));
            }
        }
    }
}

#[test]
fn unknown_c_types() {
    let mut all = objects(&path());
    all[1][3] = 9;
    let error = Message::parse(&assemble(1, &all), &mut ObjectIndex::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "offset 23: RSVP_HOP (3/9): unknown C-Type (RFC 2205 §3.10)"
    );
    assert_eq!(error.error_code(), Some((14, 0x0309)));
    // FLOWSPEC, ADSPEC and POLICY_DATA are not RSVP's to judge.
    let mut all = objects(&resv(ff(1)));
    all[4][3] = 9;
    let bytes = assemble(2, &all);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    assert!(
        message
            .flow_descriptors()
            .next()
            .unwrap()
            .flow_spec()
            .unwrap()
            .service()
            .is_err()
    );
}

#[test]
fn ports_families_and_gpi() {
    let path_of = |session, sender| {
        Path::new(session, HOP, TimeValues::DEFAULT, sender, TSPEC)
            .build()
            .map_err(|e| match e {
                BuildError::Illegal(error) => error.to_string(),
                other => other.to_string(),
            })
    };
    let no_port = Session::new(RECEIVER, 17, 0).unwrap();
    assert_eq!(
        path_of(no_port, sender(1)).unwrap_err(),
        "offset 50: SENDER_TEMPLATE (11/1): SrcPort is 0xfa0; 0, as DstPort is, expected (RFC \
         2205 §A.10)"
    );
    assert!(path_of(no_port, FilterSpec::new(RECEIVER, 0)).is_ok());
    let ipsec = Session::gpi(RECEIVER, 50, 7).unwrap();
    assert!(path_of(ipsec, FilterSpec::gpi(RECEIVER, 0x100)).is_ok());
    assert!(
        path_of(ipsec, sender(1))
            .unwrap_err()
            .contains("a GPI expected")
    );
    assert!(
        path_of(session(), FilterSpec::gpi(RECEIVER, 1))
            .unwrap_err()
            .contains("a port")
    );
    let ipv6 = FilterSpec::new(std::net::Ipv6Addr::LOCALHOST, 1);
    assert!(
        path_of(session(), ipv6)
            .unwrap_err()
            .contains("IPv4 expected")
    );
    assert_eq!(Session::new(Ipv4Addr::UNSPECIFIED, 17, 1), None);
    assert_eq!(Session::new(RECEIVER, 0, 1), None);
    assert_eq!(Session::gpi(RECEIVER, 50, 0), None);
}

#[test]
fn null_objects_are_ignored_anywhere() {
    let mut all = objects(&resv(ff(2)));
    for position in 0..=all.len() {
        all.insert(2 * position, vec![0, 8, class::NULL, 77, 1, 2, 3, 4]);
    }
    let bytes = assemble(2, &all);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    assert_eq!(message.flow_descriptors().count(), 2);
}

/// Cisco IOS sends m = 0: read, but neither strictly nor built.
#[test]
fn tspecs_that_only_strict_parsing_refuses() {
    let m = Tspec {
        min_policed: 0,
        ..TSPEC
    };
    let built = Path::new(session(), HOP, TimeValues::DEFAULT, sender(1), m).build();
    let Err(BuildError::Illegal(error)) = built else {
        panic!("{built:?}");
    };
    assert_eq!(
        error.to_string(),
        "offset 80: SENDER_TSPEC (12/2): minimum policed unit m is 0x0; more than 0 expected (RFC \
         2210 §3.1)"
    );
    let mut bytes = path();
    bytes[80..84].copy_from_slice(&[0; 4]);
    bytes[2..4].copy_from_slice(&[0, 0]);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    assert_eq!(message.sender_tspec(), Some(m));
    let mut index = ObjectIndex::new();
    assert_eq!(
        Message::parse_with(&bytes, &mut index, Strictness::Strict).unwrap_err(),
        error
    );

    let slow = Tspec {
        peak_rate: 1.0,
        ..TSPEC
    };
    let rspec = lpm_rsvp::Rspec {
        rate: 2000.0,
        slack: 0,
    };
    let request = ServiceRequest::Guaranteed(slow, rspec);
    let flows = Flows::WildcardFilter(request);
    let built = Resv::new(session(), HOP, TimeValues::DEFAULT, flows).build();
    assert!(built.unwrap_err().to_string().contains("peak rate p"));
}

#[test]
fn builders_refuse_what_is_illegal() {
    let empty = Resv::new(
        session(),
        HOP,
        TimeValues::DEFAULT,
        Flows::FixedFilter(vec![]),
    )
    .build();
    assert!(matches!(empty, Err(BuildError::Illegal(_))));
    let senders = Senders::SharedExplicit(vec![]);
    assert!(ResvTear::new(session(), HOP, senders).build().is_err());
    for rate in [f32::NAN, f32::INFINITY, -1.0, -0.0] {
        let tspec = Tspec { rate, ..TSPEC };
        assert!(!tspec.is_legal());
        assert!(
            Path::new(session(), HOP, TimeValues::DEFAULT, sender(1), tspec)
                .build()
                .is_err()
        );
    }
    let huge = Resv::new(session(), HOP, TimeValues::DEFAULT, ff(255));
    assert!(huge.build().is_ok());
    let flows = (0..2000)
        .map(|_| (ServiceRequest::ControlledLoad(TSPEC), sender(1)))
        .collect();
    let huge = Resv::new(
        session(),
        HOP,
        TimeValues::DEFAULT,
        Flows::FixedFilter(flows),
    )
    .build();
    assert!(
        matches!(
            huge,
            Err(BuildError::TooLong {
                part: "a message",
                ..
            })
        ),
        "{huge:?}"
    );
    assert_eq!(UnknownObject::new(16, 1, []), None);
    assert_eq!(UnknownObject::new(class::DCLASS, 1, []), None);
    let mixed = [
        IpAddr::V4(RECEIVER),
        IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
    ];
    let wf = Flows::WildcardFilter(ServiceRequest::ControlledLoad(TSPEC));
    let mixed = Resv::new(session(), HOP, TimeValues::DEFAULT, wf)
        .scope(&mixed)
        .build();
    assert_eq!(mixed, Err(BuildError::MixedScope));
}

#[test]
fn more_objects_than_fit_inline_and_reuse_of_the_index() {
    let mut index = ObjectIndex::new();
    for count in [1, 200, 3] {
        let bytes = resv(ff(count));
        let message = Message::parse(&bytes, &mut index).unwrap();
        assert_eq!(message.flow_descriptors().count(), usize::from(count));
        assert_eq!(message.style(), Some(ResvStyle::FixedFilter));
        assert_eq!(message.message_type(), MessageType::Resv);
    }
}

#[test]
fn one_line() {
    let mut index = ObjectIndex::new();
    let bytes = path();
    assert_eq!(
        Message::parse(&bytes, &mut index).unwrap().to_string(),
        "Path 10.0.0.1:5004/udp: 10.0.1.7:4000 (1000 B/s, bucket 1500 B); via 10.0.0.254 \
         (interface 0x7)"
    );
    let bytes = resv(ff(6));
    let line = Message::parse(&bytes, &mut index).unwrap().to_string();
    assert!(line.starts_with("Resv 10.0.0.1:5004/udp FF: 10.0.1.1:4000 (controlled load"));
    assert!(line.contains("and 2 more flows"), "{line}");
}
