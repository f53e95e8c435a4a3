//! A link between two routers that loses and reorders their messages.

use std::collections::BTreeSet;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lpm_rsvp::build::{Flows, Path, PathTear, Resv};
use lpm_rsvp::{FilterSpec, MessageType, ServiceRequest, Session, TimeValues};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::net::{Came, End, Pcm, can_make_networks, hop, must, run, tspec, unique, user, within};
use crate::support::eventually;
use crate::topology::{CHAIN, Chain};

/// The policy allows ten to a user.
const FLOWS: u16 = 40;
/// What is not refreshed for (3 + 0.5) · 1.5 of these is gone.
const REFRESH: Duration = Duration::from_secs(2);
const LIFETIME: Duration = Duration::from_millis(10_500);

/// A wire between w0 and w1 of a network namespace, whose ends are the links of two routers.
struct Wire {
    namespace: String,
    is_over: Arc<AtomicBool>,
    counts: Arc<Counts>,
    carriers: Vec<JoinHandle<()>>,
}

/// What became of RSVP messages.
#[derive(Default)]
struct Counts {
    carried: AtomicU32,
    lost: AtomicU32,
    overtaken: AtomicU32,
}

impl Wire {
    fn new() -> Self {
        let namespace = unique("w");
        must(&format!("ip netns add {namespace}"));
        Self {
            namespace,
            is_over: Arc::default(),
            counts: Arc::default(),
            carriers: Vec::new(),
        }
    }

