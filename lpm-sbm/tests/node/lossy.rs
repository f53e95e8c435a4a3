//! Two routers in a row, and a link between them that loses and reorders: sender – 1 – A – 2 – B –
//! 3 – receiver.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use lpm_api::Interface;
use lpm_rsvp::build::{Flows, Path, PathTear, Resv};
use lpm_rsvp::{FilterSpec, Message, MessageType, ObjectIndex, RsvpHop, Session, TimeValues};
use lpm_sbm::{
    About, Datagram, InterfaceName, Node, NodeConfig, NodeInterface, Output, Packet, PoolConfig,
    Route, Routes,
};

use crate::world::{accepted, hop, host, load, tspec};

const A: usize = 0;
const B: usize = 1;
const RATE: f32 = 1e5;

/// Networks 10.0.1.0/24 to 10.0.3.0/24 by the links of a router.
struct Table([u32; 3]);

impl Routes for Table {
    fn route(&mut self, destination: IpAddr, _: IpAddr) -> Option<Route> {
        let IpAddr::V4(destination) = destination else {
            return None;
        };
        let [10, 0, network @ 1..=3, _] = destination.octets() else {
            return None;
        };
        Some(Route::Out(self.0[usize::from(network) - 1]))
    }
}

struct Network {
    routers: [Node<Table>; 2],
    now: Duration,
    /// By when it arrives, and the order in which they were sent: at which router.
    under_way: BTreeMap<(Duration, u64), (usize, Datagram)>,
    sent: u64,
    random: u64,
    /// How many messages of each type went over the link between the routers.
    counts: BTreeMap<u8, usize>,
    /// What the receiver knows of the last hop.
    last_hop: Option<RsvpHop>,
}

fn session() -> Session {
    Session::new(host(3, 1), 17, 5004).unwrap()
}

fn flow() -> FilterSpec {
    FilterSpec::new(host(1, 1), 4000)
}

impl Network {
    fn new(seed: u64) -> Self {
        let router = |number: u8, routes, links: [(u32, Ipv4Addr); 2]| {
            let mut config = NodeConfig::default();
            config.seed = seed * 2 + u64::from(number);
            let pool = PoolConfig {
                bandwidth: 10_000_000,
                max_per_flow: None,
                preemption: false,
            };
            config.sbm.interfaces = vec![(InterfaceName::Any, pool)];
            let mut node = Node::new(config, Table(routes));
            let links = links.map(|(index, address)| NodeInterface {
                index,
                addresses: vec![address.into()],
                mtu: 1500,
            });
            node.set_interfaces(Duration::ZERO, links);
            node
        };
        Self {
            routers: [
                router(0, [1, 2, 2], [(1, host(1, 254)), (2, host(2, 1))]),
                router(1, [2, 2, 3], [(2, host(2, 2)), (3, host(3, 254))]),
            ],
            now: Duration::ZERO,
            under_way: BTreeMap::new(),
            sent: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            counts: BTreeMap::new(),
            last_hop: None,
        }
    }

