//! LPMs that fail over the state that is handed over.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use lpm_host::event::EventId;
use lpm_host::{LpmConfig, Pcm, Reconfiguration};
use lpm_tests::handing_over::{accepted, counts, only, started};
use lpm_tests::platform::assert_gone;
use lpm_tests::{RecordedEvents, here, library, runner};

/// The LPM that hands over its counts.
fn lpm(config: &str) -> LpmConfig {
    here(LpmConfig::new("lpm", library("hands-over")).config(config))
}

/// Whatever goes wrong, the new LPM starts with nothing, an event says why, and both libraries can
/// be unloaded.
#[test]
fn what_goes_wrong_leaves_the_new_lpm_with_nothing() {
    for (old, new, expected, anew) in [
        (
            "hand_over panics",
            "",
            "starts with nothing: hand_over of its predecessor failed: panicked in hand_over",
            false,
        ),
        (
            "hand_over too much",
            "",
            "starts with nothing: hand_over of its predecessor failed: hands over 268435457 bytes, of which \
             the PCM takes 268435456",
            false,
        ),
        (
            "hand_over another format",
            "",
            "starts with nothing: state of 7 bytes was not taken over: state of format 7, which this LPM does \
             not read",
            false,
        ),
        (
            "hand_over nonsense",
            "",
            "starts with nothing: state of 100 bytes was not taken over: no text",
            false,
        ),
        (
            "",
            "take_over refuses",
            "starts with nothing: state of 7 bytes was not taken over: not today",
            false,
        ),
        (
            "",
            "take_over panics",
            "starts with nothing: state of 7 bytes was not taken over: panicked in take_over",
            true,
        ),
    ] {
        let (pcm, events) = started(lpm(old));
        accepted(&pcm);
        let new = match new {
            "" => lpm(" "),
            new => lpm(new),
        };
        let done = pcm.reconfigure([new]).expect("another list");
        let event = only(&events, EventId::LpmTakeOverFailed);
        assert!(event.detail.starts_with(expected), "{}", event.detail);
        assert_eq!(events.of(EventId::LpmTookOver), []);
        assert_eq!(counts(&pcm), [0, 0, 0, 0], "{expected}");
        assert_eq!(
            events.of(EventId::LpmReinitialized).len(),
            usize::from(anew)
        );
        assert_eq!(done.stopped.lpms.len(), 1 + usize::from(anew));
        let started = done.started.lpms[0].handle;
        assert_eq!(event.handle != Some(started), anew, "which of them runs");
        accepted(&pcm);
        assert_gone(&pcm.demote().expect("in charge").libraries[0].outcome);
    }
}

/// Has an LPM hang until this file is there.
fn hangs(function: &str, until: &Path) -> LpmConfig {
    patient(lpm(&format!("{function} hangs {}", until.display())))
}

/// An LPM whose hand-over has so long.
fn patient(lpm: LpmConfig) -> LpmConfig {
    lpm.deinitialize_limit(Duration::from_secs(2))
}

fn late(old: LpmConfig, new: LpmConfig, until: &Path) -> (Pcm, RecordedEvents, Reconfiguration) {
    let (pcm, events) = started(old);
    accepted(&pcm);
    let done = pcm.reconfigure([new]).expect("another list");
    assert_eq!(counts(&pcm), [0, 0, 0, 0]);
    accepted(&pcm);
    fs::write(until, "").expect("written");
    (pcm, events, done)
}

#[test]
fn an_lpm_that_does_not_let_go_of_its_state_is_left_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let until = folder.path().join("over");
    let new = lpm(" ");
    let (pcm, events, done) = late(hangs("hand_over", &until), new, &until);
    let event = only(&events, EventId::LpmTakeOverFailed);
    let expected = "starts with nothing: hand_over of its predecessor did not return within 2s";
    assert_eq!(event.detail, expected);
    let detail = done.stopped.lpms[0].detail.as_deref();
    let expected = "not deinitialized: hand_over did not return within 2s";
    assert_eq!(detail, Some(expected));
    // The library stays, for the sake of that call.
    let teardown = pcm.demote().expect("in charge");
    assert_ne!(teardown.libraries.len(), 0);
}

#[test]
fn an_lpm_that_does_not_get_through_is_initialized_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let until = folder.path().join("over");
    // Given the time that it takes, it would come back; nobody waits for it but to unload the
    // library.
    let new = hangs("take_over", &until);
    let events = RecordedEvents::default();
    let pcm = Pcm::builder()
        .lpm(patient(lpm("")))
        .drain_limit(Duration::from_millis(100))
        .runner(runner())
        .event_log(events.clone());
    let pcm = pcm.build().expect("builds");
    pcm.become_dsbm().expect("starts");
    accepted(&pcm);
    let done = pcm.reconfigure([new]).expect("another list");
    let event = only(&events, EventId::LpmTakeOverFailed);
    let expected = "starts with nothing: take_over did not return within 2s";
    assert_eq!(event.detail, expected);
    assert_eq!(events.of(EventId::LpmReinitialized).len(), 1);
    assert_ne!(event.handle, Some(done.started.lpms[0].handle));
    assert_eq!(counts(&pcm), [0, 0, 0, 0]);
    accepted(&pcm);
    fs::write(until, "").expect("written");
    pcm.demote().expect("in charge");
}
