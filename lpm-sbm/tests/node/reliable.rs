//! Neighbours that acknowledge, and refresh by name (RFC 2961).

use std::net::IpAddr;
use std::time::Duration;

use lpm_rsvp::build::{
    Ack, Bundle, Path, PathErr, Resv, ResvConf, ResvTear, Senders, Srefresh, Targets,
};
use lpm_rsvp::{
    ErrorSpec, Message, MessageId, MessageIdAck, MessageIdList, MessageType, ResvConfirm, class,
};
use lpm_sbm::{Datagram, DropReason, NodeConfig};

use crate::world::{
    ROUTER, World, fixed, hop, host, path, path_tear, read, resv_tear, sender, session,
};

const SECOND: Duration = Duration::from_secs(1);
/// That of neighbours.
const EPOCH: u32 = 0x00ab_cdef;

fn world() -> World {
    let mut config = NodeConfig::default();
    config.seed = 77;
    World::new(config)
}

/// The same from a node that says it knows of RFC 2961.
fn capable(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[0] |= 1;
    // No checksum.
    bytes[2..4].fill(0);
    bytes
}

fn id(identifier: u32, flags: u8) -> MessageId {
    MessageId {
        flags,
        epoch: EPOCH,
        identifier,
    }
}

fn path_with(id: MessageId) -> Vec<u8> {
    let path: Path = path(sender(1));
    capable(path.message_id(id).build().unwrap())
}

fn resv_with(id: MessageId) -> Vec<u8> {
    let resv: Resv = fixed(1e5, &[sender(1)]);
    capable(resv.message_id(id).build().unwrap())
}

fn id_of(datagram: &Datagram) -> Option<MessageId> {
    read(datagram, |message| {
        let object = message.find(class::MESSAGE_ID);
        object.map(|object| object.read().unwrap())
    })
}

fn acks(message: &Message<'_>) -> Vec<(bool, u32)> {
    let acks = message
        .objects()
        .filter(|object| object.class == class::MESSAGE_ID_ACK);
    acks.map(|object| {
        let ack: MessageIdAck = object.read().unwrap();
        assert_eq!(ack.message.epoch, EPOCH);
        (ack.negative, ack.message.identifier)
    })
    .collect()
}

fn names(srefresh: &Datagram) -> Vec<u32> {
    read(srefresh, |message| {
        let object = message.find(class::MESSAGE_ID_LIST).unwrap();
        let list: MessageIdList<'_> = object.read().unwrap();
        list.entries().map(|entry| entry.identifier).collect()
    })
}

impl World {
    /// A neighbour on this link says this of a message of the node's.
    fn acknowledge(&mut self, link: u8, id: MessageId, negative: bool) {
        let message = MessageId { flags: 0, ..id };
        let ack = Ack::new(MessageIdAck { negative, message })
            .build()
            .unwrap();
        self.neighbour_sends(link, &capable(ack));
    }

    fn neighbour_sends(&mut self, link: u8, bytes: &[u8]) {
        let to = ROUTER[usize::from(link)].into();
        self.receive_from(link.into(), host(link, 1), to, 64, bytes);
    }

    fn refresh_by_name(&mut self, link: u8, names: &[u32]) {
        let refresh = Srefresh::new(EPOCH, Targets::List(names.to_vec()));
        self.neighbour_sends(link, &capable(refresh.build().unwrap()));
    }
}

