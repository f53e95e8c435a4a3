//! Neighbours that know RFC 2961.

use lpm_rsvp::build::{Ack, Path};
use lpm_rsvp::{MessageId, MessageIdAck, MessageIdList, MessageType, RsvpHop, TimeValues, class};

use crate::net::{Came, Net, V4, can_make_networks, tspec, user};

/// The same from a node that says it knows, without a checksum.
fn capable(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[0] |= 1;
    bytes[2..4].fill(0);
    bytes
}

fn id_of(came: &Came) -> MessageId {
    came.read(|message| message.find(class::MESSAGE_ID).unwrap().read().unwrap())
}

#[test]
fn what_is_lost_comes_again_and_what_arrived_is_refreshed_by_name() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm("[run]\nrefresh = '500 ms'\n");
    let (sender, receiver) = (net.sender(), net.receiver());
    let id = MessageId {
        flags: MessageId::ACK_DESIRED,
        epoch: 0x0012_3456,
        identifier: 9,
    };
    let hop = RsvpHop {
        address: V4.sender,
        logical_interface: 7,
    };
    let path = Path::new(
        V4.session(),
        hop,
        TimeValues::DEFAULT,
        V4.flow(),
        tspec(1e6),
    );
    let path = path.policy_data(user("CN=Bob")).message_id(id);
    sender.send(V4.sender, V4.receiver, capable(path.build().unwrap()));
    sender.next(MessageType::Ack).read(|message| {
        let ack: MessageIdAck = message.find(class::MESSAGE_ID_ACK).unwrap().read().unwrap();
        assert!(!ack.negative);
        assert_eq!((ack.message.epoch, ack.message.identifier), (id.epoch, 9));
    });
    let came = receiver.next(MessageType::Path);
    receiver.send(V4.receiver, V4.router[1], V4.resv("CN=Bob", &came, 1e6));
    // Two of them are taken for lost.
    let first = id_of(&sender.next(MessageType::Resv));
    for _ in 0..2 {
        assert_eq!(id_of(&sender.next(MessageType::Resv)), first);
    }
    let say = |negative| {
        let message = MessageId { flags: 0, ..first };
        let ack = Ack::new(MessageIdAck { negative, message });
        sender.send(V4.sender, V4.router[0], capable(ack.build().unwrap()));
    };
    say(false);
    for _ in 0..3 {
        sender.next(MessageType::Srefresh).read(|message| {
            let list: MessageIdList<'_> = message
                .find(class::MESSAGE_ID_LIST)
                .unwrap()
                .read()
                .unwrap();
            let names: Vec<_> = list.entries().map(|entry| entry.identifier).collect();
            assert_eq!((list.epoch(), names), (first.epoch, vec![first.identifier]));
        });
    }
    while sender.has(MessageType::Resv) {}
    sender.next(MessageType::Srefresh);
    assert!(!sender.has(MessageType::Resv), "only names");
    // It has lost it.
    say(true);
    assert_eq!(id_of(&sender.next(MessageType::Resv)), first);
    say(false);
    assert_eq!(pcm.stop("TERM"), Some(143));
    id_of(&sender.next(MessageType::ResvTear));
}
