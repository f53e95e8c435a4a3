//! How a PCM is, and what is counted of its LPMs.
#![forbid(unsafe_code)]

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use lpm_api::{
    AdmitRequest, Answer, Decision, Deferral, InitError, InitInfo, Lpm, LpmPolicyError, Priority,
};
use lpm_host::status::{LpmHealth, LpmMetrics, Phase};
use lpm_host::testing::messages;
use lpm_host::{
    Admission, CallMode, LpmConfig, LpmSource, ManualClock, Outcome, Pcm, ReceivedMessage, Verdict,
};

/// What LPMs that put their answers off keep. Tests take what is theirs by the user they ask for.
static KEPT: Mutex<Vec<(String, Deferral)>> = Mutex::new(Vec::new());

/// Does what its configuration says.
struct Does(String);

impl Lpm for Does {
    fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
        match init.config() {
            "refuse" => Err(InitError::config("as asked")),
            what => Ok(Self(what.to_owned())),
        }
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        if self.0.starts_with("later") {
            let (deferral, answer) = request.defer();
            KEPT.lock().unwrap().push((self.0.clone(), deferral));
            return answer;
        }
        request.decide_all(match self.0.as_str() {
            "panic" => panic!("as asked"),
            "reject" => Decision::reject(LpmPolicyError::UnknownUser),
            "drop" => Decision::DropMessage,
            "dont care" => Decision::DontCare,
            _ => Decision::accept(Priority::MIN),
        })
    }
}

fn kept(by: &str) -> Deferral {
    let mut kept = KEPT.lock().unwrap();
    let place = kept.iter().position(|(other, _)| other == by).unwrap();
    kept.swap_remove(place).1
}

fn config(what: &str) -> LpmConfig {
    LpmConfig::new(what, LpmSource::built_in::<Does>()).config(what)
}

fn admit(pcm: &Pcm) -> Verdict {
    admit_later(pcm).wait()
}

fn admit_later(pcm: &Pcm) -> Admission {
    let message = messages::path().build();
    let received = ReceivedMessage {
        message: message.view(),
        interface: message.interface(),
        received: SystemTime::now(),
        integrity_verified: false,
    };
    pcm.admit_later(&received).unwrap()
}

fn counts(pcm: &Pcm, name: &str) -> LpmMetrics {
    let mut lpms = pcm.metrics().into_iter();
    lpms.find(|lpm| &*lpm.name == name).expect(name)
}

/// Requests, then accepted, rejected, dropped, without an opinion, deferred, failed, timed out,
/// late.
fn numbers(counts: &LpmMetrics) -> [u64; 9] {
    [
        counts.requests,
        counts.accepted,
        counts.rejected,
        counts.dropped,
        counts.dont_care,
        counts.deferred,
        counts.failed,
        counts.timed_out,
        counts.late,
    ]
}

#[test]
fn each_outcome_is_counted_for_the_lpm_that_it_is_of() {
    let all = ["accept", "reject", "drop", "dont care", "panic", "worker"];
    let lpms = all.map(|what| match what {
        "worker" => config(what).call_mode(CallMode::worker()),
        _ => config(what),
    });
    let clock = ManualClock::new();
    let builder = lpms
        .into_iter()
        .fold(Pcm::builder(), |all, lpm| all.lpm(lpm));
    let pcm = builder.clock(&clock).build().unwrap();
    assert_eq!(pcm.metrics(), []);
    pcm.become_dsbm().unwrap();
    for _ in 0..3 {
        assert_eq!(admit(&pcm).outcome(), Outcome::Reject);
    }
    let counted = |what| numbers(&counts(&pcm, what));
    assert_eq!(counted("accept"), [3, 3, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(counted("reject"), [3, 0, 3, 0, 0, 0, 0, 0, 0]);
    assert_eq!(counted("drop"), [3, 0, 0, 3, 0, 0, 0, 0, 0]);
    assert_eq!(counted("dont care"), [3, 0, 0, 0, 3, 0, 0, 0, 0]);
    assert_eq!(counted("panic"), [3, 0, 0, 0, 0, 0, 3, 0, 0]);
    assert_eq!(counted("worker"), [3, 3, 0, 0, 0, 0, 0, 0, 0]);
    // The first of each is timed, and by this clock there was no look of the watchdog since.
    for what in all {
        assert_eq!(counts(&pcm, what).latencies.count(), 1, "{what}");
    }
    clock.advance(Duration::from_millis(1));
    admit(&pcm);
    assert_eq!(counts(&pcm, "accept").latencies.count(), 2);
}

#[test]
fn what_every_lpm_accepts_at_once_is_counted_on_all_threads() {
    let pcm = Pcm::builder().lpm(config("one")).lpm(config("other"));
    let pcm = pcm.build().unwrap();
    pcm.become_dsbm().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| (0..50).for_each(|_| drop(admit(&pcm))));
        }
    });
    for name in ["one", "other"] {
        let counts = counts(&pcm, name);
        assert_eq!(numbers(&counts), [2_000, 2_000, 0, 0, 0, 0, 0, 0, 0]);
        assert!(counts.latencies.count() >= 1);
    }
}

