//! What is answered with an error without asking anybody.

use std::net::IpAddr;

use lpm_rsvp::build::{Path, Resv};
use lpm_rsvp::{FilterSpec, MessageType, ResvStyle, Session, TimeValues, checksum};
use lpm_sbm::{Datagram, NodeConfig};

use crate::world::{ROUTER, World, fixed, hop, host, load, path, read, sender, session, tspec};

fn world() -> World {
    World::new(NodeConfig::default())
}

fn code(datagram: &Datagram) -> (u8, u16) {
    let error = read(datagram, |message| message.error_spec().unwrap());
    (error.code, error.value)
}

/// The message with another C-Type for the first object of a class, or another body.
fn changed(mut bytes: Vec<u8>, class: u8, change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut at = 8;
    while bytes[at + 2] != class {
        at += usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    }
    change(&mut bytes[at..]);
    bytes[2..4].fill(0);
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// A message with an object of this class, which nobody knows, behind its last one but `behind`
/// bytes.
fn with_object(bytes: &[u8], class: u8, behind: usize) -> Vec<u8> {
    let (before, after) = bytes.split_at(bytes.len() - behind);
    let mut bytes = [before, &[0, 8, class, 9, 1, 2, 3, 4], after].concat();
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    bytes[6..8].copy_from_slice(&length);
    bytes[2..4].fill(0);
    bytes
}

#[test]
fn a_class_that_must_be_known_is_named() {
    let mut world = world();
    let good = path(sender(1)).build().unwrap();
    let bad = with_object(&good, 100, 0);
    world.receive(1, &bad);
    let sent = world.sent(MessageType::PathErr);
    assert_eq!(code(&sent[0]), (13, 100 << 8 | 9));
    assert_eq!(sent[0].destination, IpAddr::from(host(1, 1)));
    read(&sent[0], |message| {
        assert_eq!(message.sender_template(), Some(sender(1)));
        assert_eq!(message.error_spec().unwrap().node, IpAddr::from(ROUTER[1]));
    });
    assert_eq!((world.node.flow_count(), world.questions()), (0, 0));

    // Several: the first is named.
    world.receive(1, &with_object(&bad, 101, 0));
    assert_eq!(
        code(&world.sent(MessageType::PathErr)[0]),
        (13, 100 << 8 | 9)
    );
    world.receive(1, &good);
    let resv = fixed(1e5, &[sender(1), sender(2)]).build().unwrap();
    // Before its STYLE.
    let bad = with_object(&resv, 100, resv.len() - 40);
    world.sent.clear();
    world.receive(2, &bad);
    let sent = world.sent(MessageType::ResvErr);
    assert_eq!(sent.len(), 2, "one for each flow");
    assert_eq!(code(&sent[1]), (13, 100 << 8 | 9));
    assert_eq!(sent[1].destination, IpAddr::from(host(2, 1)));
    read(&sent[1], |message| {
        let flow = message.flow_descriptors().next().unwrap();
        assert_eq!(flow.filters().collect::<Vec<_>>(), [sender(2)]);
    });
    // For another node.
    world.receive_for(2, host(3, 3).into(), 64, &bad);
    assert_eq!(world.sent.len(), 0);

    // Those that may be ignored are; those that may be passed on are.
    for (class, is_passed_on) in [(128, false), (200, true)] {
        world.receive(1, &with_object(&path(sender(3)).build().unwrap(), class, 0));
        let sent = world.sent(MessageType::Path);
        let has = read(&sent[0], |message| message.find(class).is_some());
        assert_eq!(has, is_passed_on);
    }
}

#[test]
fn a_c_type_that_is_not_known_is_named() {
    let mut world = world();
    let good = path(sender(1)).build().unwrap();
    for class in [5, 12] {
        world.receive(1, &changed(good.clone(), class, |object| object[3] = 77));
        let sent = world.sent(MessageType::PathErr);
        assert_eq!(
            code(&sent[0]),
            (14, u16::from(class) << 8 | 77),
            "class {class}"
        );
        assert_eq!(sent[0].destination, IpAddr::from(host(1, 1)));
    }
    // Who sent it, or what it is about, is not known then.
    for class in [1, 3] {
        world.receive(1, &changed(good.clone(), class, |object| object[3] = 77));
        assert_eq!(world.sent.len(), 0);
    }
    world.receive(1, &changed(good.clone(), 11, |object| object[3] = 77));
    assert_eq!(
        code(&world.sent(MessageType::PathErr)[0]),
        (14, 11 << 8 | 77)
    );
    world.receive(1, &good);
    let resv = fixed(1e5, &[sender(1)]).build().unwrap();
    for class in [8, 10] {
        world.sent.clear();
        world.receive(2, &changed(resv.clone(), class, |object| object[3] = 77));
        let sent = world.sent(MessageType::ResvErr);
        if class == 8 {
            // There is no ResvErr without a style.
            assert_eq!(sent.len(), 0);
            continue;
        }
        assert_eq!(code(&sent[0]), (14, 10 << 8 | 77));
        read(&sent[0], |message| {
            assert_eq!(message.style(), Some(ResvStyle::FixedFilter));
        });
    }
    assert_eq!(world.kernel.len(), 0);
    // An error about an error would go round for ever.
    let error = lpm_rsvp::build::PathErr::new(
        session(),
        lpm_rsvp::ErrorSpec {
            node: host(2, 1).into(),
            flags: 0,
            code: 2,
            value: 0,
        },
    );
    world.sent.clear();
    world.receive(2, &with_object(&error.build().unwrap(), 100, 0));
    assert_eq!(world.sent.len(), 0);
}

#[test]
fn a_style_that_is_not_known_is_refused() {
    let mut world = world();
    world.receive(1, &path(sender(1)).build().unwrap());
    world.sent.clear();
    let resv = fixed(1e5, &[sender(1)]).build().unwrap();
    world.receive(2, &changed(resv, 8, |style| style[7] = 0x1c));
    let sent = world.sent(MessageType::ResvErr);
    assert_eq!((sent.len(), code(&sent[0])), (1, (6, 0)));
    assert_eq!((world.kernel.len(), world.questions()), (0, 1));
}

#[test]
fn ports_that_do_not_go_together_are_refused() {
    let mut world = world();
    let path = |port, sender| {
        let session = Session::new(host(2, 1), 17, port).unwrap();
        let path = Path::new(
            session,
            hop(host(1, 1), 7),
            TimeValues::DEFAULT,
            sender,
            tspec(1e6),
        );
        path.build().unwrap()
    };
    let without = FilterSpec::new(host(1, 1), 0);
    world.receive(1, &path(5004, sender(1)));
    world.sent.clear();
    world.receive(1, &path(0, without));
    let sent = world.sent(MessageType::PathErr);
    assert_eq!(code(&sent[0]), (7, 0));
    // Another protocol's ports are others, and so is another destination.
    let other = Session::new(host(2, 1), 6, 0).unwrap();
    let of_tcp = Path::new(
        other,
        hop(host(1, 1), 7),
        TimeValues::DEFAULT,
        without,
        tspec(1e6),
    );
    world.receive(1, &of_tcp.build().unwrap());
    assert_eq!(world.sent(MessageType::Path).len(), 1);
    // The same sender, with a port and without.
    world.receive(1, &path(5004, without));
    let sent = world.sent(MessageType::PathErr);
    assert_eq!(code(&sent[0]), (8, 0));
    world.receive(1, &path(5004, FilterSpec::new(host(1, 1), 4001)));
    world.receive(1, &path(5004, FilterSpec::new(host(1, 2), 0)));
    assert_eq!(world.sent(MessageType::Path).len(), 2);
    assert_eq!(world.node.flow_count(), 4);

    // A Resv for the session that may not be.
    let session = Session::new(host(2, 1), 17, 0).unwrap();
    let flows = lpm_rsvp::build::Flows::FixedFilter(vec![(load(1e5), without)]);
    let resv = Resv::new(session, hop(host(2, 1), 2), TimeValues::DEFAULT, flows);
    world.receive(2, &resv.build().unwrap());
    assert_eq!(code(&world.sent(MessageType::ResvErr)[0]), (7, 0));
}