    /// Carries packets from now on, both ways.
    fn carry(&mut self) {
        let [one, other] = ["w0", "w1"].map(|link| {
            must(&format!("ip -n {} link set {link} up", self.namespace));
            within(&self.namespace, move || Arc::new(packets_of(link)))
        });
        for (from, to, seed) in [(&one, &other, 7), (&other, &one, 11)] {
            let (from, to) = (Arc::clone(from), Arc::clone(to));
            let (is_over, counts) = (Arc::clone(&self.is_over), Arc::clone(&self.counts));
            let carry = move || carry(&from, &to, seed, &is_over, &counts);
            self.carriers.push(thread::spawn(carry));
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for carrier in self.carriers.drain(..) {
            let _ = carrier.join();
        }
        let _ = run(&["ip", "netns", "del", &self.namespace]);
    }
}

/// A socket that has all packets of a link of this namespace.
fn packets_of(link: &str) -> OwnedFd {
    let (packet, raw) = (AddressFamily::Packet, SockType::Raw);
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(packet, raw, flags, SockProtocol::EthAll).unwrap();
    let addresses = getifaddrs().unwrap();
    let mut of_link = addresses.filter(|address| address.interface_name == link);
    let address = of_link.find_map(|address| address.address?.as_link_addr().copied());
    bind(socket.as_raw_fd(), &address.unwrap()).unwrap();
    let patience = TimeVal::milliseconds(20);
    setsockopt(&socket, sockopt::ReceiveTimeout, &patience).unwrap();
    socket
}

/// Carries packets one way. Of RSVP messages one in twenty is lost, and one in ten comes after the
/// next one, if that comes soon.
fn carry(from: &OwnedFd, to: &OwnedFd, seed: u32, is_over: &AtomicBool, counts: &Counts) {
    let (mut draw, mut buffer) = (seed, vec![0; 65_536]);
    let mut held: Option<Vec<u8>> = None;
    let pass = |packet: &[u8]| {
        let _ = send(to.as_raw_fd(), packet, MsgFlags::empty());
    };
    while !is_over.load(Ordering::Relaxed) {
        let received = recv(from.as_raw_fd(), &mut buffer, MsgFlags::empty());
        let packet = received.ok().map(|length| &buffer[..length]);
        if packet.is_some_and(is_rsvp) {
            // Xorshift.
            draw ^= draw << 13;
            draw ^= draw >> 17;
            draw ^= draw << 5;
            let chance = draw % 100;
            let count = match chance {
                0..5 => &counts.lost,
                5..15 if held.is_none() => &counts.overtaken,
                _ => &counts.carried,
            };
            count.fetch_add(1, Ordering::Relaxed);
            match chance {
                0..5 => continue,
                5..15 if held.is_none() => {
                    held = packet.map(<[u8]>::to_vec);
                    continue;
                }
                _ => {}
            }
        }
        packet.into_iter().for_each(pass);
        held.take().iter().for_each(|held| pass(held));
    }
}

/// Whether it is RSVP in IPv4, on Ethernet.
fn is_rsvp(packet: &[u8]) -> bool {
    packet.get(12..14) == Some(&[8, 0]) && packet.get(14 + 9) == Some(&46)
}

fn session(flow: u16) -> Session {
    Session::new(CHAIN.receiver, 17, 6_000 + flow).unwrap()
}

fn flow_of(flow: u16) -> FilterSpec {
    FilterSpec::new(CHAIN.sender, 1_000 + flow)
}

fn user_of(flow: u16) -> String {
    format!("CN=User {}", flow / 4)
}

fn announce(sender: &End, flow: u16) {
    let own = hop(CHAIN.sender, 7);
    let path = Path::new(
        session(flow),
        own,
        TimeValues::DEFAULT,
        flow_of(flow),
        tspec(1e4),
    );
    let path = path.policy_data(user(&user_of(flow))).build().unwrap();
    sender.send(CHAIN.sender, CHAIN.receiver, path);
}

/// Asks for what a Path announces.
fn ask(receiver: &End, flow: u16, came: &Came) {
    let last = came.read(|message| message.hop().unwrap());
    let service = ServiceRequest::ControlledLoad(tspec(1e4));
    let flows = Flows::FixedFilter(vec![(service, flow_of(flow))]);
    let own = hop(CHAIN.receiver, last.logical_interface);
    let resv = Resv::new(session(flow), own, TimeValues::DEFAULT, flows);
    let resv = resv.policy_data(user(&user_of(flow))).build().unwrap();
    receiver.send(CHAIN.receiver, CHAIN.router[1], resv);
}

/// The flow that a message is about.
fn about(came: &Came) -> u16 {
    let session = came.read(|message| message.session().unwrap());
    let all: Range<u16> = 0..FLOWS;
    let mut flows = all.filter(|flow| self::session(*flow) == session.with_flags(0));
    flows.next().expect("one of the flows")
}

#[test]
fn no_flow_dies_where_messages_are_lost_and_reordered() {
    if !can_make_networks() {
        return;
    }
    let mut wire = Wire::new();
    let chain = Chain::over(&wire.namespace);
    wire.carry();
    let tables = format!("[run]\ncontrol = 'control'\nrefresh = '{REFRESH:?}'\n");
    let routers = [1, 2].map(|router| Pcm::within(chain.namespace(router), &tables));
    let sender = End::new(chain.namespace(0), "s0");
    let receiver = End::new(chain.namespace(3), "d0");
    // The ends say once in a long while what there is; all else is between the routers.
    (0..FLOWS).for_each(|flow| announce(&sender, flow));
    let (mut asked, mut reserved) = (BTreeSet::new(), BTreeSet::new());
    eventually("all flows are reserved", || {
        while let Some(came) = receiver.take(MessageType::Path) {
            let flow = about(&came);
            if asked.insert(flow) {
                ask(&receiver, flow, &came);
            }
        }
        while let Some(came) = sender.take(MessageType::Resv) {
            reserved.insert(about(&came));
        }
        (reserved.len() == usize::from(FLOWS)).then_some(())
    });
    // Longer than what is not refreshed lives.
    let until = Instant::now() + LIFETIME * 3 / 2;
    while Instant::now() < until {
        for (end, gone) in [
            (&receiver, MessageType::PathTear),
            (&sender, MessageType::ResvTear),
        ] {
            let gone = end.take(gone);
            assert_eq!(gone.as_ref().map(about), None, "it died");
        }
        thread::sleep(Duration::from_millis(50));
    }
    let kept = |pcm: &Pcm| {
        let (status, said) = pcm.ask(&["sessions"]);
        assert_eq!(status, 0, "{said}");
        let of = |what: &str| said.matches(what).count();
        (of("  from "), of("  FF "))
    };
    let all = usize::from(FLOWS);
    assert_eq!(routers.each_ref().map(kept), [(all, all); 2]);

    // Ends are heard of, too.
    for flow in 0..FLOWS {
        let tear = PathTear::new(session(flow), hop(CHAIN.sender, 7), flow_of(flow));
        sender.send(CHAIN.sender, CHAIN.receiver, tear.build().unwrap());
    }
    eventually("all is torn down", || {
        (routers.each_ref().map(kept) == [(0, 0); 2]).then_some(())
    });
    let count = |count: &AtomicU32| count.load(Ordering::Relaxed);
    let [carried, lost, overtaken] = [
        &wire.counts.carried,
        &wire.counts.lost,
        &wire.counts.overtaken,
    ]
    .map(count);
    eprintln!("{carried} messages carried, {lost} lost, {overtaken} overtaken");
    assert!(lost > 0 && overtaken > 0);
    for router in routers {
        assert_eq!(router.stop("TERM"), Some(143));
    }
}
