//! Any messages at any time, and LPMs and a kernel that answer when and what they like: a node does
//! not panic, keeps no more flows than it may, and gives everything back in the end.
#![no_main]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use lpm_api::{Decision, LpmPolicyError, Priority};
use lpm_rsvp::{Message, ObjectIndex};
use lpm_sbm::{About, Node, NodeConfig, NodeInterface, Output, Packet, Question, Route, Routes};

const MAX_FLOWS: usize = 50;

/// The last bit of an address says which link leads there.
struct Table;

impl Routes for Table {
    fn route(&mut self, destination: IpAddr, _: IpAddr) -> Option<Route> {
        match destination {
            IpAddr::V4(address) => Some(Route::Out(1 + u32::from(address.octets()[3] & 1))),
            IpAddr::V6(_) => None,
        }
    }
}

struct World {
    node: Node<Table>,
    now: Duration,
    open: Vec<Question>,
    reserved: BTreeSet<u64>,
    can_reserve: bool,
    decision: Decision,
}

impl World {
    fn new() -> Self {
        let mut config = NodeConfig::default();
        config.sbm.max_flows = MAX_FLOWS;
        config.max_waiting = 20;
        let mut node = Node::new(config, Table);
        let links = [1_u8, 2].map(|index| NodeInterface {
            index: index.into(),
            addresses: vec![own(index)],
            mtu: 1500,
        });
        node.set_interfaces(Duration::ZERO, links);
        Self {
            node,
            now: Duration::ZERO,
            open: Vec::new(),
            reserved: BTreeSet::new(),
            can_reserve: true,
            decision: Decision::Accept(Priority::MIN),
        }
    }

    fn run(&mut self) {
        while let Some(output) = self.node.poll() {
            match output {
                Output::Ask(question) => self.open.push(question),
                Output::Reserve(command) => {
                    // What is given back is given back whatever the kernel says.
                    let is_done = command.wanted.is_none() || self.can_reserve;
                    match command.wanted {
                        Some(_) if is_done => drop(self.reserved.insert(command.reservation)),
                        Some(_) => {}
                        None => drop(self.reserved.remove(&command.reservation)),
                    }
                    self.node.reserved(self.now, command.id, is_done);
                }
                Output::Send(datagram) => {
                    let mut index = ObjectIndex::new();
                    Message::parse(&datagram.bytes, &mut index).expect("what is sent is legal");
                }
                _ => {}
            }
        }
        assert!(self.node.flow_count() <= MAX_FLOWS);
    }

    fn answer(&mut self) {
        for question in std::mem::take(&mut self.open) {
            match &question.about {
                About::Received { .. } => {
                    self.node
                        .decided(self.now, question.id, &[self.decision; 8]);
                }
                About::Outgoing { .. } => {
                    self.node.supplied(self.now, question.id, Some(Vec::new()));
                }
            }
            self.run();
        }
    }
}

fn own(link: u8) -> IpAddr {
    IpAddr::from([10, 0, link, 254])
}

// Steps: a kind, a length, and so many bytes.
fuzz_target!(|bytes: &[u8]| {
    let mut world = World::new();
    let mut rest = bytes;
    while let [kind, length, behind @ ..] = rest {
        let (message, behind) = behind.split_at(behind.len().min(usize::from(*length)));
        rest = behind;
        match kind % 8 {
            0..=3 => {
                let link = 1 + kind % 2;
                let packet = Packet {
                    interface: link.into(),
                    source: IpAddr::from([10, 0, link, 1]),
                    destination: own(link),
                    ttl: 64,
                    bytes: message,
                    received: SystemTime::UNIX_EPOCH,
                    integrity_verified: false,
                };
                world.node.receive(world.now, &packet);
            }
            4 => {
                world.now += Duration::from_secs(u64::from(*length));
                world.node.tick(world.now);
            }
            5 => world.answer(),
            6 => world.can_reserve = !world.can_reserve,
            _ => {
                world.decision = match length % 3 {
                    0 => Decision::Accept(Priority::MIN),
                    1 => Decision::reject(LpmPolicyError::NoPrivileges),
                    _ => Decision::DropMessage,
                };
            }
        }
        world.run();
    }
    world.answer();
    world.node.stop(world.now);
    world.run();
    assert!(world.reserved.is_empty(), "{:?} are left", world.reserved);
});
