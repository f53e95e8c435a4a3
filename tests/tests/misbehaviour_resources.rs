//! LPMs that use more than their share, and ones from inside which the PCM is called.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::{Arc, Mutex};

use lpm_host::error::{PcmError, StartError};
use lpm_host::event::EventId;
use lpm_host::{LpmConfig, LpmStatus, Outcome, Pcm};
use lpm_tests::capture::{Capture, What};
use lpm_tests::messages::{admit, commit_resv, path, path_tear, rsvp_objects};
use lpm_tests::process::{child, in_own_process, is_own_process, told};
use lpm_tests::watched::Watched;
use lpm_tests::{fixture, resident_bytes};
use tracing::Subscriber;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

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

#[test]
fn a_million_lines() {
    const LINES: u64 = 1_000_000;
    in_own_process("a_million_lines", || {
        let capture = Capture::default();
        tracing_subscriber::registry().with(capture.clone()).init();
        let watched = Watched::start(fixture("logs").config(format!("flood {LINES}")));
        assert_eq!(watched.admit().outcome(), Outcome::Accept);
        assert_eq!(watched.calls("admit"), 1);
        assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
        let told = capture.of(What::Event).len() as u64;
        assert!((1..LINES).contains(&told), "{told}");
        let reports = capture.of(What::Event);
        assert!(reports.iter().any(|it| it.field("dropped").is_some()));
    });
}

/// What came of the calls that a subscriber made from inside an LPM.
#[derive(Debug, PartialEq)]
struct Calls {
    admit: Result<Outcome, PcmError>,
    statistics: bool,
    demote: Option<PcmError>,
    reconfigure: Option<PcmError>,
    become_dsbm: Option<PcmError>,
}

fn pcm_error<T>(result: Result<T, StartError>) -> Option<PcmError> {
    match result {
        Err(StartError::Pcm(error)) => Some(error),
        Ok(_) | Err(_) => None,
    }
}

#[derive(Clone, Default)]
struct CallsThePcm {
    pcm: Arc<Mutex<Option<Arc<Pcm>>>>,
    calls: Arc<Mutex<Vec<Calls>>>,
}

impl<S: Subscriber> Layer<S> for CallsThePcm {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if !event.metadata().target().contains("re_enters") {
            return;
        }
        // Once: the calls that follow lead here again.
        let Some(pcm) = self.pcm.lock().expect("no panic").take() else {
            return;
        };
        let calls = Calls {
            admit: admit(&pcm, &path(4001)).map(|verdict| verdict.outcome()),
            statistics: pcm.statistics().is_ok(),
            demote: pcm.demote().err(),
            reconfigure: pcm_error(pcm.reconfigure([fixture("counts")])),
            become_dsbm: pcm_error(pcm.become_dsbm()),
        };
        self.calls.lock().expect("no panic").push(calls);
    }
}

#[test]
fn calls_from_inside() {
    in_own_process("calls_from_inside", || {
        let layer = CallsThePcm::default();
        tracing_subscriber::registry().with(layer.clone()).init();
        for method in [
            "admit",
            "rsvp_objects",
            "commit_resv",
            "delete_state",
            "deinitialize",
        ] {
            let watched = Watched::start(fixture("re-enters").config(method));
            *layer.pcm.lock().expect("no panic") = Some(Arc::clone(&watched.pcm));
            match method {
                "admit" => assert_eq!(watched.admit().outcome(), Outcome::Accept),
                "rsvp_objects" => {
                    rsvp_objects(&watched.pcm, &path(4000), 100).expect("in charge");
                }
                "commit_resv" => commit_resv(&watched.pcm).expect("in charge"),
                "delete_state" => {
                    admit(&watched.pcm, &path_tear(4000)).expect("in charge");
                }
                _ => {}
            }
            assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
            let expected = match method {
                "deinitialize" => Calls {
                    admit: Err(PcmError::NotDsbm),
                    statistics: false,
                    demote: Some(PcmError::Busy),
                    reconfigure: Some(PcmError::Busy),
                    become_dsbm: Some(PcmError::Busy),
                },
                _ => Calls {
                    admit: Ok(Outcome::Accept),
                    statistics: true,
                    demote: Some(PcmError::CalledFromLpm),
                    reconfigure: Some(PcmError::CalledFromLpm),
                    become_dsbm: Some(PcmError::AlreadyDsbm),
                },
            };
            let calls = layer.calls.lock().expect("no panic").pop();
            assert_eq!(calls, Some(expected), "{method}");
        }
    });
}
