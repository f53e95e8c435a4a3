//! What a Resv with many flows costs grows no faster than their number. Measured in instructions,
//! by running this program under `valgrind --tool=callgrind`; says so and measures nothing where
//! valgrind is not installed.
#![forbid(unsafe_code)]

#[allow(unreachable_pub, reason = "lpm-rsvp has it, too")]
#[path = "../../lpm-rsvp/tests/common/instructions.rs"]
mod instructions;
#[allow(dead_code, unreachable_pub, reason = "the tests of nodes have it, too")]
#[path = "node/world.rs"]
mod world;

use std::net::Ipv4Addr;
use std::time::SystemTime;

use lpm_api::{Decision, Interface, Priority};
use lpm_host::error::PcmError;
use lpm_host::{ReceivedMessage, StateGone};
use lpm_rsvp::build::{Flows, Resv, ResvTear, Senders};
use lpm_rsvp::{
    FilterSpec, Message, ObjectIndex, RsvpHop, ServiceRequest, Session, TimeValues, Tspec,
};
use lpm_sbm::{Committed, InterfaceName, Policy, PoolConfig, Sbm, SbmConfig};

/// Set in the runs that are measured: which story, with how many flows.
const RUN: &str = "LPM_SBM_COST_OF";

/// What happens to so many flows, and how many are left of them.
type Story = fn(usize) -> usize;

const STORIES: [(&str, Story); 7] = [
    ("admitted", |flows| told(usize::MAX, &[resv(flows, 1)])),
    ("refreshed", |flows| {
        let resv = resv(flows, 1);
        told(usize::MAX, &[resv.clone(), resv.clone(), resv])
    }),
    ("torn down", |flows| {
        told(usize::MAX, &[resv(flows, 1), tear(flows)])
    }),
    ("refused for want of bandwidth", |flows| {
        told(16_000 * flows, &[resv(flows, 2), resv(flows, 1)])
    }),
    ("given way to", |flows| {
        told(8_000 * flows, &[resv(flows, 1), resv(flows, 2)])
    }),
    ("asked of one previous hop", |flows| asked_of(flows, 1)),
    ("asked of many previous hops", |flows| {
        asked_of(flows, flows)
    }),
];

#[test]
fn cost_is_linear() {
    if let Ok(run) = std::env::var(RUN) {
        let (story, flows) = run.split_once(',').unwrap();
        let (_, story) = STORIES[story.parse::<usize>().unwrap()];
        story(flows.parse().unwrap());
        return;
    }
    if !instructions::can_be_counted() {
        return;
    }
    std::thread::scope(|scope| {
        for (number, (name, _)) in STORIES.iter().enumerate() {
            scope.spawn(move || {
                let [small, middle, large] = [1, 2, 4].map(|size| {
                    let run = format!("{number},{}", size * 120);
                    instructions::count("cost_is_linear", RUN, &run)
                });
                let (half, whole) = (middle - small, large - middle);
                println!("{name}: {half} instructions for 120 flows, {whole} for 240 more");
                // Twice the flows, twice the cost; a square would be four times.
                assert!(whole < half * 3, "{name}: {small}, {middle}, {large}");
            });
        }
    });
}

#[test]
fn the_stories_happen() {
    let left = STORIES.map(|(name, story)| (name, story(50)));
    let expected = [50, 50, 0, 50, 25, 50, 50];
    assert_eq!(left.map(|(_, left)| left), expected, "{left:?}");
}

/// Accepts everything; the session's port is the priority.
struct Accepts;

impl Policy for Accepts {
    type Verdict = Priority;

    fn admit(&self, received: &ReceivedMessage<'_>) -> Result<Priority, PcmError> {
        let port = received.message.session().unwrap().port().number();
        Ok(Priority::new(port).unwrap())
    }

    fn decision(priority: &Priority, _: u16) -> Decision {
        Decision::Accept(*priority)
    }

    fn delete_state(&self, _: &StateGone<'_>) -> Result<(), PcmError> {
        Ok(())
    }

    fn commit_resv(&self, _: &Committed<'_>) -> Result<(), PcmError> {
        Ok(())
    }
}

/// Tells an SBM these messages, and how many flows it keeps then.
fn told(bandwidth: usize, messages: &[Vec<u8>]) -> usize {
    let mut config = SbmConfig::default();
    let pool = PoolConfig {
        bandwidth: u64::try_from(bandwidth).unwrap(),
        max_per_flow: None,
        preemption: true,
    };
    config.interfaces = vec![(InterfaceName::Any, pool)];
    let mut sbm = Sbm::new(Accepts, &config);
    let mut index = ObjectIndex::new();
    for message in messages {
        let message = Message::parse(message, &mut index).unwrap();
        sbm.receive(&ReceivedMessage {
            message,
            interface: Interface {
                index: 1,
                address: Ipv4Addr::UNSPECIFIED.into(),
            },
            received: SystemTime::UNIX_EPOCH,
            integrity_verified: false,
        })
        .unwrap();
    }
    sbm.flow_count()
}

/// A node has so many senders of a session, by so many previous hops; a next hop asks for each of
/// them, and again. How many reservations there are.
fn asked_of(flows: usize, hops: usize) -> usize {
    let mut world = world::World::new(lpm_sbm::NodeConfig::default());
    let senders = senders(flows);
    for (number, sender) in senders.iter().enumerate() {
        let [.., high, low] = (number % hops).to_be_bytes();
        let own = world::hop(Ipv4Addr::new(10, 0, 1 + high, low), 7);
        let tspec = world::tspec(1e3);
        let times = TimeValues::DEFAULT;
        let path = lpm_rsvp::build::Path::new(world::session(), own, times, *sender, tspec);
        world.receive(1, &path.build().unwrap());
    }
    let asked = senders.iter().map(|sender| (world::load(1e3), *sender));
    let resv = world::resv(Flows::FixedFilter(asked.collect()));
    let resv = resv.build().unwrap();
    world.receive(2, &resv);
    world.receive(2, &resv);
    world.node.flow_count() - flows
}

fn hop() -> RsvpHop {
    RsvpHop {
        address: Ipv4Addr::new(10, 0, 9, 1).into(),
        logical_interface: 0,
    }
}

fn session(port: u16) -> Session {
    Session::new([10, 0, 1, 1], 17, port).unwrap()
}

fn senders(count: usize) -> Vec<FilterSpec> {
    let ports = 1..=u16::try_from(count).unwrap();
    ports
        .map(|port| FilterSpec::new([10, 0, 0, 7], port))
        .collect()
}

/// An FF Resv of so many flows. Each asks for as many kB/s as the session's port says.
fn resv(count: usize, port: u16) -> Vec<u8> {
    let tspec = Tspec {
        rate: 1_000.0 * f32::from(port),
        bucket: 1.0,
        peak_rate: f32::INFINITY,
        min_policed: 1,
        max_packet: 1,
    };
    let service = ServiceRequest::ControlledLoad(tspec);
    let flows = senders(count).into_iter().map(|sender| (service, sender));
    let time_values = TimeValues { refresh_ms: 30_000 };
    let flows = Flows::FixedFilter(flows.collect());
    Resv::new(session(port), hop(), time_values, flows)
        .build()
        .unwrap()
}

fn tear(count: usize) -> Vec<u8> {
    ResvTear::new(session(1), hop(), Senders::FixedFilter(senders(count)))
        .build()
        .unwrap()
}
