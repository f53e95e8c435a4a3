//! The SBM stand-in: stories of single flows, and random ones against a plain model.
#![forbid(unsafe_code)]
#![allow(unreachable_pub, reason = "modules of a test")]

mod messages;
mod model;
mod stories;

use std::collections::HashMap;
use std::time::Duration;

use lpm_api::{Decision, LpmPolicyError, Priority};
use lpm_rsvp::{Message, ObjectIndex};
use lpm_sbm::{InterfaceName, PoolConfig, Receipt, Sbm, SbmConfig};
use proptest::prelude::*;
use proptest::sample;

use messages::{Asked, Kind, Policy, received};
use model::Model;

/// A message, and what policy says about each of its flows.
#[derive(Clone, Debug)]
struct Step {
    /// Milliseconds since the message before; the clock of a capture may go back.
    later: i64,
    interface: u32,
    asked: Asked,
    decisions: [Decision; 3],
    /// The message before that comes again instead, on its interface.
    again: Option<sample::Index>,
}

fn any_decision() -> impl Strategy<Value = Decision> {
    prop_oneof![
        8 => (1..4_u16).prop_map(|priority| Decision::Accept(Priority::new(priority).unwrap())),
        1 => Just(Decision::reject(LpmPolicyError::NoPrivileges)),
        1 => Just(Decision::DropMessage),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let later = prop_oneof![
        6 => 0..3_000_i64,
        2 => 3_000..30_000_i64,
        1 => -5_000..0_i64,
    ];
    let asked = (
        prop_oneof![4 => Just(Kind::Path), 8 => Just(Kind::Resv), 1 => Just(Kind::PathTear), 2 => Just(Kind::ResvTear)],
        (0..2_u8, 1..8_u8, 0..3_u8),
        0..3_u8,
        proptest::collection::vec((0..4_u8, 1..6_u16), 3),
        prop_oneof![Just(0), Just(500), Just(1_000), Just(4_000)],
    );
    let asked = asked.prop_map(
        |(kind, (session, senders, next_hop), style, services, refresh)| Asked {
            kind,
            session,
            senders,
            next_hop,
            style,
            services: services.try_into().unwrap(),
            refresh_ms: refresh,
        },
    );
    let decisions = [any_decision(), any_decision(), any_decision()];
    let again = proptest::option::of(any::<sample::Index>());
    (later, 1..4_u32, asked, decisions, again).prop_map(
        |(later, interface, asked, decisions, again)| Step {
            later,
            interface,
            asked,
            decisions,
            again,
        },
    )
}

fn any_config() -> impl Strategy<Value = SbmConfig> {
    let pool = (0..9_u64, any::<Option<u8>>(), any::<bool>()).prop_map(
        |(bandwidth, limit, preemption)| PoolConfig {
            bandwidth: bandwidth * 8_000,
            max_per_flow: limit.map(|limit| u64::from(limit % 5) * 8_000),
            preemption,
        },
    );
    let pools = (pool.clone(), pool, any::<bool>());
    (
        1..4_u32,
        any::<Option<u16>>(),
        prop_oneof![4 => Just(1000), 1 => 1..6_usize],
        any::<bool>(),
        pools,
    )
        .prop_map(
            |(missed_refreshes, duration, max_flows, require_path, (first, other, has_other))| {
                let mut config = SbmConfig::default();
                config.missed_refreshes = missed_refreshes;
                config.max_flow_duration = duration.map(|ms| Duration::from_millis(ms.into()));
                config.max_flows = max_flows;
                config.require_path = require_path;
                config.interfaces = vec![(InterfaceName::Index(1), first)];
                if has_other {
                    config.interfaces.push((InterfaceName::Any, other));
                }
                config
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_comes_it_does_what_the_model_does(
        config in any_config(),
        steps in proptest::collection::vec(any_step(), 1..60),
    ) {
        let mut sbm = Sbm::new(Policy::default(), &config);
        let mut model = Model::new(config);
        let mut time = 1_000_000_i64;
        let mut receipts = HashMap::<_, Option<Receipt>>::new();
        for (number, step) in steps.iter().enumerate() {
            time += step.later;
            let mut step = step.clone();
            if let Some(again) = step.again {
                let again = again.get(&steps[..=number]);
                (step.asked, step.interface) = (again.asked, again.interface);
            }
            let bytes = step.asked.message();
            let mut index = ObjectIndex::new();
            let message = Message::parse(&bytes, &mut index).unwrap();
            let received = received(message, step.interface, time);
            sbm.policy().decisions.set(step.decisions);
            let known = receipts.entry((bytes.clone(), step.interface)).or_default();
            let answer = match known {
                Some(receipt) => sbm.receive_again(&received, receipt).unwrap().into_answer(),
                None => sbm.receive(&received).unwrap(),
            };
            // One that is old is used on, as long as there is no newer one.
            *known = answer.receipt.or(*known);

            let expected = model.receive(&received, &step.decisions);
            let context = || format!("step {number}: {step:?}");
            prop_assert_eq!(&answer.before, &expected.before, "{}", context());
            prop_assert_eq!(&answer.flows[..], &expected.flows[..], "{}", context());
            prop_assert_eq!(&answer.after, &expected.after, "{}", context());
            prop_assert_eq!(sbm.policy().told.take(), model.told.split_off(0), "{}", context());
            prop_assert_eq!(sbm.flow_count(), model.flow_count(), "{}", context());
            for interface in 1..4 {
                let interface = messages::interface(interface);
                let allocated = sbm.allocated(&interface);
                prop_assert_eq!(allocated, model.allocated(&interface), "{}", context());
                if let Some(pool) = model.pool(&interface) {
                    prop_assert!(allocated <= u128::from(pool.bandwidth), "{}", context());
                }
            }
        }
    }
}
