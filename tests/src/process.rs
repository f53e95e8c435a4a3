//! Tests that could take their process down, or must not share it, run in one of their own.

use std::env;
use std::process::{Command, Output};

const CHILD: &str = "LPM_TEST_IN_OWN_PROCESS";

/// Runs the body of the test of this name in a process of its own, which has to end well. For the
/// name, hand over `module_path!()` and the function: libtest knows a test without its crate.
///
/// # Panics
///
/// When that process fails or crashes.
pub fn in_own_process(test: &str, body: impl FnOnce()) {
    if is_own_process() {
        return body();
    }
    let output = in_child(test, |_| {});
    assert!(output.status.success(), "{}", told(&output));
}

/// The name by which libtest knows the test of this name in this `module_path!()`.
#[must_use]
pub fn name_of(module: &str, test: &str) -> String {
    match module.split_once("::") {
        Some((_, module)) => format!("{module}::{test}"),
        None => test.to_owned(),
    }
}

/// Whether this is the process of a single test.
#[must_use]
pub fn is_own_process() -> bool {
    env::var_os(CHILD).is_some()
}

/// Runs the test of this name, and only that, in a process of its own, prepared as the test wants.
///
/// # Panics
///
/// When there is no such test.
pub fn in_child(test: &str, prepare: impl FnOnce(&mut Command)) -> Output {
    let mut command = child(test);
    prepare(&mut command);
    let output = command.output().expect("the test's program can be run");
    assert!(
        !told(&output).contains("running 0 tests"),
        "there is no test {test}"
    );
    output
}

/// The command that runs the test of this name, and only that, in a process of its own.
///
/// # Panics
///
/// When the test's program cannot be found.
#[must_use]
pub fn child(test: &str) -> Command {
    lpm_fixtures::build();
    let mut command = Command::new(env::current_exe().expect("the test's own path"));
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .env(lpm_fixtures::BUILT, "1");
    command
}

/// How a process ended, and what it wrote.
#[must_use]
pub fn told(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