#[test]
fn answers_that_are_put_off_are_open_timed_and_late() {
    let clock = ManualClock::new();
    let limit = Duration::from_secs(2);
    let pcm = Pcm::builder().lpm(config("later 1").result_time_limit(limit));
    let pcm = pcm.clock(&clock).build().unwrap();
    pcm.become_dsbm().unwrap();
    let open = || {
        pcm.status().lpms[0]
            .initialized
            .as_ref()
            .unwrap()
            .open_requests
    };
    let answered = admit_later(&pcm);
    assert_eq!(open(), 1);
    assert_eq!(counts(&pcm, "later 1").latencies.count(), 0);
    kept("later 1")
        .complete_all(Decision::accept(Priority::MIN))
        .unwrap();
    assert_eq!(answered.wait().outcome(), Outcome::Accept);
    let counted = counts(&pcm, "later 1");
    assert_eq!(numbers(&counted), [1, 1, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(counted.latencies.count(), 1);

    let late = admit_later(&pcm);
    let deferral = kept("later 1");
    clock.advance(limit);
    assert_eq!(late.wait().outcome(), Outcome::Reject);
    assert_eq!(open(), 0);
    let counted = |what: &str| numbers(&counts(&pcm, what));
    assert_eq!(counted("later 1"), [2, 1, 0, 0, 0, 2, 1, 1, 0]);
    deferral
        .complete_all(Decision::accept(Priority::MIN))
        .unwrap_err();
    assert_eq!(counted("later 1"), [2, 1, 0, 0, 0, 2, 1, 1, 1]);

    // What is open at the end is rejected.
    let open = admit_later(&pcm);
    pcm.demote().unwrap();
    assert_eq!(open.wait().outcome(), Outcome::Reject);
    assert_eq!(counted("later 1"), [3, 1, 0, 0, 0, 3, 2, 1, 1]);
    drop(kept("later 1"));
}

#[test]
fn the_phase_and_the_health_of_lpms_are_told() {
    let refused = config("refuse").optional(true);
    let pcm = Pcm::builder().lpm(config("accept")).lpm(refused);
    let pcm = pcm.build().unwrap();
    let health = || {
        let status = pcm.status();
        let health = status
            .lpms
            .iter()
            .map(|lpm| (lpm.name.to_string(), lpm.health));
        (status.phase, health.collect::<Vec<_>>())
    };
    let lpms = |first| {
        let second = ("refuse".to_owned(), LpmHealth::NotInitialized);
        vec![("accept".to_owned(), first), second]
    };
    assert_eq!(health(), (Phase::Standby, lpms(LpmHealth::NotInitialized)));
    let handle = pcm.become_dsbm().unwrap().lpms[0].handle;
    assert_eq!(health(), (Phase::InCharge, lpms(LpmHealth::Serving)));
    let lpm = pcm.status().lpms.remove(0);
    assert!(lpm.source.to_string().ends_with("::Does)"));
    let initialized = lpm.initialized.unwrap();
    assert_eq!((initialized.handle, initialized.version), (handle, None));
    pcm.demote().unwrap();
    assert_eq!(health(), (Phase::Standby, lpms(LpmHealth::NotInitialized)));
    pcm.shutdown().unwrap();
    assert_eq!(pcm.status().phase, Phase::ShutDown);
    assert!(pcm.status().pinned.is_empty());
}

#[test]
fn an_lpm_that_is_gone_keeps_its_name_and_its_counts() {
    let pcm = Pcm::builder().lpm(config("reject")).build().unwrap();
    pcm.become_dsbm().unwrap();
    let by = admit(&pcm).flows()[0].by.unwrap();
    pcm.reconfigure([config("accept")]).unwrap();
    assert_eq!(pcm.lpm_name(by).as_deref(), Some("reject"));
    assert_eq!(counts(&pcm, "reject").requests, 1);
    let again = config("reject").result_time_limit(Duration::from_secs(7));
    pcm.reconfigure([again]).unwrap();
    let next = admit(&pcm).flows()[0].by.unwrap();
    assert_ne!(next, by);
    assert_eq!(pcm.lpm_name(next).as_deref(), Some("reject"));
    assert_eq!(numbers(&counts(&pcm, "reject"))[..3], [2, 0, 2]);
    let other = Pcm::builder().lpm(config("accept")).build().unwrap();
    assert_eq!(other.lpm_name(by), None, "of another PCM");
}
