//! More than one router, sender or link.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use lpm_rsvp::build::{Flows, Path, PathTear, Resv};
use lpm_rsvp::{FilterSpec, Message, MessageType, ServiceRequest, Session, TimeValues};

use crate::net::{
    End, Ends, Net, POLICY, Pcm, V4, can_make_networks, hop, must, run, tspec, unique, user,
};
use crate::support::eventually;

const USUAL: Duration = Duration::from_secs(30);

pub const CHAIN: Ends = Ends {
    sender: v4(1, 1),
    router: [v4(1, 254), v4(3, 254)],
    receiver: v4(3, 1),
};

const fn v4(network: u8, host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 78, network, host))
}

/// A sender, two routers and a receiver in a row. Both routers call their links r0 and r1.
pub struct Chain([String; 4]);

impl Chain {
    fn new() -> Self {
        Self::with(None)
    }

    /// With a link between the routers that goes through w0 and w1 of this namespace.
    pub fn over(wire: &str) -> Self {
        Self::with(Some(wire))
    }

    fn with(wire: Option<&str>) -> Self {
        let chain = Self(["s", "r", "q", "d"].map(unique));
        let names = &chain.0;
        for name in names {
            must(&format!("ip netns add {name}"));
            must(&format!("ip -n {name} link set lo up"));
        }
        for (number, left, right) in [(0, "s0", "r0"), (1, "r1", "r0"), (2, "r1", "d0")] {
            let (one, other) = (&names[number], &names[number + 1]);
            let join = |left: &str, one: &str, right: &str, other: &str| {
                must(&format!(
                    "ip link add {left} netns {one} type veth peer name {right} netns {other}"
                ));
            };
            match wire.filter(|_| number == 1) {
                Some(wire) => {
                    join(left, one, "w0", wire);
                    join("w1", wire, right, other);
                }
                None => join(left, one, right, other),
            }
            let network = number + 1;
            for (name, link, host) in [
                (one, left, if number == 0 { 1 } else { 254 }),
                (other, right, if number == 0 { 254 } else { 1 }),
            ] {
                must(&format!(
                    "ip -n {name} addr add 10.78.{network}.{host}/24 dev {link}"
                ));
                must(&format!("ip -n {name} link set {link} up"));
            }
        }
        for (number, route) in [
            (0, "default via 10.78.1.254"),
            (1, "10.78.3.0/24 via 10.78.2.1"),
            (2, "10.78.1.0/24 via 10.78.2.254"),
            (3, "default via 10.78.3.254"),
        ] {
            must(&format!("ip -n {} route add {route}", names[number]));
        }
        for name in &names[1..3] {
            must(&format!(
                "ip netns exec {name} sysctl -qw net.ipv4.ip_forward=1"
            ));
        }
        chain
    }

    pub fn namespace(&self, number: usize) -> &str {
        &self.0[number]
    }

    fn classes(&self, router: usize) -> String {
        must(&format!(
            "ip netns exec {} tc class show dev r1",
            self.0[router]
        ))
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        for name in &self.0 {
            let _ = run(&["ip", "netns", "del", name]);
        }
    }
}

#[test]
fn two_routers_in_a_row_refresh_by_name_and_one_that_restarts_is_told_again() {
    if !can_make_networks() {
        return;
    }
    let chain = Chain::new();
    let tables = "[run]\nenforce = true\nrefresh = '500 ms'\n\
                  [interface.'10.78.2.254']\nbandwidth = '10 Mbit/s'\n\
                  [interface.'10.78.3.254']\nbandwidth = '10 Mbit/s'\n";
    let start = |router: usize| Pcm::within(&chain.0[router], tables);
    let (first, second) = (start(1), start(2));
    let (sender, receiver) = (End::new(&chain.0[0], "s0"), End::new(&chain.0[3], "d0"));
    let (at_first, at_second) = (End::new(&chain.0[1], "r1"), End::new(&chain.0[2], "r0"));
    let announce = || {
        let path = CHAIN.path("CN=Bob", USUAL, 2e6);
        sender.send(CHAIN.sender, CHAIN.receiver, path);
    };
    announce();
    let came = receiver.next(MessageType::Path);
    assert_eq!((came.source, came.ttl), (CHAIN.sender, 62));
    receiver.send(
        CHAIN.receiver,
        CHAIN.router[1],
        CHAIN.resv("CN=Bob", &came, 2e6),
    );
    sender.next(MessageType::Resv);
    for router in [1, 2] {
        assert!(
            chain.classes(router).contains("rate 2Mbit"),
            "router {router}"
        );
    }
    // The second one refreshes the Resv by name, and the first one the Path.
    at_first.next(MessageType::Srefresh);
    at_second.next(MessageType::Srefresh);

    assert_eq!(first.stop("KILL"), None);
    let first = start(1);
    assert!(!chain.classes(1).contains("rate 2Mbit"));
    announce();
    eventually("the first router reserves again", || {
        chain.classes(1).contains("rate 2Mbit").then_some(())
    });
    // The second one goes, and what it asked for goes with it.
    assert_eq!(second.stop("TERM"), Some(143));
    sender.next(MessageType::ResvTear);
    assert!(!chain.classes(1).contains("rate 2Mbit"));
    assert_eq!(first.stop("TERM"), Some(143));
}

