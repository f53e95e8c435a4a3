//! An LPM in a process of its own comes to a bad end: that rejects what it was asked, is told with
//! the signal or the status, and is all; the LPM starts again.
#![cfg(any(target_os = "linux", windows))]
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use lpm_fixtures::file_name;
use lpm_host::event::{Event, EventId};
use lpm_host::lpm_api::{Decision, LpmPolicyError};
use lpm_host::status::LpmHealth;
use lpm_host::{CallMode, Isolation, LpmConfig, LpmStatus, Outcome, Verdict};
use lpm_tests::fixture;
use lpm_tests::messages::{admit, path, with_received};
use lpm_tests::platform::{assert_gone, is_there, is_wine};
use lpm_tests::watched::Watched;

const CRASH: u16 = 6666;
const PUT_OFF: u16 = 5555;

fn crashes(way: &str) -> LpmConfig {
    let lpm = fixture("crashes").config(way);
    lpm.isolation(Isolation::Process)
}

/// Waits for what is about to happen on another thread.
fn soon<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(300);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn asked(watched: &Watched, port: u16) -> Verdict {
    admit(&watched.pcm, &path(port)).expect("in charge")
}

fn is_rejected(watched: &Watched, verdict: &Verdict) {
    let failed = Decision::reject(LpmPolicyError::NoResources);
    assert_eq!(verdict.flows()[0].decision, failed);
    assert_eq!(verdict.flows()[0].by, Some(watched.lpm));
}

fn ended(watched: &Watched) -> Event {
    let all = || watched.about(EventId::LpmProcessEnded).pop();
    soon("its end is an event", all)
}

/// The LPM has another handle, and is asked.
fn starts_again(watched: &Watched) {
    let health = || watched.pcm.status().lpms[0].health;
    assert_eq!(health(), LpmHealth::Ended);
    soon("it starts again", || {
        watched.advance(Duration::from_secs(10));
        (health() == LpmHealth::Serving).then_some(())
    });
    assert_eq!(watched.about(EventId::LpmReinitialized).len(), 1);
    assert_eq!(asked(watched, 4000).outcome(), Outcome::Accept);
}

/// What comes of each way, as the operator is told.
#[cfg(target_os = "linux")]
const WAYS: [(&str, &str); 7] = [
    ("segv", "its process ended: killed by signal 11 (SIGSEGV)"),
    ("abort", "its process ended: killed by signal 6 (SIGABRT)"),
    (
        "overflow",
        "its process ended: killed by signal 6 (SIGABRT)",
    ),
    ("exit", "its process ended: it exited with status 3"),
    ("kill", "its process ended: killed by signal 9 (SIGKILL)"),
    ("memory", "its process ended: killed by signal 6 (SIGABRT)"),
    ("thread", "its process ended: killed by signal 6 (SIGABRT)"),
];
#[cfg(windows)]
const WAYS: [(&str, &str); 7] = [
    (
        "segv",
        "its process ended: it exited with status 0xc0000005 (access violation)",
    ),
    (
        "abort",
        "its process ended: it exited with status 0xc0000409 (abort)",
    ),
    (
        "overflow",
        "its process ended: it exited with status 0xc00000fd (stack overflow)",
    ),
    ("exit", "its process ended: it exited with status 3"),
    ("kill", "its process ended: it exited with status 1"),
    (
        "memory",
        "its process ended: it exited with status 0xc0000409 (abort)",
    ),
    (
        "thread",
        "its process ended: it exited with status 0xc0000409 (abort)",
    ),
];

#[test]
fn a_crash_of_any_kind() {
    for (way, how) in WAYS {
        // Where the stack has no room for looking for a handler, either, it ends the thread only.
        if way == "overflow" && is_wine() {
            continue;
        }
        for mode in [CallMode::Inline, CallMode::worker()] {
            let watched = Watched::start(crashes(way).call_mode(mode));
            assert_eq!(asked(&watched, 4000).outcome(), Outcome::Accept);
            let verdict = asked(&watched, CRASH);
            is_rejected(&watched, &verdict);
            let ended = ended(&watched);
            assert!(ended.detail.starts_with(how), "{ended:?}");
            assert_eq!(ended.status, Some(LpmStatus::ENDED));
            assert_eq!(ended.handle, Some(watched.lpm));
            let library = ended.library.expect("it has one");
            assert!(library.ends_with(file_name("crashes")), "{library:?}");
            // What it is asked before it starts again is rejected, and holds nobody up.
            is_rejected(&watched, &asked(&watched, 4000));
            watched.advance(Duration::ZERO);
            is_rejected(&watched, &asked(&watched, 4000));
            starts_again(&watched);
        }
    }
}

