//! Messages that are longer than a packet: they come in fragments, and go on in fragments.

use std::time::Duration;

use lpm_rsvp::MessageType;
use lpm_rsvp::build::{Element, PolicyData};

use crate::net::{Net, V4, V6, can_make_networks, user};

const USUAL: Duration = Duration::from_secs(30);

fn long(length: usize) -> PolicyData {
    user("CN=Bob").element(Element::new(40_000, vec![7; length]))
}

#[test]
fn what_is_longer_than_a_packet_goes_both_ways() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm("");
    let (sender, receiver) = (net.sender(), net.receiver());
    for (ends, length) in [(V6, 3_000), (V6, 40_000), (V4, 3_000), (V4, 40_000)] {
        let path = ends.path_with(long(length), USUAL, 1e6);
        assert!(path.len() > length);
        sender.send(ends.sender, ends.receiver, path);
        let came = receiver.next(MessageType::Path);
        assert_eq!((came.source, came.ttl), (ends.sender, 63));
        assert!(came.bytes.len() > length, "{}", came.bytes.len());
        let resv = ends.resv_with(long(length), &came, 1e6);
        receiver.send(ends.receiver, ends.router[1], resv);
        let asked = sender.next(MessageType::Resv);
        assert_eq!(asked.source, ends.router[0]);
        assert!(asked.bytes.len() > length, "{}", asked.bytes.len());
        sender.send(ends.sender, ends.receiver, ends.path_tear());
        receiver.next(MessageType::PathTear);
    }
    assert_eq!(pcm.stop("TERM"), Some(143));
}
