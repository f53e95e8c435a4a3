//! POLICY_DATA and its elements: RFC 2750, RFC 3181, RFC 3182.

use std::net::{IpAddr, Ipv4Addr};

use lpm_rsvp::build::{self, Element, Identity, Path};
use lpm_rsvp::policy::{PolicyErrorValue, TextEncoding, p_type};
use lpm_rsvp::{
    Attribute, Credential, FilterSpec, Locator, Message, ObjectEntry, ObjectIndex, PolicyElement,
    PreemptionPriority, RsvpHop, Session, Text, TimeValues, Tspec, checksum, class,
};

const HOP: RsvpHop = RsvpHop {
    address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 254)),
    logical_interface: 0,
};

fn path(data: build::PolicyData) -> Vec<u8> {
    let session = Session::new(Ipv4Addr::new(10, 0, 0, 1), 17, 5004).unwrap();
    let sender = FilterSpec::new(Ipv4Addr::new(10, 0, 0, 7), 4000);
    let tspec = Tspec {
        rate: 1000.0,
        bucket: 1500.0,
        peak_rate: 2000.0,
        min_policed: 64,
        max_packet: 1500,
    };
    let path = Path::new(session, HOP, TimeValues::DEFAULT, sender, tspec);
    path.policy_data(data).build().unwrap()
}

/// A message whose only object is a POLICY_DATA with this body.
fn policy_data(body: &[u8]) -> (Vec<u8>, [ObjectEntry; 1]) {
    let mut bytes = vec![0x10, 1, 0, 0, 64, 0, 0, 0];
    let length = u16::try_from(body.len() + 4).unwrap();
    bytes.extend(length.to_be_bytes());
    bytes.extend([class::POLICY_DATA, 1]);
    bytes.extend(body);
    (
        bytes,
        [ObjectEntry {
            offset: 8,
            length,
            class: class::POLICY_DATA,
            c_type: 1,
        }],
    )
}

/// The elements of such a message, or the texts of their faults.
fn elements(body: &[u8]) -> Vec<Result<u16, String>> {
    let (bytes, entries) = policy_data(body);
    let message = Message::from_index(&bytes, &entries);
    message
        .policy_elements()
        .map(|element| element.map(|e| e.p_type()).map_err(|e| e.to_string()))
        .collect()
}

#[test]
fn identity_with_everything() {
    let user = Identity::user()
        .locator("CN=Alice,OU=Sales,O=Example")
        .credential("älice")
        .kerberos_ticket(&[1, 2, 3, 4, 5])
        .policy_error(PolicyErrorValue::ExpiredCredential, b"since May")
        .attribute(200, 7, b"private")
        .signature([9; 20]);
    let bytes = path(build::PolicyData::new().element(user));
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    let Some(Ok(PolicyElement::AuthUser(user))) = message.policy_elements().next() else {
        panic!("no AUTH_USER");
    };
    assert!(
        user.locator()
            .unwrap()
            .eq_str("CN=Alice,OU=Sales,O=Example")
    );
    // Whoever prints an identity reads it.
    let printed = format!("{user:?}");
    assert!(
        printed.contains("\"CN=Alice,OU=Sales,O=Example\""),
        "{printed}"
    );
    let Some(Credential::UnicodeId(name)) = user.credential() else {
        panic!("no UNICODE_ID")
    };
    assert_eq!(name.to_string(), "älice");
    assert_eq!(name.encoding(), TextEncoding::Utf16Be);
    let attributes: Vec<_> = user.attributes().map(Result::unwrap).collect();
    assert_eq!(attributes.len(), 6);
    assert_eq!(
        attributes[2],
        Attribute::Credential(Credential::KerberosTicket(&[1, 2, 3, 4, 5]))
    );
    let Attribute::PolicyError(error) = attributes[3] else {
        panic!("no POLICY_ERROR_OBJECT")
    };
    assert_eq!(
        (error.error, error.detail),
        (PolicyErrorValue::ExpiredCredential, &b"since May"[..])
    );
    let private = Attribute::Unknown {
        a_type: 200,
        sub_type: 7,
        value: b"private",
    };
    assert_eq!(attributes[4], private);
    assert_eq!(attributes[5], Attribute::DigitalSignature(&[9; 20]));

    let (covered, signature) = user.signed().unwrap();
    assert_eq!(signature, [9; 20]);
    let element = user.element().data.len() + 4;
    assert_eq!(
        covered.len(),
        element - 24,
        "all but the signature attribute"
    );
    assert_eq!(covered[..4], [0, u8::try_from(element).unwrap(), 0, 2]);
}

