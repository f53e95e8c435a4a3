//! LPMs that are part of the program: no library, no `unsafe`.
#![forbid(unsafe_code)]

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use lpm_api::{
    AdmitRequest, Answer, Decision, Deferral, DeinitError, DeinitReason, DeleteState, InitError,
    InitInfo, Lpm, LpmPolicyError, LpmStatus, Priority, Statistics,
};
use lpm_host::error::{LpmStartError, PcmError, StartError};
use lpm_host::event::{Event, EventId, EventLog};
use lpm_host::testing::messages;
use lpm_host::{
    CallMode, LpmConfig, LpmSource, ManualClock, Outcome, Pcm, PcmBuilder, ReceivedMessage, Verdict,
};

const ACCEPT: Decision = Decision::accept(Priority::MIN);

/// How many there are.
static ALIVE: AtomicUsize = AtomicUsize::new(0);
/// The tests count the LPMs that are alive.
static ALONE: Mutex<()> = Mutex::new(());

/// Does what its configuration says.
struct Does {
    what: String,
    kept: Mutex<Vec<Deferral>>,
    deleted: AtomicUsize,
}

impl Lpm for Does {
    fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
        if init.config() == "refuse" {
            return Err(InitError::config("as asked"));
        }
        ALIVE.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            what: init.config().to_owned(),
            kept: Mutex::default(),
            deleted: AtomicUsize::new(0),
        })
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        match self.what.as_str() {
            "panic" => panic!("as asked"),
            "later" => {
                let (deferral, answer) = request.defer();
                self.kept.lock().unwrap().push(deferral);
                answer
            }
            "reject" => request.decide_all(Decision::reject(LpmPolicyError::UnknownUser)),
            _ => request.decide_all(ACCEPT),
        }
    }

    fn delete_state(&self, _: DeleteState<'_>) {
        self.deleted.fetch_add(1, Ordering::Relaxed);
    }

    fn deinitialize(self, _: DeinitReason) -> Result<(), DeinitError> {
        match self.what.as_str() {
            "errs" => Err(DeinitError::new(NonZeroU32::MIN, "as asked")),
            _ => Ok(()),
        }
    }
}

impl Drop for Does {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Statistics for Does {
    fn statistics(&self, report: &mut dyn FnMut(&str, u64)) {
        report("deleted", self.deleted.load(Ordering::Relaxed) as u64);
    }
}

#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Vec<Event>>>);

impl EventLog for Recorded {
    fn record(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Recorded {
    fn of(&self, id: EventId) -> Vec<Event> {
        let events = self.0.lock().unwrap();
        events
            .iter()
            .filter(|event| event.id == id)
            .cloned()
            .collect()
    }
}

fn config(what: &str) -> LpmConfig {
    LpmConfig::new(what, LpmSource::built_in_with_statistics::<Does>()).config(what)
}

fn pcm(lpms: &[LpmConfig]) -> PcmBuilder {
    lpms.iter().cloned().fold(Pcm::builder(), PcmBuilder::lpm)
}

fn admit(pcm: &Pcm) -> Result<Verdict, PcmError> {
    let message = messages::path().build();
    pcm.admit(&ReceivedMessage {
        message: message.view(),
        interface: message.interface(),
        received: SystemTime::now(),
        integrity_verified: false,
    })
}

#[test]
fn it_is_asked_as_any_lpm_and_leaves_no_library() {
    let _alone = ALONE.lock().unwrap();
    let events = Recorded::default();
    let pcm = pcm(&[
        config("accept"),
        config("reject").call_mode(CallMode::worker()),
    ])
    .event_log(events.clone())
    .build()
    .unwrap();
    for _ in 0..2 {
        let lpms = pcm.become_dsbm().unwrap().lpms;
        assert_eq!(lpms.len(), 2);
        assert!(lpms[0].source.to_string().ends_with("::Does)"));
        assert_eq!(ALIVE.load(Ordering::Relaxed), 2);
        let verdict = admit(&pcm).unwrap();
        assert_eq!(verdict.outcome(), Outcome::Reject);
        assert_eq!(verdict.flows()[0].by, Some(lpms[1].handle));
        let counters = pcm.statistics().unwrap().remove(0).counters;
        assert_eq!(counters, Some(vec![("deleted".to_owned(), 1)]));
        let teardown = pcm.demote().unwrap();
        assert_eq!(teardown.lpms.len(), 2);
        assert!(teardown.libraries.is_empty());
        assert_eq!(ALIVE.load(Ordering::Relaxed), 0);
    }
    assert!(events.of(EventId::LpmInitialized)[0].library.is_none());
}

#[test]
fn what_goes_wrong_is_told_as_of_any_lpm() {
    let _alone = ALONE.lock().unwrap();
    let events = Recorded::default();
    let failed = pcm(&[config("refuse")]).build().unwrap().become_dsbm();
    let Err(StartError::Lpms { failures }) = failed else {
        panic!("{failed:?}")
    };
    let refused = &failures[0].error;
    assert!(matches!(refused, LpmStartError::Initialize { message, .. } if message == "as asked"));

    let pcm = pcm(&[config("panic"), config("errs")])
        .event_log(events.clone())
        .build()
        .unwrap();
    pcm.become_dsbm().unwrap();
    let verdict = admit(&pcm).unwrap();
    assert_eq!(verdict.failure(), Some(LpmStatus::PANICKED));
    assert_eq!(
        verdict.flows()[0].decision,
        Decision::reject(LpmPolicyError::NoResources)
    );
    assert_eq!(events.of(EventId::LpmCallFailed).len(), 1);
    let stopped = pcm.shutdown().unwrap().lpms;
    assert_eq!(stopped[0].detail.as_deref(), Some("as asked"));
    assert_eq!(ALIVE.load(Ordering::Relaxed), 0);
}

#[test]
fn an_answer_that_is_put_off_is_late_by_the_manual_clock() {
    let _alone = ALONE.lock().unwrap();
    let clock = ManualClock::new();
    let later = config("later").result_time_limit(Duration::from_secs(2));
    let pcm = pcm(&[later]).clock(&clock).build().unwrap();
    pcm.become_dsbm().unwrap();
    let message = messages::path().build();
    let admission = pcm
        .admit_later(&ReceivedMessage {
            message: message.view(),
            interface: message.interface(),
            received: SystemTime::now(),
            integrity_verified: false,
        })
        .unwrap();
    clock.advance(Duration::from_millis(1_999));
    assert!(!admission.is_decided());
    clock.advance(Duration::from_millis(1));
    let verdict = admission.wait();
    assert_eq!(verdict.failure(), Some(LpmStatus::TIME_OUT));
}

#[test]
fn a_list_is_exchanged_with_those_that_are_the_same_going_on() {
    let _alone = ALONE.lock().unwrap();
    let pcm = pcm(&[config("accept"), config("reject")]).build().unwrap();
    let handle = pcm.become_dsbm().unwrap().lpms[0].handle;
    let changed = pcm
        .reconfigure([config("accept"), config("other")])
        .unwrap();
    assert_eq!(changed.kept[0].handle, handle);
    assert_eq!(changed.started.lpms.len(), 1);
    assert_eq!(changed.stopped.lpms.len(), 1);
    assert_eq!(admit(&pcm).unwrap().outcome(), Outcome::Accept);
    let without = LpmConfig::new("accept", LpmSource::built_in::<Does>()).config("accept");
    let changed = pcm.reconfigure([without]).unwrap();
    assert_eq!(changed.kept.len(), 0, "another source is another LPM");
    assert_eq!(pcm.statistics().unwrap()[0].counters, None);
}
