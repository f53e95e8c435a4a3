//! An LPM from which a call does not return: on the caller's thread it holds that one caller, on a
//! thread of its own none for longer than the limit, and lifecycle calls end at their deadline. All
//! else goes on.
#![forbid(unsafe_code)]

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lpm_host::error::StartError;
use lpm_host::event::EventId;
use lpm_host::lpm_api::{Decision, LpmPolicyError};
use lpm_host::status::LpmHealth;
use lpm_host::{AddressRow, CallMode, LpmConfig, LpmStatus, Outcome, Pcm, PinReason};
use lpm_tests::messages::{admit, commit_resv, path, path_tear, rsvp_objects};
use lpm_tests::platform::{assert_gone, gone};
use lpm_tests::watched::Watched;
use lpm_tests::{RecordedEvents, fixture};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_millis(50);

/// The fixture, and what tells it to go on.
struct Hang {
    folder: TempDir,
    lpm: LpmConfig,
}

impl Hang {
    fn in_method(method: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let [inside, go_on] = ["inside", "go-on"].map(|file| folder.path().join(file));
        let config = format!("{method}\n{}\n{}", inside.display(), go_on.display());
        let lpm = fixture("hangs").config(config).result_time_limit(LIMIT);
        Self { folder, lpm }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn wait_until_inside(&self) {
        while !self.file("inside").exists() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn go_on(&self) {
        File::create(self.file("go-on")).expect("a file");
    }
}

/// Makes a call in which the LPM hangs.
fn call(pcm: &Pcm, method: &str) {
    match method {
        "admit" => drop(admit(pcm, &path(4000)).expect("in charge")),
        "rsvp_objects" => drop(rsvp_objects(pcm, &path(4000), 100).expect("in charge")),
        "commit_resv" => commit_resv(pcm).expect("in charge"),
        "delete_state" => drop(admit(pcm, &path_tear(4000)).expect("in charge")),
        "statistics" => drop(pcm.statistics().expect("in charge")),
        other => panic!("{other}"),
    }
}

const CALLS: [&str; 5] = [
    "admit",
    "rsvp_objects",
    "commit_resv",
    "delete_state",
    "statistics",
];

#[test]
fn inline_holds_one_caller_and_is_in_quarantine() {
    for method in CALLS {
        let hang = Hang::in_method(method);
        let watched = Watched::start(hang.lpm.clone());
        let pcm = Arc::clone(&watched.pcm);
        let held = thread::spawn(move || call(&pcm, method));
        hang.wait_until_inside();

        // Seen once, and then again when it has lasted too long.
        watched.advance(Duration::from_millis(1));
        assert_eq!(watched.about(EventId::LpmQuarantined), []);
        watched.advance(LIMIT);
        let quarantined = watched.only(EventId::LpmQuarantined, LpmStatus::QUARANTINED);
        assert_eq!(quarantined.handle, Some(watched.lpm));
        watched.advance(LIMIT);

        let verdict = watched.admit();
        let failed = Decision::reject(LpmPolicyError::NoResources);
        assert_eq!(verdict.flows()[0].decision, failed);
        assert_eq!(verdict.flows()[0].by, Some(watched.lpm));
        assert_eq!(watched.calls("admit"), 1);
        commit_resv(&watched.pcm).expect("in charge");
        assert_eq!(watched.calls("commit_resv"), 1);
        let statistics = watched.pcm.statistics().expect("in charge");
        assert_eq!(statistics[0].counters, None);
        assert!(!held.is_finished());
        let health = || watched.pcm.status().lpms[0].health;
        assert_eq!(health(), LpmHealth::Quarantined);

        hang.go_on();
        held.join().expect("no panic");
        if let "admit" | "rsvp_objects" = method {
            // What it said in the end came too late.
            let _ = watched.only(EventId::LpmTimedOut, LpmStatus::TIME_OUT);
        }
        watched.advance(Duration::from_millis(1));
        let released = watched.about(EventId::LpmReleased);
        assert_eq!(released.len(), 1, "{method}");
        assert_eq!(health(), LpmHealth::Serving);
        assert_eq!(watched.admit().outcome(), Outcome::Accept);
        assert_eq!(watched.about(EventId::LpmQuarantined).len(), 1);
        assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    }
}

#[test]
fn on_a_thread_of_its_own_it_holds_no_caller() {
    for method in CALLS {
        let hang = Hang::in_method(method);
        let watched = Watched::start(hang.lpm.clone().call_mode(CallMode::worker()));
        let pcm = Arc::clone(&watched.pcm);
        let caller = thread::spawn(move || call(&pcm, method));
        hang.wait_until_inside();
        watched.advance(Duration::from_millis(1));
        watched.advance(LIMIT);
        // Without the LPM having gone on.
        caller.join().expect("no panic");

        let failed = match method {
            "admit" | "rsvp_objects" => watched.only(EventId::LpmTimedOut, LpmStatus::TIME_OUT),
            _ => watched.only(EventId::LpmCallFailed, LpmStatus::DEADLINE),
        };
        assert_eq!(failed.handle, Some(watched.lpm));
        let _ = watched.only(EventId::LpmQuarantined, LpmStatus::QUARANTINED);
        let verdict = watched.admit();
        assert_eq!(verdict.flows()[0].by, Some(watched.lpm));
        assert!(watched.calls("admit") >= 1);

        hang.go_on();
        while watched.about(EventId::LpmReleased).is_empty() {
            watched.advance(Duration::from_millis(1));
            thread::yield_now();
        }
        if let "admit" | "rsvp_objects" = method {
            // What it said in the end came too late.
            let _ = watched.only(EventId::LpmResultRefused, LpmStatus::TIME_OUT);
        }
        assert_eq!(watched.about(EventId::LpmReleased).len(), 1);
        assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    }
}

#[test]
fn initialize_and_pe_type_end_at_the_deadline() {
    for method in ["initialize", "pe_type"] {
        let hang = Hang::in_method(method);
        let events = RecordedEvents::default();
        let limit = Duration::from_millis(200);
        let pcm = Pcm::builder()
            .lpm(fixture("counts"))
            .lpm(hang.lpm.clone().initialize_limit(limit))
            .event_log(events.clone());
        let pcm = pcm.build().expect("builds");
        let failed = pcm.become_dsbm().expect_err("no answer");
        assert!(matches!(failed, StartError::Lpms { .. }), "{failed}");
        let failed = events.of(EventId::LpmInitializeFailed);
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].status, Some(LpmStatus::DEADLINE));
        assert_eq!(failed[0].lpm.as_deref(), Some("hangs"));
        let mut pinned = events.of(EventId::LibraryPinned);
        let stays = PinReason::InitializeOverdue { limit }.to_string();
        pinned.retain(|event| event.detail.contains(&stays));
        assert_eq!(pinned.len(), 1);
        let mut gone = events.of(gone());
        gone.retain(|event| !event.detail.contains(&stays));
        assert_eq!(gone.len(), 1);
        hang.go_on();
    }
}