/// A single object is what a message would hold.
#[test]
fn single_objects() {
    let sender = FilterSpec::new(Ipv4Addr::new(10, 0, 0, 7), 4000);
    let data = build::PolicyData::new()
        .hops(HOP, None)
        .filter_spec(sender)
        .element(Identity::user().locator("CN=Alice"))
        .element(Element::new(77, [1, 2, 3]));
    let object = build::policy_data_object(&data).unwrap();
    let message = path(data);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&message, &mut index).unwrap();
    let entry = *message
        .entries()
        .iter()
        .find(|entry| entry.class == class::POLICY_DATA)
        .unwrap();
    let start = usize::from(entry.offset);
    let end = start + usize::from(entry.length);
    assert_eq!(object, message.bytes()[start..end]);

    let none = build::policy_data_object(&build::PolicyData::new());
    assert_eq!(none, Ok(vec![0, 8, 14, 1, 0, 8, 0, 0]));
    let of_size = |size| build::PolicyData::new().element(Element::new(77, vec![0; size]));
    let largest = build::policy_data_object(&of_size(65_520)).unwrap();
    assert_eq!(largest.len(), 65_532);
    assert_eq!(
        build::policy_data_object(&of_size(65_524)),
        Err(build::BuildError::TooLong {
            part: "POLICY_DATA",
            found: 65_536,
            limit: 65_535,
        })
    );
}

#[test]
fn a_signature_must_come_last() {
    let late = Identity::user()
        .attribute(3, 0, &[1; 4])
        .locator("CN=Mallory");
    let bytes = path(build::PolicyData::new().element(late));
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    let Some(Ok(PolicyElement::AuthUser(user))) = message.policy_elements().next() else {
        panic!("no AUTH_USER");
    };
    assert_eq!(user.signed(), None);
}

#[test]
fn options_name_flows_nodes_and_time() {
    let destination = RsvpHop {
        address: Ipv4Addr::new(10, 9, 9, 9).into(),
        logical_interface: 0,
    };
    let sender = FilterSpec::new(Ipv4Addr::new(10, 0, 0, 7), 4000);
    let data = build::PolicyData::new()
        .filter_spec(sender)
        .hops(HOP, Some(destination))
        .refresh_time(TimeValues { refresh_ms: 90_000 })
        .element(PreemptionPriority::new(1, 2).unwrap());
    let bytes = path(data);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    let data = message.policy_data().next().unwrap().unwrap();
    assert_eq!(data.filter_specs().collect::<Vec<_>>(), [Ok(sender)]);
    assert_eq!(data.originating_hop(), Some(Ok(HOP)));
    assert_eq!(data.destination_hop(), Some(Ok(destination)));
    assert_eq!(data.refresh_time().unwrap().unwrap().refresh_ms, 90_000);
    assert!(data.is_for(&[destination.address]) && !data.is_for(&[HOP.address]));
    assert_eq!(data.scope(), None);
    // The options do not count as objects of the message.
    assert_eq!(message.time_values(), Some(TimeValues::DEFAULT));
    assert_eq!(message.flow_descriptors().count(), 1);
}

#[test]
fn empty_and_unknown_elements() {
    let data = build::PolicyData::new()
        .element(Element::new(p_type::AUTH_USER, []))
        .element(Element::new(49_152, [1, 2, 3]))
        .element(Identity::app().locator("APP=x"));
    let bytes = path(data);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    let elements: Vec<_> = message.policy_elements().map(Result::unwrap).collect();
    assert_eq!(
        elements[0],
        PolicyElement::Empty {
            p_type: p_type::AUTH_USER
        }
    );
    let unknown = PolicyElement::Unknown {
        p_type: 49_152,
        data: &[1, 2, 3],
    };
    assert_eq!(elements[1], unknown);
    assert!(matches!(elements[2], PolicyElement::AuthApp(_)));
}

