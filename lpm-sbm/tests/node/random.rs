//! Whatever comes in, in whatever order: what is torn down or not refreshed is gone, everywhere.

use std::time::Duration;

use lpm_api::{Decision, LpmPolicyError, Priority};
use lpm_rsvp::build::{Ack, Flows, PathTear, ResvTear, Senders, Srefresh, Targets};
use lpm_rsvp::{Message, MessageId, MessageIdAck, ObjectIndex, TimeValues};
use lpm_sbm::{InterfaceName, NodeConfig, PoolConfig};
use proptest::prelude::*;

use crate::world::{
    World, fixed, hop, host, load, path, path_tear, resv, resv_tear, sender, session,
};

#[derive(Clone, Debug)]
enum Step {
    Path(u8),
    PathTear(u8),
    Fixed(u8, u16),
    Shared(u8, u16),
    Wildcard(u16),
    TearFixed(u8),
    TearShared(u8),
    TearWildcard,
    Wait(u16),
    Kernel(bool),
    Decide(u16),
    Defer(bool),
    Reroute(u32),
    Noise(Vec<u8>),
    /// A message with a name: which one, of which sender, and what is to become of it.
    Named(u8, u8, u32, bool),
    Ack(u8, u32, bool),
    Summary(u8, u32),
    /// A good message with bytes of it changed.
    Damaged(u8, u16, u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    let rate = 1..400_u16;
    prop_oneof![
        4 => (0..3_u8).prop_map(Step::Path),
        1 => (0..3_u8).prop_map(Step::PathTear),
        3 => (1..8_u8, rate.clone()).prop_map(|(senders, rate)| Step::Fixed(senders, rate)),
        3 => (1..8_u8, rate.clone()).prop_map(|(senders, rate)| Step::Shared(senders, rate)),
        2 => rate.prop_map(Step::Wildcard),
        1 => (1..8_u8).prop_map(Step::TearFixed),
        1 => (1..8_u8).prop_map(Step::TearShared),
        1 => Just(Step::TearWildcard),
        2 => (1..200_u16).prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Kernel),
        1 => (0..4_u16).prop_map(Step::Decide),
        1 => any::<bool>().prop_map(Step::Defer),
        1 => (2..4_u32).prop_map(Step::Reroute),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Step::Noise),
        4 => (0..4_u8, 0..3_u8, 0..6_u32, any::<bool>())
            .prop_map(|(kind, sender, name, wants)| Step::Named(kind, sender, name, wants)),
        3 => (1..4_u8, 0..40_u32, any::<bool>()).prop_map(|(link, name, is_negative)| Step::Ack(link, name, is_negative)),
        2 => (1..4_u8, 0..6_u32).prop_map(|(link, name)| Step::Summary(link, name)),
        2 => (0..4_u8, any::<u16>(), any::<u8>()).prop_map(|(kind, place, value)| Step::Damaged(kind, place, value)),
    ]
}

fn senders(bits: u8) -> Vec<lpm_rsvp::FilterSpec> {
    let numbers = (0..3).filter(|bit| bits & (1 << bit) != 0);
    numbers.map(sender).collect()
}

fn rate(kilobytes: u16) -> f32 {
    f32::from(kilobytes) * 1e3
}

