//! No cycle of loading and unloading costs anything that runs out.
//!
//! `cargo run --release -p lpm-tests --example stress` runs as many as one likes.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

use std::io;

use lpm_tests::process::in_own_process;
use lpm_tests::stress::{Growth, an_lpm_that_logs, cycles, three_lpms};

/// What the LPMs leave in thread-locals of threads that go on is leaked; it is little. A process has 1024
/// thread-specific keys, so a library that lost one in a cycle would come to an end here.
#[test]
fn a_thousand_cycles() {
    in_own_process("a_thousand_cycles", || {
        let directory = tempfile::tempdir().expect("a directory");
        let growth = cycles(&three_lpms(directory.path()), 150, 1_000);
        assert_leaks_little(growth);
    });
}

/// The subscriber that a library sets in its own `tracing` goes with it, and the callsites that the host
/// makes for a library are those of the next load, too.
#[test]
fn cycles_of_an_lpm_that_logs() {
    in_own_process("cycles_of_an_lpm_that_logs", || {
        tracing_subscriber::fmt().with_writer(io::sink).init();
        let directory = tempfile::tempdir().expect("a directory");
        assert_leaks_little(cycles(&[an_lpm_that_logs(directory.path())], 150, 600));
    });
}

fn assert_leaks_little(growth: Growth) {
    /// What threads and allocator take once, some of it late.
    const ONCE: u64 = 128 << 10;
    let bound = growth.cycles * 256 + ONCE;
    assert!(growth.bytes <= bound, "{growth:?}");
}
