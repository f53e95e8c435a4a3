//! An LPM's life: load, initialize, decide, deinitialize, unload.
#![forbid(unsafe_code)]

use std::fs;
use std::time::Duration;

use lpm_host::error::{PcmError, StartError};
use lpm_host::event::EventId;
use lpm_host::lpm_api::{Decision, LpmPolicyError, Priority};
use lpm_host::{LpmStatus, Outcome, Pcm, PinReason};
use lpm_tests::messages::{admit, admit_at, noon, path, path_tear};
use lpm_tests::platform::{assert_gone, gone, reasons_of_its_own, unmaps};
use lpm_tests::{RecordedEvents, fixture, fixture_copied, library};

#[test]
fn the_whole_road() {
    let dir = tempfile::tempdir().expect("a directory");
    let library = dir.path().join("libthe_whole_road.so");
    let events = RecordedEvents::default();
    let pcm = Pcm::builder()
        .lpm(fixture_copied("office-hours", &library).config("8-18"))
        .event_log(events.clone())
        .build()
        .expect("builds");
    assert_eq!(admit(&pcm, &path(4000)), Err(PcmError::NotDsbm));

    let startup = pcm.become_dsbm().expect("starts");
    let handle = startup.lpms[0].handle;
    let day = admit(&pcm, &path(4000)).expect("in charge");
    assert_eq!(day.outcome(), Outcome::Accept);
    assert_eq!(day.flows()[0].decision, Decision::Accept(Priority::MIN));
    assert_eq!(day.flows()[0].by, Some(handle));
    let night = admit_at(&pcm, &path(4000), noon() + Duration::from_secs(8 * 3600));
    let night = night.expect("in charge");
    assert_eq!(night.outcome(), Outcome::Reject);
    assert_eq!(
        night.flows()[0].decision,
        Decision::reject(LpmPolicyError::NoPrivileges)
    );
    #[cfg(target_os = "linux")]
    assert!(lpm_tests::mappings_of("libthe_whole_road") > 0);

    let teardown = pcm.demote().expect("in charge");
    assert_eq!(teardown.lpms.len(), 1);
    assert_eq!(
        (teardown.lpms[0].handle, teardown.lpms[0].status),
        (handle, LpmStatus::OK)
    );
    assert_eq!(teardown.libraries.len(), 1);
    assert_gone(&teardown.libraries[0].outcome);
    assert_eq!(teardown.libraries[0].library, library);
    #[cfg(target_os = "linux")]
    assert_eq!(lpm_tests::mappings_of("libthe_whole_road") == 0, unmaps());
    assert_eq!(admit(&pcm, &path(4000)), Err(PcmError::NotDsbm));

    let ids: Vec<EventId> = events.all().iter().map(|event| event.id).collect();
    let expected = [
        EventId::LpmInitialized,
        EventId::BecameDsbm,
        EventId::LpmDeinitialized,
        gone(),
        EventId::Demoted,
    ];
    assert_eq!(ids, expected);
}

#[test]
fn a_library_listed_three_times_is_initialized_and_deinitialized_three_times() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("calls");
    let config = file.to_str().expect("UTF-8");
    let lpm = |name: &str| {
        let library = library("records-its-life");
        lpm_host::LpmConfig::new(name, library).config(config)
    };
    let pcm = Pcm::builder()
        .lpm(lpm("a"))
        .lpm(lpm("b"))
        .lpm(lpm("c"))
        .build()
        .expect("builds");

    let startup = pcm.become_dsbm().expect("starts");
    let [a, b, c] = [0, 1, 2].map(|index| startup.lpms[index].handle);
    assert!(a < b && b < c, "handles are unique and never reused");
    assert_eq!(
        admit(&pcm, &path(1)).map(|verdict| verdict.outcome()),
        Ok(Outcome::Reject)
    );
    let torn_down = admit(&pcm, &path_tear(1)).expect("in charge");
    assert_eq!(torn_down.outcome(), Outcome::DontCare);
    let teardown = pcm.shutdown().expect("in charge");
    assert_eq!(
        teardown.libraries.len(),
        1,
        "one library, unloaded after the last handle"
    );

    let calls = fs::read_to_string(&file).expect("the calls");
    let refused = "delete_state(AdmissionControlFailed)";
    let expected = format!(
        "initialize {a}\ninitialize {b}\ninitialize {c}\n\
         admit {a}\nadmit {b}\nadmit {c}\n\
         {refused} {a}\n{refused} {b}\n{refused} {c}\n\
         delete_state(ReceivedPathTear) {a}\ndelete_state(ReceivedPathTear) {b}\n\
         delete_state(ReceivedPathTear) {c}\n\
         deinitialize(shutdown) {c}\ndeinitialize(shutdown) {b}\ndeinitialize(shutdown) {a}\n"
    );
    assert_eq!(calls, expected);
}

#[test]
fn handles_are_not_reused_by_the_next_start() {
    let pcm = Pcm::builder()
        .lpm(fixture("office-hours").config("0-24"))
        .build()
        .expect("builds");
    let first = pcm.become_dsbm().expect("starts").lpms[0].handle;
    pcm.demote().expect("in charge");
    let second = pcm.become_dsbm().expect("starts again").lpms[0].handle;
    assert!(second > first);
}

