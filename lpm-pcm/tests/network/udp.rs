//! Hosts that speak RSVP in UDP only (RFC 2205, appendix C).

use std::io;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use lpm_rsvp::{Message, MessageType, ObjectIndex};

use crate::net::{Net, POLICY, ROUTER, SENDER, can_make_networks, path, resv};
use crate::support::eventually;
use crate::{USUAL, path_tear, to};

const OF_HOSTS: u16 = 1698;
const OF_NODES: u16 = 1699;

/// What a host gets next, and where it came from; `None` if nothing comes soon.
fn soon(host: &UdpSocket) -> Option<(MessageType, IpAddr)> {
    host.set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let mut buffer = [0; 2_000];
    let (length, from) = match host.recv_from(&mut buffer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
        received => received.unwrap(),
    };
    let mut index = ObjectIndex::new();
    let message = Message::parse(&buffer[..length], &mut index).unwrap();
    Some((message.message_type(), from.ip()))
}

/// A message of this type comes to a host, from there.
fn comes(host: &UdpSocket, wanted: MessageType, from: IpAddr) {
    eventually(&format!("{wanted} of {from}"), || {
        soon(host).filter(|came| *came == (wanted, from))
    });
}

#[test]
fn hosts_that_speak_udp_only_are_served_where_that_is_configured() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm("[run]\nudp_interfaces = ['r0']\n");
    let receiver = net.receiver();
    let (host, hears) = (net.udp(true, OF_HOSTS), net.udp(true, OF_NODES));
    let say = |bytes: Vec<u8>| host.send_to(&bytes, (ROUTER[0], OF_HOSTS)).unwrap();
    say(path("CN=Eve", USUAL, 1e6));
    comes(&hears, MessageType::PathErr, to(ROUTER[0]));
    say(path("CN=Bob", USUAL, 1e6));
    let came = receiver.next(MessageType::Path);
    assert_eq!(came.source, to(SENDER));
    came.read(|message| assert_eq!(message.hop().unwrap().address, to(ROUTER[1])));

    // The receiver's link is not named: what comes there in UDP is for nobody, until it is.
    let (far, far_hears) = (net.udp(false, OF_HOSTS), net.udp(false, OF_NODES));
    let ask = || far.send_to(&resv("CN=Bob", &came, 1e6), (ROUTER[1], OF_HOSTS));
    ask().unwrap();
    assert_eq!(soon(&hears), None);
    pcm.configure_with(POLICY, "[run]\nudp_interfaces = ['r0', 'r1']\n");
    pcm.signal("HUP");
    eventually("a reservation", || {
        // That nobody listens yet is an error of the next call.
        let _ = ask();
        soon(&hears).filter(|came| *came == (MessageType::Resv, to(ROUTER[0])))
    });
    say(path_tear());
    comes(&far_hears, MessageType::PathTear, to(SENDER));
    assert_eq!(pcm.stop("TERM"), Some(143));
}