/// The reservations that there are: classes by rate in Mbit/s, and how many filters lead to them.
fn reserved(net: &Net) -> (Vec<u32>, usize) {
    let classes = net.on_router("tc class show dev r1");
    let rates = classes
        .lines()
        .filter(|line| line.contains("prio 0") && !line.contains(" root "));
    let mut rates: Vec<u32> = rates
        .map(|line| {
            let (_, rate) = line.split_once("rate ").unwrap();
            rate.split_once("Mbit").unwrap().0.parse().unwrap()
        })
        .collect();
    rates.sort_unstable();
    let filters = net.on_router("tc filter show dev r1");
    (rates, filters.matches("flowid").count())
}

#[test]
fn two_senders_share_a_reservation_or_have_one_each() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    net.on_sender("ip addr add 10.77.1.2/24 dev s0");
    let enforced = "[run]\nenforce = true\n[interface.'10.77.2.254']\nbandwidth = '10 Mbit/s'\n";
    let pcm = net.pcm(enforced);
    let (sender, receiver) = (net.sender(), net.receiver());
    let addresses = [1, 2].map(|host| IpAddr::from([10, 77, 1, host]));
    let flows = addresses.map(|address| FilterSpec::new(address, 4000));
    let load = |bits| ServiceRequest::ControlledLoad(tspec(bits));
    let fixed = vec![(load(1e6), flows[0]), (load(2e6), flows[1])];
    for (port, asked, wanted) in [
        (5201, Flows::FixedFilter(fixed), (vec![1, 2], 2)),
        (
            5202,
            Flows::SharedExplicit(load(3e6), flows.to_vec()),
            (vec![3], 2),
        ),
        (5203, Flows::WildcardFilter(load(4e6)), (vec![4], 1)),
    ] {
        let session = Session::new(V4.receiver, 17, port).unwrap();
        let mut came = None;
        for flow in flows {
            let hop = hop(flow.address(), 7);
            let path = Path::new(session, hop, TimeValues::DEFAULT, flow, tspec(1e6));
            let path = path.policy_data(user("CN=Bob")).build().unwrap();
            sender.send(flow.address(), V4.receiver, path);
            came = Some(receiver.next(MessageType::Path));
        }
        let interface = came
            .unwrap()
            .read(|message| message.hop().unwrap().logical_interface);
        let hop_of_resv = hop(V4.receiver, interface);
        let resv = Resv::new(session, hop_of_resv, TimeValues::DEFAULT, asked);
        let resv = resv.policy_data(user("CN=Bob")).build().unwrap();
        receiver.send(V4.receiver, V4.router[1], resv);
        eventually("it is reserved", || {
            (reserved(&net) == wanted).then_some(())
        });
        // Each is asked by the router.
        for _ in flows {
            sender.next(MessageType::Resv);
        }
        for flow in flows {
            let tear = PathTear::new(session, hop(flow.address(), 7), flow);
            sender.send(flow.address(), V4.receiver, tear.build().unwrap());
            receiver.next(MessageType::PathTear);
        }
        eventually("it is gone", || {
            (reserved(&net) == (Vec::new(), 0)).then_some(())
        });
        while sender.has(MessageType::Resv) {}
    }
    assert_eq!(pcm.stop("TERM"), Some(143));
}

#[test]
fn a_link_that_goes_takes_its_reservations_along_and_they_come_back_with_it() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let enforced = "[run]\nenforce = true\n[interface.'10.77.2.254']\nbandwidth = '10 Mbit/s'\n";
    let pcm = net.pcm(enforced);
    let (sender, receiver) = (net.sender(), net.receiver());
    sender.send(V4.sender, V4.receiver, V4.path("CN=Bob", USUAL, 2e6));
    let came = receiver.next(MessageType::Path);
    receiver.send(V4.receiver, V4.router[1], V4.resv("CN=Bob", &came, 2e6));
    sender.next(MessageType::Resv);
    assert_eq!(reserved(&net), (vec![2], 1));
    net.on_router("ip link set r1 down");
    sender.next(MessageType::ResvTear);
    net.on_router("ip link set r1 up");
    // The Path follows the route that is there again.
    let came = receiver.next(MessageType::Path);
    receiver.send(V4.receiver, V4.router[1], V4.resv("CN=Bob", &came, 3e6));
    sender.next(MessageType::Resv);
    assert_eq!(reserved(&net), (vec![3], 1));
    // Nothing stays on a link that is down, nor on one that RSVP no longer runs on.
    net.on_router("ip link set r1 down");
    sender.next(MessageType::ResvTear);
    let without_htb = || {
        let qdiscs = net.on_router("tc qdisc show dev r1");
        (!qdiscs.contains("htb")).then_some(())
    };
    eventually("the HTB is gone", without_htb);
    net.on_router("ip link set r1 up");
    let came = receiver.next(MessageType::Path);
    receiver.send(V4.receiver, V4.router[1], V4.resv("CN=Bob", &came, 4e6));
    sender.next(MessageType::Resv);
    assert_eq!(reserved(&net), (vec![4], 1));
    let named = enforced.replace("[run]\n", "[run]\ninterfaces = ['r0']\n");
    pcm.configure_with(POLICY, &named);
    pcm.signal("HUP");
    sender.next(MessageType::ResvTear);
    eventually("the HTB is gone", without_htb);
    assert_eq!(pcm.stop("TERM"), Some(143));
}