proptest! {
    #[test]
    fn nothing_is_left_behind(steps in proptest::collection::vec(any_step(), 1..60), preemption in any::<bool>()) {
        let mut config = NodeConfig::default();
        let pool = PoolConfig { bandwidth: 4_000_000, max_per_flow: Some(3_000_000), preemption };
        config.sbm.interfaces = vec![(InterfaceName::Any, pool)];
        let mut world = World::new(config);
        for step in &steps {
            match step {
                Step::Path(number) => world.receive(1, &path(sender(*number)).build().unwrap()),
                Step::PathTear(number) => world.receive(1, &path_tear(sender(*number))),
                Step::Fixed(bits, kilobytes) => {
                    world.receive(2, &fixed(rate(*kilobytes), &senders(*bits)).build().unwrap());
                }
                Step::Shared(bits, kilobytes) => {
                    let flows = Flows::SharedExplicit(load(rate(*kilobytes)), senders(*bits));
                    world.receive(2, &resv(flows).build().unwrap());
                }
                Step::Wildcard(kilobytes) => {
                    let flows = Flows::WildcardFilter(load(rate(*kilobytes)));
                    world.receive(2, &resv(flows).build().unwrap());
                }
                Step::TearFixed(bits) => {
                    world.receive(2, &resv_tear(Senders::FixedFilter(senders(*bits))));
                }
                Step::TearShared(bits) => {
                    world.receive(2, &resv_tear(Senders::SharedExplicit(senders(*bits))));
                }
                Step::TearWildcard => world.receive(2, &resv_tear(Senders::WildcardFilter)),
                Step::Wait(seconds) => world.pass(Duration::from_secs((*seconds).into())),
                Step::Kernel(can_reserve) => world.can_reserve = *can_reserve,
                Step::Decide(0) => world.decision = Decision::reject(LpmPolicyError::NoPrivileges),
                Step::Decide(priority) => {
                    world.decision = Decision::Accept(Priority::new(*priority).unwrap());
                }
                Step::Defer(true) => world.is_deferring = true,
                Step::Defer(false) => answer_all(&mut world),
                Step::Reroute(link) => {
                    world.node.routes().0.insert(2, *link);
                    world.node.routes_changed(world.now);
                }
                Step::Named(kind, number, name, wants) => {
                    let id = MessageId { flags: u8::from(*wants), epoch: 9, identifier: *name };
                    world.receive(link(*kind), &capable(named(*kind, *number, id)));
                }
                Step::Ack(link, name, negative) => {
                    let message = MessageId { flags: 0, epoch: 0, identifier: *name };
                    let ack = Ack::new(MessageIdAck { negative: *negative, message });
                    neighbour(&mut world, *link, ack.build().unwrap());
                }
                Step::Summary(link, name) => {
                    let names = Srefresh::new(9, Targets::List(vec![*name, name + 1]));
                    neighbour(&mut world, *link, names.build().unwrap());
                }
                Step::Damaged(kind, place, value) => {
                    let id = MessageId { flags: 1, epoch: 9, identifier: 3 };
                    let mut bytes = capable(named(*kind, 1, id));
                    let place = 8 + usize::from(*place) % (bytes.len() - 8);
                    bytes[place] = *value;
                    // What is to be refreshed every 49 days is kept for months.
                    let mut index = ObjectIndex::new();
                    let message = Message::parse(&bytes, &mut index);
                    let refresh = message.ok().and_then(|message| message.time_values());
                    if refresh.is_none_or(|refresh| refresh == TimeValues::DEFAULT) {
                        world.receive(link(*kind), &bytes);
                    }
                }
                Step::Noise(bytes) => world.receive_for(1, crate::world::ROUTER[1].into(), 64, bytes),
            }
            for datagram in std::mem::take(&mut world.sent) {
                crate::world::read(&datagram, |_| ());
            }
        }
        world.can_reserve = true;
        answer_all(&mut world);
        world.pass(Duration::from_secs(600));
        answer_all(&mut world);
        world.pass(Duration::from_secs(600));
        prop_assert_eq!(world.node.flow_count(), 0);
        // What the kernel did not give back when it was told to is not the node's.
        if steps.iter().all(|step| !matches!(step, Step::Kernel(false))) {
            world.assert_empty();
        }
        prop_assert_eq!(world.node.next_deadline(), None);
    }
}

fn link(kind: u8) -> u32 {
    if kind < 2 { 1 } else { 2 }
}

/// A Path, a PathTear, a Resv or a ResvTear with this name.
fn named(kind: u8, number: u8, id: MessageId) -> Vec<u8> {
    let senders = vec![sender(number)];
    let built = match kind {
        0 => path(sender(number)).message_id(id).build(),
        1 => PathTear::new(session(), hop(host(1, number), 7), sender(number))
            .message_id(id)
            .build(),
        2 => fixed(1e5, &senders).message_id(id).build(),
        _ => ResvTear::new(session(), hop(host(2, 1), 2), Senders::FixedFilter(senders))
            .message_id(id)
            .build(),
    };
    built.unwrap()
}

fn neighbour(world: &mut World, link: u8, bytes: Vec<u8>) {
    let to = crate::world::ROUTER[usize::from(link)].into();
    world.receive_from(link.into(), host(link, 1), to, 64, &capable(bytes));
}

/// From a node that knows of names, without a checksum.
fn capable(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[0] |= 1;
    bytes[2..4].fill(0);
    bytes
}

fn answer_all(world: &mut World) {
    world.is_deferring = false;
    let asked = std::mem::take(&mut world.asked);
    for question in &asked {
        world.answer(question);
        world.run();
    }
}
