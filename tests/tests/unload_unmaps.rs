//! Hazards that the host deals with: the library is unmapped, and no thread notices.
//!
//! Each test runs in a process of its own, loads the fixture of its name, has long-lived threads
//! ask it, unloads it twice, and ends the threads.
#![forbid(unsafe_code)]
#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use lpm_host::LpmStatus;
use lpm_host::event::EventId;
use lpm_tests::platform;
use lpm_tests::process::{child, in_child, in_own_process, is_own_process, told};
use lpm_tests::resident_bytes;
use lpm_tests::unloading::unmaps;

/// Tests that the fixtures of these names are unmapped.
macro_rules! unmapped {
    ($($test:ident: $fixture:literal,)*) => {$(
        #[test]
        fn $test() {
            in_own_process(stringify!($test), || {
                unmaps($fixture);
            });
        }
    )*};
}

unmapped! {
    thread_local_lazy: "thread-local-lazy",
    thread_local_const: "thread-local-const",
    thread_current: "thread-current",
    channels: "channels",
    random_numbers: "random-numbers",
    parking_lot: "parking-lot",
    local_time: "local-time",
    threads_joined: "threads-joined",
    threads_scoped: "threads-scoped",
    thread_about_to_end: "thread-about-to-end",
    tokio_shut_down: "tokio-shut-down",
    rayon_pool_dropped: "rayon-pool-dropped",
    thread_key_leaked: "thread-key-leaked",
    c11_threads: "c11-threads",
    timer_calling_function: "timer-calling-function",
    alarm_left: "alarm-left",
    own_allocator: "own-allocator",
}

#[test]
fn static_tls() {
    in_own_process("static_tls", || {
        let warnings = unmaps("static-tls").of(EventId::LibraryHindersUnloading);
        assert_eq!(warnings.len(), 2);
        assert!(
            warnings[0].detail.contains("static TLS"),
            "{}",
            warnings[0].detail
        );
    });
}

/// The host's event log is not told by the library's own hook, but the calls that failed are on
/// record.
#[test]
fn panic_hook_set() {
    in_own_process("panic_hook_set", || {
        let events = unmaps("panic-hook-set");
        let failed = events.of(EventId::LpmCallFailed);
        assert_eq!(failed.len(), 2 * 4);
        for event in failed {
            assert_eq!(event.status, Some(LpmStatus::PANICKED));
        }
    });
}

/// Asked for backtraces, the standard library in a plugin would read its own debugging information,
/// tens of megabytes that outlive the plugin.
#[test]
fn panics_in_admit() {
    const TEST: &str = "panics_in_admit";
    if !platform::unmaps() {
        return;
    }
    if !is_own_process() {
        let output = in_child(TEST, |child| {
            child.env("RUST_BACKTRACE", "full");
        });
        assert!(output.status.success(), "{}", told(&output));
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(!printed.contains("panicked"), "{printed}");
        return;
    }
    let events = unmaps("panics-in-admit");
    assert_eq!(events.of(EventId::LpmPanicked).len(), 2 * 4);
    let before = resident_bytes();
    for _ in 0..10 {
        unmaps("panics-in-admit");
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes in 20 cycles");
}

#[test]
fn panics_in_deinitialize() {
    in_own_process("panics_in_deinitialize", || {
        let events = unmaps("panics-in-deinitialize");
        assert_eq!(events.of(EventId::LpmPanicked).len(), 2);
        for event in events.of(EventId::LpmDeinitializeFailed) {
            assert_eq!(event.status, Some(LpmStatus::PANICKED));
        }
    });
}

/// What the library changed is as before: SIGUSR1 is ignored again, not reset to killing the
/// process.
#[test]
fn signal_handler_left() {
    const TEST: &str = "signal_handler_left";
    if !platform::unmaps() {
        return;
    }
    if is_own_process() {
        let before = signals();
        unmaps("signal-handler-left");
        assert_eq!(signals(), before);
        for signal in ["-USR1", "-WINCH"] {
            let this = std::process::id().to_string();
            let sent = Command::new("kill").args([signal, &this]).status();
            assert!(sent.expect("kill is there").success());
        }
        return;
    }
    let test = child(TEST);
    let mut ignoring = Command::new("sh");
    ignoring
        .args(["-c", "trap '' USR1; exec \"$@\"", "sh"])
        .arg(test.get_program())
        .args(test.get_args());
    for (name, value) in test.get_envs() {
        ignoring.env(name, value.expect("the test only sets variables"));
    }
    let output = ignoring.output().expect("there is a shell");
    assert!(output.status.success(), "{}", told(&output));
    assert!(told(&output).contains("1 passed"), "{}", told(&output));
}

/// Which of SIGUSR1 and SIGWINCH are ignored, and which are caught.
fn signals() -> [u64; 2] {
    const USR1: u32 = 10;
    const WINCH: u32 = 28;
    let status = fs::read_to_string("/proc/self/status").expect("the status");
    ["SigIgn:", "SigCgt:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let all = u64::from_str_radix(line.expect("the signals").trim(), 16).expect("a mask");
        all & (1 << (USR1 - 1) | 1 << (WINCH - 1))
    })
}

/// Runs the test's scenario in a process of its own, which prints `mark` each time the library
/// goes, and `<end>` afterwards.
fn prints_once_per_cycle(test: &str, fixture: &str, mark: &str, times: usize) {
    if is_own_process() {
        unmaps(fixture);
        eprint!("<end>");
        return;
    }
    let output = in_child(test, |_| {});
    assert!(output.status.success(), "{}", told(&output));
    let printed = String::from_utf8_lossy(&output.stderr);
    let (before, after) = printed.split_once("<end>").expect("the scenario ended");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let count = before.matches(mark).count() + stdout.matches(mark).count();
    assert_eq!(count, times, "{}", told(&output));
    assert!(!after.contains(mark), "{}", told(&output));
}

/// Called when the library goes, since it cannot be called later.
#[test]
fn exit_handler_left() {
    if !platform::unmaps() {
        return;
    }
    prints_once_per_cycle(
        "exit_handler_left",
        "exit-handler-left",
        "<exit handler>",
        2,
    );
}

#[test]
fn cpp_static() {
    if !platform::unmaps() {
        return;
    }
    prints_once_per_cycle("cpp_static", "cpp-static", "<destroyed>", 2);
}

/// The library's buffer is flushed before it goes.
#[test]
fn prints_without_newline() {
    prints_once_per_cycle(
        "prints_without_newline",
        "prints-without-newline",
        "<asked>",
        2 * 4,
    );
}

#[test]
fn fork_handler_left() {
    in_own_process("fork_handler_left", || {
        unmaps("fork-handler-left");
        // To change the user it takes a real fork, even if it is to the same one.
        let user = fs::metadata("/proc/self").expect("this process").uid();
        let status = Command::new("true").uid(user).status();
        assert!(status.expect("true is there").success());
    });
}

/// The destructor runs neither on the threads that go on, nor when they end. Where the library
/// stays, it does.
#[test]
fn thread_local_hanging_in_threads_that_go_on() {
    if !platform::unmaps() {
        return;
    }
    in_own_process("thread_local_hanging_in_threads_that_go_on", || {
        unmaps("thread-local-hanging");
    });
}