#[test]
fn ip_address_table_ends_at_the_limit() {
    let hang = Hang::in_method("ip_address_table");
    let watched = Watched::start_while(hang.lpm.clone(), |clock| {
        hang.wait_until_inside();
        clock.advance(LIMIT);
    });
    let _ = watched.only(EventId::LpmAddressTableRefused, LpmStatus::DEADLINE);
    assert_eq!(watched.calls("ip_address_table"), 1);
    hang.go_on();
    // The one that hung may be told before the first call has returned; it takes the table at last.
    let rows: &[AddressRow] = &[];
    watched.pcm.set_ip_address_table(rows);
    assert_eq!(watched.calls("ip_address_table"), 2);
    assert_eq!(watched.admit().outcome(), Outcome::Accept);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

#[test]
fn deinitialize_and_drop_end_at_the_deadline() {
    for method in ["deinitialize", "drop"] {
        let hang = Hang::in_method(method);
        let limit = Duration::from_millis(100);
        let watched = Watched::start(hang.lpm.clone().deinitialize_limit(limit));
        assert_eq!(watched.admit().outcome(), Outcome::Accept);
        let overdue = PinReason::DeinitializeOverdue { limit };
        assert_eq!(watched.end(), (LpmStatus::DEADLINE, vec![overdue]));
        let _ = watched.only(EventId::LpmDeinitializeFailed, LpmStatus::DEADLINE);
        hang.go_on();
    }
}

/// The library of an LPM whose initialization hangs, and of another that works.
#[test]
fn a_library_that_hangs_for_one_of_its_lpms_stays() {
    let hang = Hang::in_method("initialize");
    let healthy = Hang::in_method("nothing");
    let events = RecordedEvents::default();
    let limit = Duration::from_millis(100);
    let library = hang.lpm.source().clone();
    let second = LpmConfig::new("second", library)
        .config(format!(
            "initialize\n{}\n{}",
            hang.file("inside").display(),
            hang.file("go-on").display()
        ))
        .initialize_limit(limit)
        .optional(true);
    let pcm = Pcm::builder()
        .lpm(healthy.lpm.clone())
        .lpm(second)
        .event_log(events.clone());
    let pcm = pcm.build().expect("builds");
    assert_eq!(pcm.become_dsbm().expect("starts").failed.len(), 1);
    admit(&pcm, &path(4000)).expect("in charge");
    let teardown = pcm.demote().expect("in charge");
    assert_eq!(teardown.lpms[0].status, LpmStatus::OK);
    let outcome = &teardown.libraries[0].outcome;
    assert!(
        matches!(outcome, lpm_host::UnloadOutcome::Pinned { .. }),
        "{outcome}"
    );
    // Once for the LPM that did not come up, once for the library that its thread is in.
    let pinned = pcm.status().pinned;
    assert_eq!(pinned.len(), 2);
    assert!(
        pinned
            .iter()
            .all(|library| library.library == *teardown.libraries[0].library)
    );
    hang.go_on();
}

/// LPMs that do not depend on each other are deinitialized at the same time: each of these waits
/// for the other.
#[test]
fn two_that_wait_for_each_other_are_deinitialized() {
    let folder = tempfile::tempdir().expect("a folder");
    let [a, b] = ["a", "b"].map(|file| folder.path().join(file).display().to_string());
    let library = || fixture("hangs").source().clone();
    let lpm = |name: &str, inside: &str, other: &str| {
        LpmConfig::new(name, library())
            .config(format!("deinitialize\n{inside}\n{other}"))
            .after(["base"])
    };
    let pcm = Pcm::builder()
        .lpm(fixture("counts").after::<&str>([]))
        .lpm(LpmConfig::new("base", fixture("counts").source().clone()))
        .lpm(lpm("a", &a, &b))
        .lpm(lpm("b", &b, &a));
    let pcm = pcm.build().expect("builds");
    pcm.become_dsbm().expect("starts");
    let teardown = pcm.demote().expect("in charge");
    let names: Vec<_> = teardown.lpms.iter().map(|lpm| &*lpm.name).collect();
    assert!(teardown.lpms.iter().all(|lpm| lpm.status == LpmStatus::OK));
    assert_eq!(names[2..], ["base", "counts"]);
    for library in teardown.libraries {
        assert_gone(&library.outcome);
    }
}