#[test]
fn what_a_neighbour_wants_acknowledged_is() {
    let mut world = world();
    world.receive(1, &path_with(id(5, MessageId::ACK_DESIRED)));
    let sent = world.sent(MessageType::Ack);
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].interface, sent[0].destination),
        (1, IpAddr::from(host(1, 1)))
    );
    assert_eq!(read(&sent[0], acks), [(false, 5)]);
    // The same again, since the acknowledgement was lost.
    world.receive(1, &path_with(id(5, MessageId::ACK_DESIRED)));
    assert_eq!(world.sent(MessageType::Ack).len(), 1);
    world.receive(1, &path_with(id(5, 0)));
    assert_eq!(world.sent(MessageType::Ack).len(), 0);
    assert_eq!(world.questions(), 1);

    // That there is nothing to tear down is known after that, too.
    let tear = ResvTear::new(
        session(),
        hop(host(2, 1), 2),
        Senders::FixedFilter(vec![sender(1)]),
    );
    let tear = tear
        .message_id(id(6, MessageId::ACK_DESIRED))
        .build()
        .unwrap();
    world.receive(2, &tear);
    let sent = world.sent(MessageType::Ack);
    assert_eq!(
        (sent[0].interface, sent[0].destination),
        (2, IpAddr::from(host(2, 1)))
    );
    assert_eq!(world.dropped, [DropReason::NoState]);
}

#[test]
fn a_message_is_sent_again_until_it_is_acknowledged() {
    let mut world = world();
    world.receive(1, &path_with(id(1, 0)));
    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    let sent = world.sent(MessageType::Resv);
    let first = id_of(&sent[0]).unwrap();
    assert_eq!(first.flags, MessageId::ACK_DESIRED);
    for (time, count) in [(499, 0), (2, 1), (998, 0), (2, 1), (10_000, 0)] {
        world.pass(Duration::from_millis(time));
        let again = world.sent(MessageType::Resv);
        assert_eq!(again.len(), count, "after {time} ms");
        assert!(again.iter().all(|again| *again == sent[0]));
    }
    // As long as it is not acknowledged it is refreshed in full.
    world.pass(35 * SECOND);
    let sent = world.sent(MessageType::Resv);
    assert_eq!(id_of(&sent[0]), Some(first));
    world.acknowledge(1, first, false);
    world.pass(2 * SECOND);
    assert_eq!(world.sent(MessageType::Resv).len(), 0);
}

#[test]
fn what_is_acknowledged_is_refreshed_by_name_and_in_full_where_it_is_missing() {
    let mut world = world();
    world.receive(1, &path_with(id(1, 0)));
    world.receive(2, &resv_with(id(1, 0)));
    let sent = world.sent(MessageType::Resv);
    let resv = id_of(&sent[0]).unwrap();
    world.acknowledge(1, resv, false);
    // The next hop is known by now: the next Path has a name.
    world.pass(46 * SECOND);
    let sent = std::mem::take(&mut world.sent);
    let paths: Vec<_> = sent.iter().filter(|sent| sent.bytes[1] == 1).collect();
    assert!(sent.iter().all(|sent| sent.bytes[1] != 2), "no Resv");
    let path = id_of(paths[0]).unwrap();
    assert_ne!(path.identifier, resv.identifier);
    assert_eq!(path.epoch, resv.epoch);
    // Somebody else says so.
    world.acknowledge(3, path, false);
    world.pass(46 * SECOND);
    assert!(!world.sent(MessageType::Path).is_empty());
    world.acknowledge(2, path, false);
    world.sent.clear();
    for _ in 0..20 {
        world.pass(30 * SECOND);
        world.refresh_by_name(1, &[1]);
        world.refresh_by_name(2, &[1]);
    }
    assert_eq!(world.node.flow_count(), 2, "both live on");
    assert_eq!(world.questions(), 2);
    let sent = std::mem::take(&mut world.sent);
    assert!(
        sent.iter()
            .all(|sent| sent.bytes[1] == MessageType::Srefresh.number())
    );
    for (link, wanted) in [(1, resv), (2, path)] {
        let to: Vec<_> = sent.iter().filter(|sent| sent.interface == link).collect();
        // Every 15 to 45 seconds.
        assert!((13..=40).contains(&to.len()), "{}", to.len());
        assert_eq!(names(to[0]), [wanted.identifier]);
    }
    world.acknowledge(1, resv, true);
    let sent = world.sent(MessageType::Resv);
    assert_eq!(
        id_of(&sent[0]).map(|id| id.identifier),
        Some(resv.identifier)
    );
    world.acknowledge(2, path, true);
    assert_eq!(world.sent(MessageType::Path).len(), 1);
    // Nobody has said that it has it.
    world.acknowledge(2, path, true);
    assert_eq!(world.sent(MessageType::Path).len(), 0);

    // A teardown is to arrive as well.
    world.receive(1, &path_tear(sender(1)));
    let sent = world.sent(MessageType::PathTear);
    let tear = id_of(&sent[0]).unwrap();
    world.pass(SECOND);
    assert_eq!(world.sent(MessageType::PathTear).len(), 1);
    world.acknowledge(2, tear, false);
    world.pass(100 * SECOND);
    assert_eq!(world.sent.len(), 0);
    world.assert_empty();
    assert_eq!(world.node.next_deadline(), None);
}