#[test]
fn dropping_the_pcm_shuts_it_down() {
    let events = RecordedEvents::default();
    let pcm = Pcm::builder()
        .lpm(fixture("office-hours").config("0-24"))
        .event_log(events.clone())
        .build()
        .expect("builds");
    pcm.become_dsbm().expect("starts");
    drop(pcm);
    assert_eq!(events.of(EventId::LpmDeinitialized).len(), 1);
    assert_eq!(events.of(gone()).len(), 1);
    assert_eq!(events.of(EventId::ShutDown).len(), 1);
}

#[test]
fn calls_out_of_turn_are_refused() {
    let pcm = Pcm::builder()
        .lpm(fixture("office-hours").config("0-24"))
        .build()
        .expect("builds");
    assert_eq!(pcm.demote().err(), Some(PcmError::NotDsbm));
    pcm.become_dsbm().expect("starts");
    let again = pcm.become_dsbm().expect_err("started already");
    assert!(
        matches!(again, StartError::Pcm(PcmError::AlreadyDsbm)),
        "{again}"
    );
    pcm.shutdown().expect("in charge");
    assert_eq!(pcm.shutdown().err(), Some(PcmError::ShutDown));
    assert_eq!(pcm.demote().err(), Some(PcmError::ShutDown));
    let after = pcm.become_dsbm().expect_err("shut down");
    assert!(
        matches!(after, StartError::Pcm(PcmError::ShutDown)),
        "{after}"
    );
}

#[test]
fn a_panic_rejects_and_is_recorded_and_the_library_still_unloads() {
    let events = RecordedEvents::default();
    let pcm = Pcm::builder()
        .lpm(fixture("panics-in-admit"))
        .lpm(fixture("office-hours").config("0-24"))
        .event_log(events.clone())
        .build()
        .expect("builds");
    let startup = pcm.become_dsbm().expect("starts");
    let verdict = admit(&pcm, &path(4000)).expect("in charge");
    assert_eq!(
        verdict.flows()[0].decision,
        Decision::reject(LpmPolicyError::NoResources)
    );
    assert_eq!(verdict.flows()[0].by, Some(startup.lpms[0].handle));

    let panicked = events.of(EventId::LpmPanicked);
    assert_eq!(panicked.len(), 1);
    assert!(
        panicked[0].detail.contains("asked about 1 flows"),
        "{}",
        panicked[0].detail
    );
    assert!(
        panicked[0].detail.contains("examples/panics-in-admit.rs:"),
        "{}",
        panicked[0].detail
    );
    let failed = events.of(EventId::LpmCallFailed);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].status, Some(LpmStatus::PANICKED));
    assert_eq!(failed[0].lpm.as_deref(), Some("panics-in-admit"));

    let teardown = pcm.demote().expect("in charge");
    for library in teardown.libraries {
        assert_gone(&library.outcome);
    }
}

#[test]
fn a_status_from_deinitialize_is_recorded_with_the_librarys_name() {
    let events = RecordedEvents::default();
    let lpm = fixture("fails-to-deinitialize");
    let pcm = Pcm::builder()
        .lpm(lpm)
        .event_log(events.clone())
        .build()
        .expect("builds");
    pcm.become_dsbm().expect("starts");
    let teardown = pcm.demote().expect("in charge");
    assert_eq!(teardown.lpms[0].status, LpmStatus(77));
    assert_gone(&teardown.libraries[0].outcome);

    let failed = events.of(EventId::LpmDeinitializeFailed);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].status, Some(LpmStatus(77)));
    assert_eq!(
        failed[0].library,
        Some(lpm_fixtures::library("fails-to-deinitialize"))
    );
    assert_eq!(failed[0].detail, "the directory did not confirm the unbind");
}

#[test]
fn a_deinitialize_that_does_not_return_is_given_up_on_and_its_library_stays() {
    let events = RecordedEvents::default();
    let limit = Duration::from_millis(50);
    let pcm = Pcm::builder()
        .lpm(fixture("hangs-in-deinitialize").deinitialize_limit(limit))
        .lpm(fixture("office-hours").config("0-24"))
        .event_log(events.clone())
        .build()
        .expect("builds");
    pcm.become_dsbm().expect("starts");
    let teardown = pcm.demote().expect("in charge");

    let statuses: Vec<_> = teardown
        .lpms
        .iter()
        .map(|lpm| (&*lpm.name, lpm.status))
        .collect();
    let expected = [
        ("office-hours", LpmStatus::OK),
        ("hangs-in-deinitialize", LpmStatus::DEADLINE),
    ];
    assert_eq!(statuses, expected);
    let outcomes: Vec<_> = teardown
        .libraries
        .iter()
        .map(|library| reasons_of_its_own(&library.outcome))
        .collect();
    let overdue = PinReason::DeinitializeOverdue { limit };
    assert_eq!(outcomes, [vec![], vec![overdue]]);
    let pinned = if unmaps() { 1 } else { 2 };
    assert_eq!(events.of(EventId::LibraryPinned).len(), pinned);
}
