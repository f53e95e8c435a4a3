//! A router with three links, LPMs that say what they are told to, and a kernel that obeys.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use lpm_api::{Decision, Priority};
use lpm_rsvp::build::{Flows, Path, PathTear, Resv, ResvTear, Senders};
use lpm_rsvp::{
    FilterSpec, Message, MessageType, ObjectIndex, RsvpHop, ServiceRequest, Session, TimeValues,
    Tspec,
};
use lpm_sbm::{
    About, Command, Datagram, DropReason, News, Node, NodeConfig, NodeInterface, Notice, Output,
    Packet, Question, Route, Routes, Ruling,
};

/// Networks 10.0.1.0/24, 10.0.2.0/24 and so on are on links 1, 2 and so on, until they are moved.
#[derive(Default)]
pub struct Table(pub BTreeMap<u8, u32>);

impl Routes for Table {
    fn route(&mut self, destination: IpAddr, _: IpAddr) -> Option<Route> {
        let IpAddr::V4(destination) = destination else {
            return None;
        };
        let [10, 0, network, host] = destination.octets() else {
            return None;
        };
        if host == 254 {
            return Some(Route::Local);
        }
        let moved = self.0.get(&network).copied();
        Some(Route::Out(moved.unwrap_or(network.into())))
    }
}

pub struct World {
    pub node: Node<Table>,
    pub now: Duration,
    /// What policy says, unless told otherwise.
    pub decision: Decision,
    /// POLICY_DATA that LPMs put into everything.
    pub supply: Vec<u8>,
    /// Whether questions wait until they are answered by hand.
    pub is_deferring: bool,
    /// Whether the kernel does as it is told.
    pub can_reserve: bool,
    pub sent: Vec<Datagram>,
    pub asked: Vec<Question>,
    pub told: Vec<Notice>,
    pub commands: Vec<Command>,
    pub dropped: Vec<DropReason>,
    /// Refresh periods that were too long.
    pub bounded: Vec<Duration>,
    pub rulings: Vec<Ruling>,
    /// What is reserved in the kernel: bytes/s by reservation.
    pub kernel: BTreeMap<u64, (u32, f32, usize)>,
}

pub const ROUTER: [Ipv4Addr; 4] = [
    Ipv4Addr::UNSPECIFIED,
    Ipv4Addr::new(10, 0, 1, 254),
    Ipv4Addr::new(10, 0, 2, 254),
    Ipv4Addr::new(10, 0, 3, 254),
];

pub fn accepted() -> Decision {
    Decision::Accept(Priority::MIN)
}

pub fn host(network: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, network, host)
}

/// A receiver on link 2.
pub fn session() -> Session {
    Session::new(host(2, 1), 17, 5004).unwrap()
}

/// A sender on link 1.
pub fn sender(number: u8) -> FilterSpec {
    FilterSpec::new(host(1, number), 4000)
}

pub fn tspec(rate: f32) -> Tspec {
    Tspec {
        rate,
        bucket: 1500.0,
        peak_rate: f32::INFINITY,
        min_policed: 64,
        max_packet: 1500,
    }
}

pub fn load(rate: f32) -> ServiceRequest {
    ServiceRequest::ControlledLoad(tspec(rate))
}

pub fn hop(address: Ipv4Addr, logical_interface: u32) -> RsvpHop {
    RsvpHop {
        address: address.into(),
        logical_interface,
    }
}

/// The Path of a sender, which is its own previous hop.
pub fn path(sender: FilterSpec) -> Path {
    let IpAddr::V4(address) = sender.address() else {
        unreachable!("senders are IPv4");
    };
    Path::new(
        session(),
        hop(address, 7),
        TimeValues::DEFAULT,
        sender,
        tspec(1e6),
    )
}

pub fn path_tear(sender: FilterSpec) -> Vec<u8> {
    let IpAddr::V4(address) = sender.address() else {
        unreachable!("senders are IPv4");
    };
    PathTear::new(session(), hop(address, 7), sender)
        .build()
        .unwrap()
}

/// A Resv of the receiver.
pub fn resv(flows: Flows) -> Resv {
    Resv::new(session(), hop(host(2, 1), 2), TimeValues::DEFAULT, flows)
}

pub fn fixed(rate: f32, senders: &[FilterSpec]) -> Resv {
    let flows = senders.iter().map(|sender| (load(rate), *sender));
    resv(Flows::FixedFilter(flows.collect()))
}

pub fn resv_tear(senders: Senders) -> Vec<u8> {
    ResvTear::new(session(), hop(host(2, 1), 2), senders)
        .build()
        .unwrap()
}

/// The links of the router.
pub fn interfaces() -> Vec<NodeInterface> {
    let interfaces = (1..=3).map(|index: u8| NodeInterface {
        index: index.into(),
        addresses: vec![ROUTER[usize::from(index)].into()],
        mtu: 1500,
    });
    interfaces.collect()
}