#[test]
fn state_is_forgotten_when_its_name_is_not_said() {
    let mut world = world();
    world.receive(1, &path_with(id(1, 0)));
    for _ in 0..10 {
        world.pass(30 * SECOND);
        world.refresh_by_name(1, &[1]);
    }
    assert_eq!(world.node.flow_count(), 1);
    assert_eq!(world.sent(MessageType::Ack).len(), 0);
    world.refresh_by_name(1, &[2]);
    let sent = world.sent(MessageType::Ack);
    assert_eq!(sent[0].destination, IpAddr::from(host(1, 1)));
    assert_eq!(read(&sent[0], acks), [(true, 2)]);
    // Another node's name.
    world.refresh_by_name(3, &[1]);
    assert_eq!(world.sent(MessageType::Ack).len(), 1);
    world.pass(158 * SECOND);
    world.assert_empty();
    world.refresh_by_name(1, &[1]);
    assert_eq!(read(&world.sent(MessageType::Ack)[0], acks), [(true, 1)]);
}

#[test]
fn what_comes_late_is_not_taken_for_news() {
    let mut world = world();
    world.receive(1, &path_with(id(u32::MAX, 0)));
    world.receive(2, &resv_with(id(9, 0)));
    let late = path(sender(1)).message_id(id(u32::MAX - 1, 1));
    world.receive(1, &capable(late.build().unwrap()));
    assert_eq!(world.dropped, [DropReason::OutOfOrder]);
    let tear = path_tear(sender(1));
    let late = lpm_rsvp::build::PathTear::new(session(), hop(host(1, 1), 7), sender(1));
    world.receive(1, &late.message_id(id(u32::MAX - 1, 1)).build().unwrap());
    world.receive(2, &resv_with(id(8, 1)));
    assert_eq!(world.dropped, [DropReason::OutOfOrder; 3]);
    assert_eq!(world.sent(MessageType::Ack).len(), 0);
    // Identifiers wrap; another epoch begins anew.
    world.receive(1, &path_with(id(3, 1)));
    let other = MessageId {
        flags: 1,
        epoch: 1,
        identifier: 0,
    };
    world.receive(1, &path_with(other));
    assert_eq!((world.dropped.len(), world.node.flow_count()), (3, 2));
    world.receive(1, &tear);
    world.assert_empty();
}

#[test]
fn neighbours_that_do_not_say_that_they_know_get_what_they_know() {
    let mut world = world();
    // One knows of names, and does not say so.
    let named = path(sender(1)).message_id(id(1, 1)).build().unwrap();
    world.receive(1, &named);
    assert_eq!(world.sent(MessageType::Ack).len(), 1, "it asks for it");
    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    assert_eq!(id_of(&world.sent(MessageType::Resv)[0]), None);
    world.pass(46 * SECOND);
    assert_eq!(id_of(&world.sent(MessageType::Path)[0]), None);
    // It says so, and then no more.
    world.receive(1, &path_with(id(1, 0)));
    world.pass(46 * SECOND);
    let sent = world.sent(MessageType::Resv);
    let resv = id_of(&sent[0]).unwrap();
    world.acknowledge(1, resv, false);
    world.receive(1, &path(sender(1)).build().unwrap());
    world.pass(46 * SECOND);
    assert_eq!(id_of(&world.sent(MessageType::Resv)[0]), None);
}

