//! Writes the messages of all captures, and some built ones, into the fuzz corpora:
//! `cargo run -p lpm-rsvp --example seed_corpus`, then in this crate's directory
//! `cargo +nightly fuzz run parse`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::Path;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// Built messages to add to the captured ones.
const BUILT: usize = 200;

fn main() -> std::io::Result<()> {
    let mut messages = common::all_messages();
    let mut runner = TestRunner::deterministic();
    for _ in 0..BUILT {
        let message = common::strategy::message()
            .new_tree(&mut runner)
            .expect("a legal message");
        messages.push(message.current());
    }
    let signing = messages
        .iter()
        .zip(0_u64..)
        .map(|(message, sequence)| to_be_signed(message, sequence));
    let signing: Vec<_> = signing.collect();
    for (target, seeds) in [
        ("parse", &messages),
        ("walk", &messages),
        ("round_trip", &messages),
        ("integrity", &signing),
    ] {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(target);
        std::fs::create_dir_all(&corpus)?;
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(corpus.join(format!("seed-{number}")), seed)?;
        }
        println!("{} seeds in {}", seeds.len(), corpus.display());
    }
    Ok(())
}

/// A message as the target `integrity` takes it: algorithm, sequence number, a secret behind its
/// length, message.
fn to_be_signed(message: &[u8], sequence: u64) -> Vec<u8> {
    const SECRET: &[u8; 8] = b"11223344";
    let algorithm = sequence.to_be_bytes()[7];
    let number = (sequence << 32).to_be_bytes();
    [&[algorithm], &number[..], &[8], SECRET, message].concat()
}
