//! What a test costs, in instructions that `valgrind --tool=callgrind` counts.

use std::process::Command;

/// Whether valgrind is installed; says so where it is not.
pub fn can_be_counted() -> bool {
    let can = Command::new("valgrind").arg("--version").output().is_ok();
    if !can {
        eprintln!("not measured: valgrind is not installed");
    }
    can
}

/// The instructions of a test of this program that is started with a variable in its environment.
pub fn count(test: &str, variable: &str, value: &str) -> i64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--test-threads=1"])
        .env(variable, value)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let (_, count) = text.split_once("Collected : ").unwrap();
    count.split_whitespace().next().unwrap().parse().unwrap()
}