#[test]
fn a_node_in_between_that_does_not_know_rsvp_hides_who_knows() {
    let mut world = world();
    world.receive_for(1, session().address(), 63, &path_with(id(1, 0)));
    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    assert_eq!(id_of(&world.sent(MessageType::Resv)[0]), None);
}

#[test]
fn names_go_no_further_than_to_the_neighbour() {
    let mut world = world();
    world.receive(1, &path_with(id(1, 0)));
    assert_eq!(id_of(&world.sent(MessageType::Path)[0]), None);
    let receiver = host(2, 1).into();
    let done = ErrorSpec {
        node: host(1, 9).into(),
        flags: 0,
        code: 0,
        value: 0,
    };
    let flows = lpm_rsvp::build::Flows::FixedFilter(vec![(crate::world::load(1e5), sender(1))]);
    let confirmed = ResvConf::new(session(), done.node, ResvConfirm { receiver }, flows);
    world.receive(1, &capable(confirmed.message_id(id(7, 1)).build().unwrap()));
    let sent = std::mem::take(&mut world.sent);
    let conf = sent
        .iter()
        .find(|sent| sent.bytes[1] == 7)
        .expect("it goes on");
    assert_eq!(id_of(conf), None);
    let ack = sent
        .iter()
        .find(|sent| sent.bytes[1] == 13)
        .expect("it is acknowledged");
    assert_eq!(read(ack, acks), [(false, 7)]);

    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    world.sent.clear();
    let refused = ErrorSpec { code: 2, ..done };
    let error = PathErr::new(session(), refused).sender(sender(1), crate::world::tspec(1e6));
    let error = capable(error.message_id(id(8, 1)).build().unwrap());
    world.receive(2, &error);
    let sent = world.sent(MessageType::PathErr);
    let own = id_of(&sent[0]).expect("the previous hop knows of names");
    assert_ne!(own.epoch, EPOCH);
}

#[test]
fn messages_come_in_a_bundle() {
    let mut world = world();
    let bundle = Bundle::new()
        .message(&path_with(id(1, 1)))
        .unwrap()
        .message(&path(sender(2)).message_id(id(2, 1)).build().unwrap())
        .unwrap();
    world.neighbour_sends(1, &bundle.build().unwrap());
    let sent = world.sent(MessageType::Path);
    assert_eq!((sent.len(), world.node.flow_count()), (2, 2));
    let mut world = self::world();
    world.neighbour_sends(1, &bundle.build().unwrap());
    let sent = world.sent(MessageType::Ack);
    // Each to the hop that its Path names.
    let to: Vec<_> = sent.iter().map(|sent| sent.destination).collect();
    assert_eq!(to, [host(1, 1), host(1, 2)].map(IpAddr::from));
    world.receive(2, &resv_tear(Senders::FixedFilter(vec![sender(1)])));
}

#[test]
fn paths_go_out_in_full_once_when_routes_change() {
    let mut world = world();
    world.receive(1, &path_with(id(1, 0)));
    world.receive(2, &resv_with(id(1, 0)));
    world.sent.clear();
    world.pass(46 * SECOND);
    let name = id_of(&world.sent(MessageType::Path)[0]).unwrap();
    world.acknowledge(2, name, false);
    world.refresh_by_name(1, &[1]);
    world.refresh_by_name(2, &[1]);
    world.pass(60 * SECOND);
    assert_eq!(world.sent(MessageType::Path).len(), 0);
    world.node.routes_changed(world.now);
    world.refresh_by_name(1, &[1]);
    world.refresh_by_name(2, &[1]);
    world.pass(50 * SECOND);
    let sent = world.sent(MessageType::Path);
    assert_eq!(
        id_of(&sent[0]).map(|id| id.identifier),
        Some(name.identifier)
    );
}
