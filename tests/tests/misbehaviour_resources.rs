//! LPMs that log more than their share, and ones from inside which the PCM is called.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex};

use lpm_host::error::{PcmError, StartError};
use lpm_host::{LpmStatus, Outcome, Pcm};
use lpm_tests::capture::{Capture, What};
use lpm_tests::fixture;
use lpm_tests::messages::{admit, commit_resv, path, path_tear, rsvp_objects};
use lpm_tests::process::in_own_process;
use lpm_tests::watched::Watched;
use tracing::Subscriber;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

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
