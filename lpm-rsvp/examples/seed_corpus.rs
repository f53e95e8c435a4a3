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
    for target in ["parse", "round_trip"] {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(target);
        std::fs::create_dir_all(&corpus)?;
        for (number, message) in messages.iter().enumerate() {
            std::fs::write(corpus.join(format!("seed-{number}")), message)?;
        }
        println!("{} seeds in {}", messages.len(), corpus.display());
    }
    Ok(())
}
