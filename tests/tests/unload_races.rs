//! Unloading while others call.
#![forbid(unsafe_code)]
#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

use lpm_tests::fixture_stripped;
use lpm_tests::process::in_own_process;
use lpm_tests::stress::races;

#[test]
fn unloading_while_three_threads_ask_and_two_hold_thread_locals() {
    in_own_process(
        "unloading_while_three_threads_ask_and_two_hold_thread_locals",
        || {
            let directory = tempfile::tempdir().expect("a directory");
            let lpm = fixture_stripped("thread-local-lazy", directory.path());
            let answered = races(lpm, 200);
            assert_ne!(answered, 0);
        },
    );
}
