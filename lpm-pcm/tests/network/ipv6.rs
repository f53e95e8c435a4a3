//! The same over IPv6.

use std::net::UdpSocket;
use std::time::Duration;

use lpm_rsvp::MessageType;

use crate::net::{Net, V4, V6, can_make_networks, hop, tspec};
use crate::support::eventually;

const USUAL: Duration = Duration::from_secs(30);
/// The interface to the receivers, by its address of each family.
const ENFORCED: &str = "[run]\nenforce = true\n[interface.'fd77:2::254']\nbandwidth = '10 Mbit/s'\n\
                        [interface.'10.77.2.254']\nbandwidth = '10 Mbit/s'\n";

#[test]
fn bobs_flow_is_reserved_and_eves_is_not() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm(ENFORCED);
    let (sender, receiver) = (net.sender(), net.receiver());
    // POLICY_ERRV_NO_PRIVILEGES.
    let refused = |node| (node, 2, 50);
    sender.send(V6.sender, V6.receiver, V6.path("CN=Eve", USUAL, 1e6));
    let error = sender.next(MessageType::PathErr);
    let error = error.read(|message| message.error_spec().unwrap());
    assert_eq!((error.node, error.code, error.value), refused(V6.router[0]));

    sender.send(V6.sender, V6.receiver, V6.path("CN=Bob", USUAL, 1e6));
    let came = receiver.next(MessageType::Path);
    assert_eq!((came.source, came.ttl), (V6.sender, 63));
    came.read(|message| {
        assert_eq!(message.hop().unwrap().address, V6.router[1]);
        assert_eq!(message.sender_tspec(), Some(tspec(1e6)));
    });
    receiver.send(V6.receiver, V6.router[1], V6.resv("CN=Eve", &came, 1e6));
    let error = receiver.next(MessageType::ResvErr);
    let error = error.read(|message| message.error_spec().unwrap());
    assert_eq!((error.node, error.code, error.value), refused(V6.router[1]));

    receiver.send(V6.receiver, V6.router[1], V6.resv("CN=Bob", &came, 1e6));
    let asked = sender.next(MessageType::Resv);
    assert_eq!(asked.source, V6.router[0]);
    asked.read(|message| assert_eq!(message.hop(), Some(hop(V6.router[0], 7))));
    let classes = net.on_router("tc class show dev r1");
    assert!(classes.contains("rate 1Mbit ceil 1Mbit"), "{classes}");
    let from = net.udp_at(true, V6.sender, 4000);
    let to = [5201, 5202].map(|port| net.udp_at(false, V6.receiver, port));
    let counted = |to: &UdpSocket| {
        to.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let address = to.local_addr().unwrap();
        from.send_to(&[7; 400], address).unwrap();
        to.recv(&mut [0; 500]).expect("the router forwards");
        let classes = net.on_router("tc -s class show dev r1");
        let (_, reserved) = classes.split_once("rate 1Mbit ceil 1Mbit").unwrap();
        reserved.lines().nth(1).unwrap().to_owned()
    };
    let count = counted(&to[1]);
    assert!(count.contains("Sent 0 bytes"), "another flow: {count}");
    let count = counted(&to[0]);
    assert!(count.contains(" 1 pkt"), "the flow: {count}");

    receiver.send(V6.receiver, V6.router[1], V6.resv_tear(&came));
    sender.next(MessageType::ResvTear);
    eventually("the class is gone", || {
        let classes = net.on_router("tc class show dev r1");
        (!classes.contains("1Mbit ceil 1Mbit")).then_some(())
    });
    let filters = net.on_router("tc filter show dev r1");
    assert!(!filters.contains("flowid"), "{filters}");
    sender.send(V6.sender, V6.receiver, V6.path_tear());
    receiver.next(MessageType::PathTear);
    assert_eq!(pcm.stop("TERM"), Some(143));
    assert!(!net.on_router("tc qdisc show dev r1").contains("htb"));
}

#[test]
fn flows_of_both_versions_share_an_interface() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm(crate::ENFORCED);
    let (sender, receiver) = (net.sender(), net.receiver());
    for (ends, bits) in [(V4, 3e6), (V6, 2e6)] {
        sender.send(ends.sender, ends.receiver, ends.path("CN=Bob", USUAL, bits));
        let came = receiver.next(MessageType::Path);
        let resv = ends.resv("CN=Bob", &came, bits);
        receiver.send(ends.receiver, ends.router[1], resv);
        let asked = sender.next(MessageType::Resv);
        assert_eq!(asked.source, ends.router[0]);
    }
    let classes = net.on_router("tc class show dev r1");
    assert!(
        classes.contains("rate 3Mbit") && classes.contains("rate 2Mbit"),
        "{classes}"
    );
    // They share its bandwidth, too, though that is configured for its IPv4 address only.
    let path = V6.path("CN=Bob", USUAL, 8e6);
    sender.send(V6.sender, V6.receiver, path);
    let came = receiver.next(MessageType::Path);
    let resv = V6.resv("CN=Bob", &came, 8e6);
    receiver.send(V6.receiver, V6.router[1], resv);
    let error = receiver.next(MessageType::ResvErr);
    assert_eq!(error.read(|message| message.error_spec().unwrap().code), 1);
    assert_eq!(pcm.stop("TERM"), Some(143));
}
