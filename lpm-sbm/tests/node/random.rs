//! Whatever comes in, in whatever order: what is torn down or not refreshed is gone, everywhere.

use std::time::Duration;

use lpm_api::{Decision, LpmPolicyError, Priority};
use lpm_rsvp::build::{Flows, Senders};
use lpm_sbm::{InterfaceName, NodeConfig, PoolConfig};
use proptest::prelude::*;

use crate::world::{World, fixed, load, path, path_tear, resv, resv_tear, sender};

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

fn answer_all(world: &mut World) {
    world.is_deferring = false;
    let asked = std::mem::take(&mut world.asked);
    for question in &asked {
        world.answer(question);
        world.run();
    }
}
