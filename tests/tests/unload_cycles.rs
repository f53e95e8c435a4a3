//! No cycle of loading and unloading costs anything that runs out.
//!
//! `cargo run --release -p lpm-tests --example stress` runs as many as one likes.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

use lpm_tests::process::in_own_process;
use lpm_tests::stress::{cycles, three_lpms};

/// What the LPMs leave in thread-locals of threads that go on is leaked; it is little. A process has 1024
/// thread-specific keys, so a library that lost one in a cycle would come to an end here.
#[test]
fn a_thousand_cycles() {
    /// The standard library in a plugin never frees the buffer of its stdout, which is made at the latest
    /// when it is flushed for unloading: 1 KiB, and the allocator's header.
    const STDOUT_BUFFER: u64 = 1024 + 16;
    /// What threads and allocator take once, some of it late.
    const ONCE: u64 = 128 << 10;
    in_own_process("a_thousand_cycles", || {
        let directory = tempfile::tempdir().expect("a directory");
        let growth = cycles(&three_lpms(directory.path()), 150, 1_000);
        let bound = growth.cycles * (STDOUT_BUFFER + 256) + ONCE;
        assert!(growth.bytes <= bound, "{growth:?}");
    });
}