#[test]
fn a_path_follows_its_route() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let other_way = net.second_link();
    let pcm = net.pcm("[run]\ncontrol = 'control'\n[interface.'*']\nbandwidth = '10 Mbit/s'\n");
    let (sender, receiver) = (net.sender(), net.receiver());
    sender.send(V4.sender, V4.receiver, V4.path("CN=Bob", USUAL, 2e6));
    let came = receiver.next(MessageType::Path);
    receiver.send(V4.receiver, V4.router[1], V4.resv("CN=Bob", &came, 2e6));
    sender.next(MessageType::Resv);
    net.on_router("ip route add 10.77.2.1/32 via 10.77.3.1 dev r2");
    let there = IpAddr::from([10, 77, 3, 254]);
    let came = eventually("a Path on the new way", || {
        let came = other_way.next(MessageType::Path);
        let hop = came.read(|message| message.hop().unwrap().address);
        (hop == there).then_some(came)
    });
    other_way.send(V4.receiver, there, V4.resv("CN=Bob", &came, 2e6));
    eventually("it is reserved on the new way", || {
        let status = crate::support::pcm(&["status", "--socket", pcm.file("control").to_str()?]);
        (status.status == 0 && status.stdout.contains("r2: 2000000")).then_some(())
    });
    assert_eq!(pcm.stop("TERM"), Some(143));
}

#[test]
fn a_flood_of_paths_is_bounded_and_others_live_on() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm("[sbm]\nmax_flows = 500\n");
    let (sender, receiver) = (net.sender(), net.receiver());
    sender.send(V4.sender, V4.receiver, V4.path("CN=Bob", USUAL, 1e6));
    let came = receiver.next(MessageType::Path);
    receiver.send(V4.receiver, V4.router[1], V4.resv("CN=Bob", &came, 1e6));
    sender.next(MessageType::Resv);
    let before = pcm.memory();
    for number in 0..10_000_u16 {
        let session = Session::new(V4.receiver, 17, 6_000 + number % 10_000).unwrap();
        let flow = FilterSpec::new(V4.sender, 1 + number);
        let path = Path::new(
            session,
            hop(V4.sender, 7),
            TimeValues::DEFAULT,
            flow,
            tspec(1e4),
        );
        sender.send(
            V4.sender,
            V4.receiver,
            path.policy_data(user("CN=Bob")).build().unwrap(),
        );
    }
    // As long as too many questions are open it is dropped, and asked for again.
    eventually("the flow that was there before is changed", || {
        receiver.send(V4.receiver, V4.router[1], V4.resv("CN=Bob", &came, 2e6));
        let tspec_of = |message: &Message<'_>| message.flow_descriptors().next()?.tspec();
        let asked = sender.take(MessageType::Resv)?;
        (asked.read(tspec_of) == Some(tspec(2e6))).then_some(())
    });
    let grown = pcm.memory().saturating_sub(before);
    // Policy keeps something of each flow, too.
    assert!(grown < 100_000, "{grown} KiB more");
    assert_eq!(pcm.stop("TERM"), Some(143));
}

#[test]
fn a_path_for_a_group_is_kept_and_goes_no_further_and_that_is_said() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let group = std::net::Ipv4Addr::new(239, 1, 1, 1);
    let _member = net.join_on_router(group);
    net.on_router("ip route add default via 10.77.2.1");
    let pcm = net.pcm("[run]\ncontrol = 'control'\n");
    let (sender, receiver) = (net.sender(), net.receiver());
    let session = Session::new(group, 17, 5004).unwrap();
    let from = FilterSpec::new(V4.sender, 4000);
    let own = hop(V4.sender, 7);
    let path = Path::new(session, own, TimeValues::DEFAULT, from, tspec(1e6));
    let path = path.policy_data(user("CN=Bob")).build().unwrap();
    sender.send(V4.sender, group.into(), path);
    eventually("that is said", || {
        pcm.has_said("a Path for a multicast group").then_some(())
    });
    let (status, sessions) = pcm.ask(&["sessions"]);
    assert_eq!(status, 0, "{sessions}");
    assert!(sessions.contains("239.1.1.1:5004/udp"), "{sessions}");
    // One for a single host that is sent after it does go on.
    sender.send(V4.sender, V4.receiver, V4.path("CN=Bob", USUAL, 1e6));
    let came = receiver.next(MessageType::Path);
    assert_ne!(came.read(|message| message.session()), Some(session));
    assert_eq!(pcm.stop("TERM"), Some(143));
}
