//! What strangers send without end takes neither memory nor time without end.

use std::time::Duration;

use lpm_rsvp::build::{Flows, Path, Resv, ResvErr, Senders};
use lpm_rsvp::{ErrorSpec, FilterSpec, MessageType, Session, TimeValues};
use lpm_sbm::{DropReason, NodeConfig};

use crate::world::{
    World, fixed, hop, host, load, path, read, resv, resv_tear, sender, session, tspec,
};

fn world() -> World {
    World::new(NodeConfig::default())
}

#[test]
fn what_is_refused_without_end_is_not_answered_without_end() {
    let mut world = world();
    // The LPMs are slow.
    world.is_deferring = true;
    let flows = || Flows::FixedFilter(vec![(load(1e5), sender(1))]);
    for port in 1..10_000 {
        let session = Session::new(host(2, 1), 17, port).unwrap();
        let resv = Resv::new(session, hop(host(2, 1), 2), TimeValues::DEFAULT, flows());
        world.receive(2, &resv.build().unwrap());
    }
    let config = NodeConfig::default();
    assert_eq!(world.asked.len(), config.max_waiting);
    let dropped = world.dropped.iter();
    let busy = dropped
        .filter(|reason| **reason == DropReason::Busy)
        .count();
    assert_eq!(busy, 9_999 - config.max_waiting);
    // Once they have answered there is room again.
    for question in std::mem::take(&mut world.asked) {
        world.answer(&question);
    }
    world.run();
    assert_eq!(world.sent(MessageType::ResvErr).len(), config.max_waiting);
    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    assert_eq!(world.asked.len(), 1);
}

/// A reservation failed at this previous hop, for these senders.
fn failed(from: u8, senders: Vec<FilterSpec>) -> Vec<u8> {
    let error = ErrorSpec {
        node: host(9, 9).into(),
        flags: 0,
        code: 1,
        value: 2,
    };
    let flows = Flows::SharedExplicit(load(9e5), senders);
    let error = ResvErr::new(session(), hop(host(1, from), 7), error, flows);
    error.build().unwrap()
}

#[test]
fn errors_about_what_was_never_asked_leave_nothing_behind() {
    let mut world = world();
    world.receive(1, &path(sender(1)).build().unwrap());
    let request = fixed(1e5, &[sender(1)]).build().unwrap();
    world.receive(2, &request);
    let strangers = |from: u8| (1..=250).map(move |port| FilterSpec::new(host(3, from), port));
    let allocated = allocation_counter::measure(|| {
        for from in 2..200 {
            // Of senders that are not there; and of one that is, at a hop that it does not come
            // from.
            world.receive(1, &failed(1, strangers(from).collect()));
            world.receive(1, &failed(from, vec![sender(1)]));
            world.sent = Vec::new();
            world.asked = Vec::new();
        }
    });
    assert!(allocated.bytes_current < 10_000, "{allocated:?}");
    // What was asked of it can fail, again and again.
    let allocated = allocation_counter::measure(|| {
        for _ in 0..1_000 {
            world.now += Duration::from_millis(1);
            world.receive(1, &failed(1, vec![sender(1)]));
            world.sent = Vec::new();
            world.asked = Vec::new();
        }
    });
    assert!(allocated.bytes_current < 10_000, "{allocated:?}");
}

/// How many bytes are allocated and given back while so many senders of a session are announced,
/// each by a previous hop of its own.
fn announced(senders: u16) -> u64 {
    let mut world = world();
    let allocated = allocation_counter::measure(|| {
        for number in 0..senders {
            let [high, low] = number.to_be_bytes();
            let address = std::net::Ipv4Addr::new(10, 1, high, low);
            let sender = FilterSpec::new(address, 4000);
            let announced = hop(address, 7);
            let path = Path::new(
                session(),
                announced,
                TimeValues::DEFAULT,
                sender,
                tspec(1e6),
            );
            world.receive(1, &path.build().unwrap());
            world.sent = Vec::new();
            world.asked = Vec::new();
            world.rulings = Vec::new();
        }
    });
    assert_eq!(world.node.flow_count(), usize::from(senders));
    allocated.bytes_total
}

#[test]
fn many_senders_of_one_session_cost_no_more_than_of_many() {
    let [small, middle, large] = [200, 400, 800].map(announced);
    // Twice as many, twice the cost; a square would be four times.
    assert!(
        large - middle < 3 * (middle - small),
        "{small} {middle} {large}"
    );
}

/// How many bytes are allocated and given back while so many senders of a session are asked for
/// with a reservation each, are refreshed, and all but one are torn down: each announced by a
/// previous hop of its own, or all by one.
fn reserved_one_by_one(senders: u16, has_own_hop: bool) -> u64 {
    let mut world = world();
    let all: Vec<_> = (0..senders)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            FilterSpec::new([10, 1, high, low], 4000)
        })
        .collect();
    for sender in &all {
        let from = match (has_own_hop, sender.address()) {
            (true, std::net::IpAddr::V4(address)) => address,
            _ => host(1, 1),
        };
        let path = Path::new(
            session(),
            hop(from, 7),
            TimeValues::DEFAULT,
            *sender,
            tspec(1e3),
        );
        world.receive(1, &path.build().unwrap());
    }
    let hops = if has_own_hop { all.len() } else { 1 };
    world.sent.clear();
    let allocated = allocation_counter::measure(|| {
        let flows = all.iter().map(|sender| (load(1e3), *sender)).collect();
        let resv = resv(Flows::FixedFilter(flows)).build().unwrap();
        world.receive(2, &resv);
        world.receive(2, &resv);
        let gone = Senders::FixedFilter(all[1..].to_vec());
        world.receive(2, &resv_tear(gone));
    });
    // Each previous hop is asked once for all that is wanted of it; one is asked for less then.
    let asked = world.sent(MessageType::Resv).len();
    assert_eq!(asked, hops + usize::from(!has_own_hop));
    assert_eq!(world.node.flow_count(), all.len() + 1);
    allocated.bytes_total
}

#[test]
fn many_reservations_of_one_session_cost_no_more_than_of_many() {
    for has_own_hop in [false, true] {
        let [small, middle, large] =
            [150, 300, 600].map(|senders| reserved_one_by_one(senders, has_own_hop));
        println!("{small} {middle} {large}");
        // Twice as many, twice the cost; a square would be four times.
        assert!(
            large - middle < 3 * (middle - small),
            "own hops: {has_own_hop}: {small} {middle} {large}"
        );
    }
}

#[test]
fn a_path_that_comes_by_another_way_goes_on_with_its_ttl() {
    let mut world = world();
    let announced = path(sender(1)).build().unwrap();
    let ttls = |world: &mut World| {
        let sent = world.sent(MessageType::Path);
        let ttl = |sent: &lpm_sbm::Datagram| (sent.ttl, read(sent, |path| path.header().send_ttl));
        sent.iter().map(ttl).collect::<Vec<_>>()
    };
    for (ttl, expected) in [(64, vec![(63, 63)]), (64, vec![]), (40, vec![(39, 39)])] {
        world.receive_for(1, session().address(), ttl, &announced);
        assert_eq!(ttls(&mut world), expected);
    }
    // What is refreshed says so, too.
    world.pass(Duration::from_secs(45));
    assert_eq!(ttls(&mut world), [(39, 39)]);
    // LPMs are not asked again whether it is granted.
    assert_eq!(world.questions(), 1);
    // Where it came too far it goes no further.
    world.receive_for(1, session().address(), 1, &announced);
    world.pass(Duration::from_secs(45));
    assert_eq!(ttls(&mut world), []);
}