#[test]
fn malformed_policy_data() {
    assert_eq!(
        elements(&[]),
        [Err(
            "offset 8: POLICY_DATA (14/1): 0 bytes of content found, at least 4 expected (RFC \
              2750 §3, RFC 3181 §4, RFC 3182 §3)"
                .to_owned()
        )]
    );
    for offset in [0, 7, 13, 255] {
        let text = elements(&[0, offset, 0, 0, 0, 4, 0, 9])
            .remove(0)
            .unwrap_err();
        assert!(text.contains("Data Offset is"), "{text}");
    }
    assert_eq!(elements(&[0, 8, 0, 0]), []);
    // Elements: too short, too long, cut off; what comes before is still there.
    let text = elements(&[0, 8, 0, 0, 0, 4, 0, 9, 0, 3, 0, 9])
        .remove(1)
        .unwrap_err();
    assert!(
        text.contains("offset 20") && text.contains("at least 4"),
        "{text}"
    );
    let text = elements(&[0, 8, 0, 0, 0, 4, 0, 9, 0, 5, 0, 9])
        .remove(1)
        .unwrap_err();
    assert!(text.contains("needs 5 bytes, 4 are left"), "{text}");
    assert_eq!(elements(&[0, 8, 0, 0, 0]).len(), 1);
}

#[test]
fn a_bad_element_does_not_hide_the_next() {
    let mut body = vec![0, 8, 0, 0];
    body.extend([0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 8]);
    body.extend([0, 8, 0, 1, 0, 1, 0, 0]);
    body.extend([0, 12, 0, 1, 0, 1, 0, 0, 0, 8, 0, 9]);
    let found = elements(&body);
    let texts = [found[0].clone().unwrap_err(), found[1].clone().unwrap_err()];
    assert!(
        texts[0].contains("defending priority is 0x8"),
        "{}",
        texts[0]
    );
    assert!(
        texts[1].contains("8 in PREEMPTION_PRI expected"),
        "{}",
        texts[1]
    );
    assert_eq!(found[2], Ok(1));
}

#[test]
fn malformed_attributes() {
    for (attributes, count) in [
        (&[0, 3, 1, 1][..], 1),                    // shorter than its header
        (&[0, 9, 1, 1, 65, 65, 65, 65][..], 1),    // longer than the element
        (&[0, 5, 1, 1, 65, 0, 0, 0, 0, 1][..], 2), // a header cut off
        (&[0, 7, 4, 0, 0, 0, 0, 0][..], 1),        // no room for an error value
        (&[0, 4, 4, 0, 0, 4, 9, 9][..], 1),        // the same, and an attribute behind it
    ] {
        let mut body = vec![
            0,
            8,
            0,
            0,
            0,
            u8::try_from(attributes.len() + 4).unwrap(),
            0,
            2,
        ];
        body.extend(attributes);
        let (bytes, entries) = policy_data(&body);
        let message = Message::from_index(&bytes, &entries);
        let Some(Ok(PolicyElement::AuthUser(user))) = message.policy_elements().next() else {
            panic!("no AUTH_USER");
        };
        let found: Vec<_> = user.attributes().collect();
        assert_eq!(found.len(), count, "{found:?}");
        assert!(found.last().unwrap().is_err(), "{found:?}");
        assert_eq!(user.signed(), None);
    }
}

#[test]
fn bad_policy_data_does_not_make_the_message_malformed() {
    let good = path(build::PolicyData::new().element(PreemptionPriority::new(1, 2).unwrap()));
    let mut index = ObjectIndex::new();
    let message = Message::parse(&good, &mut index).unwrap();
    let at = usize::from(message.find(class::POLICY_DATA).unwrap().offset);
    let mut bytes = good.clone();
    bytes[at + 5] = 200;
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    assert!(message.policy_elements().next().unwrap().is_err());
    assert_eq!(message.flow_descriptors().count(), 1);
}

