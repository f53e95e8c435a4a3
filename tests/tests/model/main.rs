//! Random lives of a PCM, against a plain model of what it is to do: who is in charge, what each
//! message comes to, what becomes of answers that come later, which LPMs go on, which are in
//! quarantine, and what is put on record. LPMs are called on the caller's thread or on one of their
//! own.
#![forbid(unsafe_code)]

mod asked;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};

use self::world::{WORKER, WORKER_LIMIT, World};

/// The orders of the fixture `defers`.
const DEFER: u8 = 5;
const DROP: u8 = 6;
const TOO_MANY: u8 = 7;
const HANG: u8 = 6;

#[derive(Clone, Debug)]
enum Step {
    Become,
    Demote,
    /// Which of the LPMs 1 to 3 there are, and of which generation.
    Reconfigure(Vec<(usize, u8)>),
    Ask([u8; 3]),
    /// An order to one LPM about an earlier request.
    Answer(usize, prop::sample::Index, u8),
    Withdraw(prop::sample::Index),
    /// A call into one LPM does not return.
    Hang(usize),
    /// Now it does.
    Return,
    Advance(u64),
}

fn any_list() -> impl Strategy<Value = Vec<(usize, u8)>> {
    let lpms = prop::sample::subsequence(vec![1, 2, 3], 1..=3);
    lpms.prop_shuffle().prop_flat_map(|lpms| {
        let generations = prop::collection::vec(0..=WORKER, lpms.len());
        generations.prop_map(move |generations| lpms.iter().copied().zip(generations).collect())
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    let decision = prop_oneof![4 => 0..=4u8, 3 => Just(DEFER)];
    let answer = prop_oneof![4 => 1..=5u8, 1 => Just(DROP), 1 => Just(TOO_MANY)];
    prop_oneof![
        2 => Just(Step::Become),
        1 => Just(Step::Demote),
        1 => any_list().prop_map(Step::Reconfigure),
        8 => prop::array::uniform3(decision).prop_map(Step::Ask),
        6 => (1..=3usize, any::<prop::sample::Index>(), answer)
            .prop_map(|(lpm, which, order)| Step::Answer(lpm, which, order)),
        1 => any::<prop::sample::Index>().prop_map(Step::Withdraw),
        1 => (1..=3usize).prop_map(Step::Hang),
        1 => Just(Step::Return),
        4 => prop_oneof![8 => 1..40u64, 1 => Just(WORKER_LIMIT)].prop_map(Step::Advance),
    ]
}

proptest! {
    #![proptest_config(Config {
        cases: 80,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..Config::default()
    })]
    #[test]
    fn the_pcm_is_what_the_model_is(
        list in any_list(),
        steps in prop::collection::vec(any_step(), 0..40),
    ) {
        let mut world = World::new(list);
        world.become_dsbm();
        for step in steps {
            world.take(step);
        }
        world.end();
    }
}