    /// A number below this.
    fn draw(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn receive(&mut self, at: usize, interface: u32, datagram: &Datagram) {
        let packet = Packet {
            interface,
            source: datagram.source,
            destination: datagram.destination,
            ttl: datagram.ttl,
            bytes: &datagram.bytes,
            received: SystemTime::UNIX_EPOCH,
            integrity_verified: false,
        };
        self.routers[at].receive(self.now, &packet);
        self.run(at);
    }

    /// A host sends to its router.
    fn host_sends(
        &mut self,
        at: usize,
        interface: u32,
        source: Ipv4Addr,
        to: IpAddr,
        bytes: Vec<u8>,
    ) {
        let datagram = Datagram {
            interface,
            source: source.into(),
            destination: to,
            ttl: 64,
            router_alert: true,
            bytes,
        };
        self.receive(at, interface, &datagram);
    }

    fn run(&mut self, at: usize) {
        while let Some(output) = self.routers[at].poll() {
            match output {
                Output::Send(datagram) => self.send(at, datagram),
                Output::Ask(question) => match &question.about {
                    About::Received { bytes, .. } => {
                        let mut index = ObjectIndex::new();
                        let message = Message::parse(bytes, &mut index).unwrap();
                        let decisions = vec![accepted(); message.flow_descriptors().count()];
                        self.routers[at].decided(self.now, question.id, &decisions);
                    }
                    About::Outgoing { .. } => {
                        self.routers[at].supplied(self.now, question.id, Some(Vec::new()));
                    }
                },
                Output::Reserve(command) => self.routers[at].reserved(self.now, command.id, true),
                _ => {}
            }
        }
    }

    fn send(&mut self, at: usize, datagram: Datagram) {
        let message_type = datagram.bytes[1];
        if datagram.interface == 3 && message_type == MessageType::Path.number() {
            self.last_hop = crate::world::read(&datagram, |message| message.hop());
        }
        if datagram.interface != 2 {
            return;
        }
        *self.counts.entry(message_type).or_default() += 1;
        if self.draw(100) < 5 {
            return;
        }
        let arrival = self.now + Duration::from_millis(1 + self.draw(700));
        self.sent += 1;
        self.under_way
            .insert((arrival, self.sent), (1 - at, datagram));
    }

    /// Time goes on, with what arrives and what is due on the way.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let arrival = self.under_way.keys().next().map(|(time, _)| *time);
            let due = self.routers.iter().filter_map(Node::next_deadline);
            let next = due.chain(arrival).min().filter(|next| *next <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let (_, (at, datagram)) = self.under_way.pop_first().unwrap();
                self.receive(at, 2, &datagram);
            }
            for at in [A, B] {
                self.routers[at].tick(self.now);
                self.run(at);
            }
        }
        self.now = end;
    }

    fn is_reserved(&self) -> bool {
        let allocated = |at: usize, index, address: Ipv4Addr| {
            let address = address.into();
            self.routers[at].allocated(&Interface { index, address })
        };
        allocated(A, 2, host(2, 1)) == 800_000 && allocated(B, 3, host(3, 254)) == 800_000
    }

    /// The sender and the receiver say what they want.
    fn refresh(&mut self) {
        let path = Path::new(
            session(),
            hop(host(1, 1), 7),
            TimeValues::DEFAULT,
            flow(),
            tspec(1e6),
        );
        let bytes = path.build().unwrap();
        self.host_sends(A, 1, host(1, 1), session().address(), bytes);
        if let Some(last) = self.last_hop {
            let flows = Flows::FixedFilter(vec![(load(RATE), flow())]);
            let own = hop(host(3, 1), last.logical_interface);
            let resv = Resv::new(session(), own, TimeValues::DEFAULT, flows);
            self.host_sends(B, 3, host(3, 1), last.address, resv.build().unwrap());
        }
    }

    /// The sender goes, and nothing may be left of the flow.
    fn tear_down(&mut self) {
        let tear = PathTear::new(session(), hop(host(1, 1), 7), flow());
        let to = session().address();
        self.host_sends(A, 1, host(1, 1), to, tear.build().unwrap());
        self.pass(Duration::from_secs(5));
        let left: usize = self.routers.iter().map(Node::flow_count).sum();
        assert_eq!(left, 0, "the teardown was sent until it arrived");
        self.pass(Duration::from_secs(300));
        assert!(!self.is_reserved());
        assert!(self.under_way.is_empty());
        for router in &self.routers {
            assert_eq!((router.session_count(), router.next_deadline()), (0, None));
        }
    }
}

#[test]
fn five_percent_are_lost_and_many_overtaken_and_reservations_hold() {
    // The same losses each time.
    for seed in 0..60 {
        let mut network = Network::new(seed);
        let mut since = None;
        for round in 0..60 {
            network.refresh();
            network.pass(Duration::from_secs(20));
            match (since, network.is_reserved()) {
                (None, true) => {
                    since = Some(round);
                    network.counts.clear();
                }
                (Some(_), false) => panic!("seed {seed}: lost in round {round}"),
                _ => {}
            }
        }
        let since = since.unwrap_or_else(|| panic!("seed {seed}: never reserved"));
        assert!(since < 8, "seed {seed}: reserved in round {since} only");
        // Once both have it, it is refreshed by name: some twenty times in each direction.
        let count = |wanted: MessageType| network.counts.get(&wanted.number()).copied();
        let full = count(MessageType::Path).unwrap_or(0) + count(MessageType::Resv).unwrap_or(0);
        let names = count(MessageType::Srefresh).unwrap_or(0);
        assert!(
            full < 20 && names > 30,
            "seed {seed}: {full} in full, {names} by name"
        );

        network.tear_down();
    }
}

/// What wraps, adds up or is forgotten only in the long run: sequence numbers, names of messages,
/// deadlines, state.
#[test]
fn a_day_of_refreshes_loses_nothing_and_leaves_nothing_behind() {
    let mut network = Network::new(24);
    let mut holds = false;
    let mut rounds = 0;
    while network.now < Duration::from_secs(24 * 60 * 60) {
        network.refresh();
        network.pass(Duration::from_secs(30));
        rounds += 1;
        holds = holds || network.is_reserved();
        assert!(
            rounds < 8 || network.is_reserved(),
            "lost in round {rounds}"
        );
        for router in &network.routers {
            let counts = (router.session_count(), router.flow_count());
            assert!(!holds || counts == (1, 2), "round {rounds}: {counts:?}");
        }
        // What was sent again and again would pile up here.
        assert!(network.under_way.len() < 20, "round {rounds}");
    }
    assert!(rounds >= 2_880);
    network.tear_down();
}