#[test]
fn what_was_put_off_is_rejected_at_once() {
    let watched = Watched::start(crashes("kill"));
    let open: Vec<_> = (0..3)
        .map(|_| {
            let later = with_received(&path(PUT_OFF), |received| watched.pcm.admit_later(received));
            later.expect("in charge")
        })
        .collect();
    assert!(open.iter().all(|open| !open.is_decided()));
    is_rejected(&watched, &asked(&watched, CRASH));
    // No time passes.
    for open in open {
        is_rejected(&watched, &open.wait());
    }
    starts_again(&watched);
}

#[test]
fn a_hang_is_ended_by_killing_it() {
    for mode in [CallMode::Inline, CallMode::worker()] {
        let limit = Duration::from_secs(7);
        let lpm = crashes("loops").call_mode(mode).result_time_limit(limit);
        let watched = Watched::start(lpm);
        let watched = Arc::new(watched);
        let verdict = {
            let watched = Arc::clone(&watched);
            thread::spawn(move || asked(&watched, CRASH))
        };
        let ended = soon("its end is an event", || {
            watched.advance(Duration::from_secs(1));
            watched.about(EventId::LpmProcessEnded).pop()
        });
        is_rejected(&watched, &verdict.join().expect("no panic"));
        assert!(
            ended.detail.contains("did not return within 7s"),
            "{ended:?}"
        );
        assert!(ended.detail.contains("was killed"), "{ended:?}");
        assert_eq!(watched.about(EventId::LpmQuarantined), []);
        soon("it starts again", || {
            watched.advance(Duration::from_secs(10));
            let is_back = asked(&watched, 4000).outcome() == Outcome::Accept;
            is_back.then_some(())
        });
    }
}

#[test]
fn its_ends_come_with_growing_distance() {
    let watched = Watched::start(crashes("exit"));
    let mut waits = Vec::new();
    for round in 0..4 {
        let _ = asked(&watched, CRASH);
        soon("its end is an event", || {
            let ends = watched.about(EventId::LpmProcessEnded);
            (ends.len() == round + 1).then_some(())
        });
        watched.advance(Duration::ZERO);
        let mut waited = Duration::ZERO;
        while watched.pcm.status().lpms[0].health != LpmHealth::Serving {
            let step = Duration::from_millis(50);
            watched.advance(step);
            waited += step;
        }
        waits.push(waited.as_millis());
    }
    for (waited, expected) in waits.into_iter().zip([100, 200, 400, 800]) {
        // Looked for every 50 ms.
        assert!((expected..=expected + 50).contains(&waited), "{waited}");
    }
}

#[test]
fn in_initialize() {
    for (way, how) in [WAYS[0], WAYS[3]] {
        let lpms = [crashes(&format!("{way} initialize")).optional(true)];
        let watched = Watched::start(fixture("accepts"));
        let lpms = lpms.into_iter().chain([fixture("counts")]);
        let done = watched.pcm.reconfigure(lpms).expect("it is optional");
        let failed = &done.started.failed[0].error.to_string();
        assert!(failed.contains(how), "{failed}");
    }
    let limit = Duration::from_millis(300);
    let lpm = crashes("loops initialize").initialize_limit(limit);
    let watched = Watched::start(fixture("accepts"));
    let done = watched
        .pcm
        .reconfigure([lpm.optional(true), fixture("counts")]);
    let failed = done.expect("it is optional").started.failed[0]
        .error
        .to_string();
    assert!(failed.contains("the LPM's process was killed"), "{failed}");
}

#[test]
fn in_deinitialize() {
    let watched = Watched::start(crashes("abort deinitialize"));
    assert_eq!(watched.end(), (LpmStatus::ENDED, vec![]));
    let failed = watched.only(EventId::LpmDeinitializeFailed, LpmStatus::ENDED);
    assert!(failed.detail.contains("its process"), "{failed:?}");
    let limit = Duration::from_millis(300);
    let watched = Watched::start(crashes("loops deinitialize").deinitialize_limit(limit));
    let process = watched.pcm.status().lpms[0]
        .initialized
        .as_ref()
        .and_then(|it| it.process);
    // Killed after that time, and so gone.
    assert_eq!(watched.end(), (LpmStatus::DEADLINE, vec![]));
    let process = process.expect("it is a process");
    assert!(!is_there(process));
}

#[test]
fn with_a_call_inside_when_the_pcm_stops() {
    let watched = Arc::new(Watched::start(crashes("loops")));
    let verdict = {
        let watched = Arc::clone(&watched);
        thread::spawn(move || asked(&watched, CRASH))
    };
    // However far it is.
    thread::sleep(Duration::from_millis(50));
    let teardown = watched
        .pcm
        .reconfigure([fixture("counts")])
        .expect("in charge")
        .stopped;
    is_rejected(&watched, &verdict.join().expect("no panic"));
    assert_gone(&teardown.libraries[0].outcome);
}