#[test]
fn encrypted_and_unknown_locators_are_not_names() {
    for (sub_type, unicode) in [(3, false), (4, true)] {
        let user = Identity::user()
            .attribute(1, sub_type, b"xyz")
            .locator("CN=Clear");
        let bytes = path(build::PolicyData::new().element(user));
        let mut index = ObjectIndex::new();
        let message = Message::parse(&bytes, &mut index).unwrap();
        let Some(Ok(PolicyElement::AuthUser(user))) = message.policy_elements().next() else {
            panic!("no AUTH_USER");
        };
        let encrypted = Attribute::PolicyLocator(Locator::Encrypted {
            unicode,
            value: b"xyz",
        });
        assert_eq!(user.attributes().next(), Some(Ok(encrypted)));
        assert!(user.locator().unwrap().eq_str("CN=Clear"));
    }
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

#[test]
fn texts_in_both_byte_orders() {
    for name in ["Alice", "CN=Jürgen,O=Bücher", "Ā漢字 Co", "😀 & co"] {
        for (encoding, unit) in [
            (
                TextEncoding::Utf16Be,
                u16::to_be_bytes as fn(u16) -> [u8; 2],
            ),
            (TextEncoding::Utf16Le, u16::to_le_bytes),
        ] {
            let mut bytes = utf16(name, unit);
            for mark in [false, true] {
                if mark {
                    bytes.splice(..0, unit(0xfeff));
                }
                let text = Text::utf16(&bytes);
                assert_eq!(
                    (text.encoding(), text.to_string()),
                    (encoding, name.to_owned())
                );
                assert!(text.eq_str(name) && !text.eq_str("Bob"));
                bytes.extend([0, 0, 0, 0]);
                assert!(
                    Text::utf16(&bytes).eq_str(name),
                    "trailing NULs do not count"
                );
                bytes.truncate(bytes.len() - 4);
            }
        }
    }
}

#[test]
fn texts_of_bytes() {
    let text = Text::ascii(b"CN=Alice\0");
    assert!(text.eq_str("CN=Alice") && text.eq_ignore_ascii_case("cn=ALICE"));
    assert!(!text.eq_str("CN=Alice\0") && !text.eq_ignore_ascii_case("cn=ALIC"));
    assert_eq!(Text::ascii("Jürgen".as_bytes()).to_string(), "Jürgen");
    let broken = Text::ascii(b"a\xffb\xc3");
    assert_eq!(broken.chars().collect::<String>(), "a\u{fffd}b\u{fffd}");
    assert_eq!((text.as_str(), broken.as_str()), (Some("CN=Alice"), None));
    assert!(
        !broken.eq_str("a\u{fffd}b\u{fffd}"),
        "what cannot be decoded equals nothing"
    );
    assert!(!broken.eq_ignore_ascii_case("a\u{fffd}b\u{fffd}"));
    assert_eq!(Text::ascii(b"a\x1b[31mb\n").to_string(), "a\\u{1b}[31mb\\n");
    assert!(Text::ascii(b"").is_empty() && Text::utf16(&[0, 0]).is_empty());
    let odd = Text::utf16(&[0, 65, 0]);
    assert_eq!(odd.to_string(), "A\u{fffd}");
    assert!(!odd.eq_str("A"));
}

#[test]
fn tree() {
    let user = Identity::user()
        .locator("CN=Alice")
        .kerberos_ticket(&[1, 2, 3]);
    let data = build::PolicyData::new()
        .refresh_time(TimeValues { refresh_ms: 90_000 })
        .element(user)
        .element(PreemptionPriority::new(1, 2).unwrap());
    let mut bytes = path(data);
    bytes[2..4].copy_from_slice(&[0, 0]);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).unwrap();
    assert_eq!(
        message.tree().to_string(),
        "\
Path, 140 bytes, no checksum, TTL 64
  SESSION (1/1): 10.0.0.1:5004/udp
  RSVP_HOP (3/1): 10.0.0.254
  TIME_VALUES (5/1): 30s
  POLICY_DATA (14/1):
    option TIME_VALUES (5/1): 90s
    AUTH_USER:
      locator: CN=Alice
      credential: Kerberos ticket of 3 bytes
    PREEMPTION_PRI: preemption 1, defending 2, HighestQos, error None
  SENDER_TEMPLATE (11/1): 10.0.0.7:4000
  SENDER_TSPEC (12/2): r 1000 B/s, b 1500 B, p 2000 B/s, m 64 B, M 1500 B"
    );
}
