//! LPMs that take more memory than their share.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use lpm_host::event::EventId;
use lpm_host::{LpmConfig, LpmStatus, Outcome};
use lpm_tests::process::{child, in_own_process, is_own_process, told};
use lpm_tests::watched::Watched;
use lpm_tests::{fixture, resident_bytes};

fn allocates(config: &str) -> LpmConfig {
    fixture("allocates").config(config)
}

#[test]
fn much_memory_is_free_again_after_unloading() {
    const BYTES: u64 = 64 << 20;
    in_own_process("much_memory_is_free_again_after_unloading", || {
        let watched = Watched::start(allocates(&BYTES.to_string()));
        let before = resident_bytes();
        for _ in 0..4 {
            assert_eq!(watched.admit().outcome(), Outcome::Accept);
        }
        assert!(resident_bytes() >= before + 4 * BYTES);
        assert_eq!(watched.calls("admit"), 4);
        assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
        assert!(resident_bytes() < before + BYTES);
    });
}

/// Runs this test in a process that may have 2 GiB.
fn limited(test: &str) -> std::process::Output {
    let own = child(test);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -v 2097152; ulimit -c 0; exec \"$0\" \"$@\""])
        .arg(own.get_program())
        .args(own.get_args());
    for (name, value) in own.get_envs() {
        limited.env(name, value.unwrap_or_default());
    }
    let output = limited.output().expect("there is a shell");
    assert!(!told(&output).contains("running 0 tests"));
    output
}

#[test]
fn memory_that_the_system_refuses() {
    const THIS: &str = "memory_that_the_system_refuses";
    if !is_own_process() {
        let output = limited(THIS);
        assert!(output.status.success(), "{}", told(&output));
        return;
    }
    let watched = Watched::start(allocates("until refused"));
    let verdict = watched.admit();
    assert_eq!(verdict.outcome(), Outcome::Reject);
    assert_eq!(verdict.flows()[0].by, Some(watched.lpm));
    let panicked = watched.only(EventId::LpmPanicked, LpmStatus::PANICKED);
    assert!(panicked.detail.contains("refused after"), "{panicked:?}");
    let _ = watched.only(EventId::LpmCallFailed, LpmStatus::PANICKED);
    assert_eq!(watched.calls("admit"), 1);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

/// What no host in the same process can prevent.
#[test]
fn memory_that_an_lpm_cannot_do_without() {
    const THIS: &str = "memory_that_an_lpm_cannot_do_without";
    const SIGABRT: i32 = 6;
    if !is_own_process() {
        let output = limited(THIS);
        assert_eq!(output.status.signal(), Some(SIGABRT), "{}", told(&output));
        assert!(told(&output).contains("memory allocation of"));
        return;
    }
    let _ = Watched::start(allocates("aborts")).admit();
}
