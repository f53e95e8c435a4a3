//! Many flows, each with a session of its own.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use lpm_rsvp::build::{Flows, Path as PathMessage, Resv};
use lpm_rsvp::{FilterSpec, MessageType, RsvpHop, ServiceRequest, Session, TimeValues};

use crate::net::{End, Net, RECEIVER, ROUTER, SENDER, hop, tspec, user};
use crate::to;

/// How many messages are under way at once.
pub const WINDOW: usize = 50;
const RATE: f32 = 8e5;
/// How long it may take until all have been heard of, on the slowest machine.
const LONGEST: Duration = Duration::from_secs(900);

/// A flow of many: one half has destinations of its own, the other one shares one, all of them the
/// receiver's.
#[derive(Clone, Copy)]
pub struct Flow(u16);

impl Flow {
    pub const SHARED: Ipv4Addr = Ipv4Addr::new(10, 78, 255, 1);

    pub fn first(count: u16) -> impl Iterator<Item = Self> {
        (0..count).map(Self)
    }

    pub fn destination(self) -> Ipv4Addr {
        let [high, low] = self.0.to_be_bytes();
        match self.0 % 2 {
            0 => Ipv4Addr::new(10, 78, high, low),
            _ => Self::SHARED,
        }
    }

    pub const fn port(self) -> u16 {
        1_024 + self.0
    }

    pub fn session(self) -> Session {
        Session::new(self.destination(), 17, self.port()).unwrap()
    }

    pub fn sender(self) -> FilterSpec {
        FilterSpec::new(SENDER, 4000)
    }

    /// Whose it is: the policy allows ten to each.
    fn user(self) -> String {
        format!("CN=User {}", self.0 / 5)
    }

    pub fn path(self) -> Vec<u8> {
        let own = hop(SENDER, 7);
        let path = PathMessage::new(
            self.session(),
            own,
            TimeValues::DEFAULT,
            self.sender(),
            tspec(RATE),
        );
        path.policy_data(user(&self.user())).build().unwrap()
    }

    pub fn resv(self, last: RsvpHop) -> Vec<u8> {
        let service = ServiceRequest::ControlledLoad(tspec(RATE));
        let flows = Flows::FixedFilter(vec![(service, self.sender())]);
        let own = hop(RECEIVER, last.logical_interface);
        let resv = Resv::new(self.session(), own, TimeValues::DEFAULT, flows);
        resv.policy_data(user(&self.user())).build().unwrap()
    }
}

/// Has the networks of the flows' destinations be behind the router, and at the receiver.
pub fn route(net: &Net) {
    net.on_router(&format!("ip route add 10.78.0.0/16 via {RECEIVER}"));
    net.on_receiver("ip route add local 10.78.0.0/16 dev lo");
}

/// The first flows are announced and asked for. Where the receiver has its Paths from.
pub fn set_up(count: u16, sender: &End, receiver: &End) -> RsvpHop {
    let announce = |flow: Flow| sender.send(SENDER, to(flow.destination()), flow.path());
    let last = exchange(count, announce, receiver, MessageType::Path);
    let ask = |flow: Flow| receiver.send(RECEIVER, to(ROUTER[1]), flow.resv(last));
    exchange(count, ask, sender, MessageType::Resv);
    last
}

/// Says something of each flow, again where nothing comes of it, until the end has heard of each.
/// The hop that it heard from.
fn exchange(count: u16, say: impl Fn(Flow), end: &End, wanted: MessageType) -> RsvpHop {
    let (mut last, begun) = (None, Instant::now());
    let flows: Vec<_> = Flow::first(count).collect();
    for flows in flows.chunks(WINDOW) {
        let missing = flows.iter().map(|flow| (flow.session(), *flow));
        let mut missing: BTreeMap<_, _> = missing.collect();
        while !missing.is_empty() {
            assert!(begun.elapsed() < LONGEST, "{} are missing", missing.len());
            missing.values().for_each(|flow| say(*flow));
            let patience = Instant::now() + Duration::from_secs(2);
            while !missing.is_empty() && Instant::now() < patience {
                match end.take(wanted) {
                    Some(came) => came.read(|message| {
                        missing.remove(&message.session().unwrap());
                        last = message.hop();
                    }),
                    None => thread::sleep(Duration::from_micros(50)),
                }
            }
        }
    }
    last.unwrap()
}
