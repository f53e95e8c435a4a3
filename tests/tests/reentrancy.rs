//! The PCM called from inside its own LPMs: no deadlock, and a self-unload that works.
//!
//! A panic of an LPM is put on record while the PCM's `admit` is under way and the gate is held, so
//! an event log that calls the PCM does so from inside `admit`.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError, Weak};

use lpm_host::error::PcmError;
use lpm_host::event::{Event, EventId, EventLog};
use lpm_host::{LpmConfig, LpmStatus, Outcome, Pcm, PendingChange, Teardown};
use lpm_tests::messages::{admit, path};
use lpm_tests::platform::{assert_gone, gone};
use lpm_tests::{RecordedEvents, fixture};

/// Calls the PCM whenever an LPM panics, and keeps what came of it.
struct CallsBack<R> {
    pcm: Weak<Pcm>,
    call: fn(&Pcm) -> R,
    results: Arc<Mutex<Vec<R>>>,
}

impl<R: Send> EventLog for CallsBack<R> {
    fn record(&self, event: &Event) {
        if event.id == EventId::LpmPanicked {
            let pcm = self.pcm.upgrade().expect("the PCM lives");
            let result = (self.call)(&pcm);
            self.results
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(result);
        }
    }
}

/// A PCM in charge, whose event log makes this call whenever an LPM panics.
fn start<R: Send + 'static>(lpm: LpmConfig, call: fn(&Pcm) -> R) -> (Arc<Pcm>, Arc<Mutex<Vec<R>>>) {
    let results = Arc::new(Mutex::new(Vec::new()));
    let pcm = Arc::new_cyclic(|pcm| {
        let log = CallsBack {
            pcm: Weak::clone(pcm),
            call,
            results: Arc::clone(&results),
        };
        Pcm::builder()
            .lpm(lpm)
            .event_log(log)
            .build()
            .expect("builds")
    });
    pcm.become_dsbm().expect("starts");
    (pcm, results)
}

fn only<R>(results: &Mutex<Vec<R>>) -> R {
    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(results.len(), 1, "one panic, one call");
    results.remove(0)
}

#[test]
fn an_lpm_has_its_own_pcm_demoted_from_inside_admit() {
    let (pcm, results) = start(fixture("panics-in-admit"), Pcm::demote_later);
    let verdict = admit(&pcm, &path(4000)).expect("it was in charge when the call began");
    assert_eq!(verdict.outcome(), Outcome::Reject);

    let pending: PendingChange<Teardown> = only(&results).expect("demotion is under way");
    let teardown = pending.wait();
    assert_eq!(teardown.lpms[0].status, LpmStatus::OK);
    assert_gone(&teardown.libraries[0].outcome);
    assert_eq!(admit(&pcm, &path(4000)), Err(PcmError::NotDsbm));
    pcm.become_dsbm().expect("starts again");
}

#[test]
fn waiting_for_the_demotion_inside_admit_is_refused() {
    let (pcm, results) = start(fixture("panics-in-admit"), |pcm| pcm.demote().err());
    admit(&pcm, &path(4000)).expect("in charge");
    assert_eq!(only(&results), Some(PcmError::CalledFromLpm));
    admit(&pcm, &path(4000)).expect("still in charge");
}

#[test]
fn an_lpm_asks_its_own_pcm_from_inside_admit() {
    fn ask_once(pcm: &Pcm) -> Option<Outcome> {
        std::thread_local!(static ASKED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });
        if ASKED.replace(true) {
            return None;
        }
        admit(pcm, &path(4001))
            .ok()
            .map(|verdict| verdict.outcome())
    }
    let (pcm, results) = start(fixture("panics-in-admit"), ask_once);
    admit(&pcm, &path(4000)).expect("in charge");
    let results = results.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(*results, [None, Some(Outcome::Reject)]);
}

#[test]
fn an_lpm_calls_back_from_deinitialize() {
    let call = |pcm: &Pcm| {
        (
            admit(pcm, &path(4000)),
            pcm.demote().err(),
            pcm.become_dsbm().is_err(),
        )
    };
    let (pcm, results) = start(fixture("panics-in-deinitialize"), call);
    let teardown = pcm.demote().expect("in charge");
    assert_eq!(teardown.lpms[0].status, LpmStatus::PANICKED);
    assert_gone(&teardown.libraries[0].outcome);
    let (admitted, demoted, refused) = only(&results);
    assert_eq!(admitted, Err(PcmError::NotDsbm));
    assert_eq!(demoted, Some(PcmError::Busy));
    assert!(refused);
}

#[test]
fn dropping_the_pcm_waits_for_a_demotion_under_way() {
    let events = RecordedEvents::default();
    let pcm = Pcm::builder()
        .lpm(fixture("panics-in-admit"))
        .event_log(events.clone())
        .build()
        .expect("builds");
    pcm.become_dsbm().expect("starts");
    let _pending = pcm.demote_later().expect("in charge");
    drop(pcm);
    assert_eq!(events.of(gone()).len(), 1);
}

/// Holds the last reference to the PCM while the LPM's end is put on record, on a thread that stops
/// it.
struct DropsThePcm(Arc<Mutex<Option<Arc<Pcm>>>>, RecordedEvents);

impl EventLog for DropsThePcm {
    fn record(&self, event: &Event) {
        if event.id == EventId::LpmDeinitialized {
            drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        self.1.record(event);
    }
}

#[test]
fn the_pcm_is_dropped_by_the_thread_that_stops_it() {
    let (last, events) = (Arc::new(Mutex::new(None)), RecordedEvents::default());
    let log = DropsThePcm(Arc::clone(&last), events.clone());
    let lpm = fixture("office-hours").config("0-24");
    let pcm = Arc::new(
        Pcm::builder()
            .lpm(lpm)
            .event_log(log)
            .build()
            .expect("builds"),
    );
    pcm.become_dsbm().expect("starts");
    *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&pcm));
    let pending = pcm.demote_later().expect("in charge");
    drop(pcm);
    assert_gone(&pending.wait().libraries[0].outcome);
    assert_eq!(events.of(gone()).len(), 1);
}

#[test]
fn an_event_log_that_panics_keeps_no_lpm_from_being_deinitialized() {
    struct Panics;
    impl EventLog for Panics {
        fn record(&self, event: &Event) {
            panic!("cannot write {}", event.id)
        }
    }
    let lpm = fixture("office-hours").config("0-24");
    let pcm = Pcm::builder()
        .lpm(lpm)
        .event_log(Panics)
        .build()
        .expect("builds");
    pcm.become_dsbm().expect("starts");
    let teardown = pcm.demote().expect("in charge");
    assert_eq!(teardown.lpms[0].status, LpmStatus::OK);
    assert_gone(&teardown.libraries[0].outcome);
}
