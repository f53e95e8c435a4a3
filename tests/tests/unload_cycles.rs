//! No cycle of loading and unloading costs anything that runs out.
//!
//! `cargo run --release -p lpm-tests --example stress` runs as many as one likes.
#![forbid(unsafe_code)]
#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

use std::io;

use lpm_tests::platform::unmaps;
use lpm_tests::process::{in_child, is_own_process, told};
use lpm_tests::stress::{Growth, an_lpm_that_logs, cycles, three_lpms};

/// What the LPMs leave in thread-locals of threads that go on is leaked; it is little. A process
/// has 1024 thread-specific keys, so a library that lost one in a cycle would come to an end here.
#[test]
fn a_thousand_cycles() {
    in_one_arena("a_thousand_cycles", || {
        let directory = tempfile::tempdir().expect("a directory");
        let growth = cycles(&three_lpms(directory.path()), 150, &[170; 5]);
        assert_leaks_little(growth);
    });
}

/// The subscriber that a library sets in its own `tracing` goes with it, and the callsites that the
/// host makes for a library are those of the next load, too.
#[test]
fn cycles_of_an_lpm_that_logs() {
    in_one_arena("cycles_of_an_lpm_that_logs", || {
        tracing_subscriber::fmt().with_writer(io::sink).init();
        let directory = tempfile::tempdir().expect("a directory");
        let growth = cycles(&[an_lpm_that_logs(directory.path())], 150, &[90; 5]);
        assert_leaks_little(growth);
    });
}

/// Runs the body in a process whose threads allocate from the same memory, unless libraries stay
/// mapped here. With an arena for each of them as much grows as there happen to be threads at the
/// same time.
fn in_one_arena(test: &str, body: impl FnOnce()) {
    if !unmaps() {
        return eprintln!("not tried: libraries stay mapped here");
    }
    if is_own_process() {
        return body();
    }
    let output = in_child(test, |command| {
        command.env("MALLOC_ARENA_MAX", "1");
    });
    assert!(output.status.success(), "{}", told(&output));
}

/// A leak shows in every window; what threads and the allocator take once, some of it late, not in
/// all.
fn assert_leaks_little(growth: Vec<Growth>) {
    let some_pages = 32 << 10;
    let is_little = |window: &Growth| window.bytes <= window.cycles * 256 + some_pages;
    assert!(growth.iter().any(is_little), "{growth:?}");
}