impl World {
    pub fn new(config: NodeConfig) -> Self {
        let mut node = Node::new(config, Table::default());
        node.set_interfaces(Duration::ZERO, interfaces());
        Self {
            node,
            now: Duration::ZERO,
            decision: accepted(),
            supply: Vec::new(),
            is_deferring: false,
            can_reserve: true,
            sent: Vec::new(),
            asked: Vec::new(),
            told: Vec::new(),
            commands: Vec::new(),
            dropped: Vec::new(),
            bounded: Vec::new(),
            rulings: Vec::new(),
            kernel: BTreeMap::new(),
        }
    }

    /// A message comes in on a link, as the kernel of a router would hand it over.
    pub fn receive(&mut self, link: u32, bytes: &[u8]) {
        let destination = match MessageType::from(bytes[1]) {
            MessageType::Path | MessageType::PathTear => session().address(),
            MessageType::ResvConf => host(2, 1).into(),
            _ => ROUTER[link as usize].into(),
        };
        self.receive_for(link, destination, 64, bytes);
    }

    pub fn receive_for(&mut self, link: u32, destination: IpAddr, ttl: u8, bytes: &[u8]) {
        self.receive_from(link, host(1, 1), destination, ttl, bytes);
    }

    pub fn receive_from(
        &mut self,
        link: u32,
        source: Ipv4Addr,
        destination: IpAddr,
        ttl: u8,
        bytes: &[u8],
    ) {
        let packet = Packet {
            interface: link,
            source: source.into(),
            destination,
            ttl,
            bytes,
            received: SystemTime::UNIX_EPOCH,
            integrity_verified: false,
        };
        self.node.receive(self.now, &packet);
        self.run();
    }

    /// Time goes on, and what is due on the way is done.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.node.next_deadline().filter(|next| *next <= end) {
            self.now = next;
            self.node.tick(next);
            self.run();
        }
        self.now = end;
    }

    /// Does what the node says.
    pub fn run(&mut self) {
        while let Some(output) = self.node.poll() {
            match output {
                Output::Send(datagram) => self.sent.push(datagram),
                Output::Tell(notice) => self.told.push(notice),
                Output::Dropped { reason, .. } => self.dropped.push(reason),
                Output::Bounded { announced, .. } => self.bounded.push(announced),
                Output::Record(decided) => self.rulings.push(decided.outcome),
                Output::Ask(question) => {
                    self.asked.push(question.clone());
                    if !self.is_deferring {
                        self.answer(&question);
                    }
                }
                Output::Reserve(command) => {
                    if self.can_reserve {
                        match &command.wanted {
                            Some(wanted) => {
                                let rate = match wanted.service {
                                    ServiceRequest::ControlledLoad(tspec) => tspec.rate,
                                    _ => unreachable!("these tests ask for nothing else"),
                                };
                                let reserved = (command.interface, rate, wanted.senders.len());
                                self.kernel.insert(command.reservation, reserved);
                            }
                            None => drop(self.kernel.remove(&command.reservation)),
                        }
                    }
                    self.commands.push(command.clone());
                    self.node.reserved(self.now, command.id, self.can_reserve);
                }
            }
        }
    }

    /// Answers a question as this world does.
    pub fn answer(&mut self, question: &Question) {
        match &question.about {
            About::Received { bytes, .. } => {
                let mut index = ObjectIndex::new();
                let message = Message::parse(bytes, &mut index).unwrap();
                let flows = message.flow_descriptors().count();
                let decisions = vec![self.decision; flows];
                self.node.decided(self.now, question.id, &decisions);
            }
            About::Outgoing { .. } => {
                let supply = Some(self.supply.clone());
                self.node.supplied(self.now, question.id, supply);
            }
        }
    }

    /// What was sent since the last look, of this type.
    pub fn sent(&mut self, wanted: MessageType) -> Vec<Datagram> {
        let sent = std::mem::take(&mut self.sent);
        let mut of_type = sent;
        of_type.retain(|datagram| datagram.bytes[1] == wanted.number());
        of_type
    }

    /// How many questions there were about messages that came in.
    pub fn questions(&self) -> usize {
        let received = |question: &&Question| matches!(question.about, About::Received { .. });
        self.asked.iter().filter(received).count()
    }

    /// For what reasons LPMs were told that state is gone.
    pub fn gone(&self) -> Vec<lpm_api::DeleteReason> {
        let reasons = self.told.iter().filter_map(|notice| match notice.news {
            News::Gone(reason) => Some(reason),
            _ => None,
        });
        reasons.collect()
    }

    pub fn committed(&self) -> usize {
        let committed = |notice: &&Notice| matches!(notice.news, News::Committed { .. });
        self.told.iter().filter(committed).count()
    }

    /// Nothing of any flow is left.
    pub fn assert_empty(&self) {
        assert_eq!(self.node.flow_count(), 0);
        assert_eq!(self.kernel, BTreeMap::new());
        for index in 1..=3 {
            let interface = lpm_api::Interface {
                index,
                address: ROUTER[index as usize].into(),
            };
            assert_eq!(self.node.allocated(&interface), 0);
        }
    }
}

/// Has `look` look at a message that was sent.
pub fn read<T>(datagram: &Datagram, look: impl FnOnce(&Message<'_>) -> T) -> T {
    let mut index = ObjectIndex::new();
    look(&Message::parse(&datagram.bytes, &mut index).expect("what is sent is legal"))
}
