//! State handed over from an LPM to the one in its place.
#![forbid(unsafe_code)]

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use lpm_host::event::EventId;
use lpm_host::{CallMode, DeleteReason, LpmConfig, Pcm, StateGone};
use lpm_tests::handing_over::{accepted, counts, only, started};
use lpm_tests::messages::{commit_resv, path, rsvp_objects, with_received};
use lpm_tests::platform::assert_gone;
use lpm_tests::{fixture_copied, here, library, trusted};

/// The LPM that hands over its counts.
fn lpm(config: &str) -> LpmConfig {
    here(LpmConfig::new("lpm", library("hands-over")).config(config))
}

fn forget(pcm: &Pcm) {
    with_received(&path(4000), |received| {
        pcm.delete_state(&StateGone {
            reason: DeleteReason::StateTimeout,
            message: received.message,
            flow: None,
            interface: None,
        })
        .expect("in charge");
    });
}

#[test]
fn what_an_lpm_knows_outlives_a_change_of_its_configuration() {
    let (pcm, events) = started(lpm(""));
    for _ in 0..3 {
        accepted(&pcm);
    }
    let done = pcm.reconfigure([lpm(" ")]).expect("another list");
    assert_eq!(counts(&pcm), [3, 0, 0, 0]);
    let event = only(&events, EventId::LpmTookOver);
    let old = done.stopped.lpms[0].handle;
    assert_eq!(event.handle, Some(done.started.lpms[0].handle));
    let expected =
        format!("took over 7 bytes of state (format 1) from its predecessor, handle {old}, in ");
    assert!(event.detail.starts_with(&expected), "{}", event.detail);
    // It is initialized before, and the old one deinitialized after.
    let order: Vec<_> = events.all().iter().map(|event| event.id).collect();
    let place = |id| {
        order
            .iter()
            .rposition(|other| *other == id)
            .expect("it is there")
    };
    assert!(place(EventId::LpmInitialized) < place(EventId::LpmTookOver));
    assert!(place(EventId::LpmTookOver) < place(EventId::LpmDeinitialized));
    accepted(&pcm);
    assert_eq!(counts(&pcm)[0], 4);
}

#[test]
fn what_an_lpm_knows_outlives_its_library() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("libhanded-over.so");
    let lpm = || here(LpmConfig::new("lpm", trusted(&file)).call_mode(CallMode::worker()));
    drop(fixture_copied("hands-over", &file));
    let (pcm, _) = started(lpm());
    accepted(&pcm);
    // A new build of it.
    let mut contents = fs::read(&file).expect("read");
    contents.extend(b"another build");
    fs::remove_file(&file).expect("gone");
    fs::write(&file, contents).expect("written");
    let done = pcm.reconfigure([lpm()]).expect("the new build");
    assert_gone(&done.stopped.libraries[0].outcome);
    accepted(&pcm);
    assert_eq!(counts(&pcm)[0], 2);
}

#[test]
fn what_there_is_not_is_no_event() {
    let (pcm, events) = started(lpm("hand_over nothing"));
    accepted(&pcm);
    pcm.reconfigure([lpm("")]).expect("another list");
    assert_eq!(counts(&pcm)[0], 0);
    let another = LpmConfig::new("another", library("hands-over"));
    pcm.reconfigure([another]).expect("an LPM of another name");
    for id in [EventId::LpmTookOver, EventId::LpmTakeOverFailed] {
        assert_eq!(events.of(id), []);
    }
}

/// Nothing that is to be told falls between the two, and nothing is told twice.
#[test]
fn every_call_is_counted_once_whoever_it_is_for() {
    let (pcm, events) = started(lpm(""));
    let is_over = AtomicBool::new(false);
    let made: [AtomicU64; 4] = Default::default();
    thread::scope(|scope| {
        for first in 0..3 {
            let (pcm, made, is_over) = (&pcm, &made, &is_over);
            scope.spawn(move || {
                for number in first.. {
                    match number % 4 {
                        0 => accepted(pcm),
                        1 => drop(rsvp_objects(pcm, &path(4000), 100).expect("in charge")),
                        2 => commit_resv(pcm).expect("in charge"),
                        _ => forget(pcm),
                    }
                    made[number % 4].fetch_add(1, Relaxed);
                    if is_over.load(Relaxed) {
                        break;
                    }
                }
            });
        }
        for number in 1..40 {
            let list = [lpm(&" ".repeat(number))];
            pcm.reconfigure(list).expect("another list");
        }
        is_over.store(true, Relaxed);
    });
    let made: Vec<_> = made.iter().map(|count| count.load(Relaxed)).collect();
    assert_eq!(counts(&pcm), made);
    assert!(made.iter().all(|count| *count > 0), "{made:?}");
    assert_eq!(events.of(EventId::LpmTookOver).len(), 39);
    assert_eq!(events.of(EventId::LpmTakeOverFailed), []);
}

/// An LPM without the extension, which each in C is, in place of one with it, and the reverse.
#[cfg(any(target_os = "linux", windows))]
#[test]
fn an_lpm_that_knows_nothing_of_it_starts_with_nothing() {
    use lpm_tests::in_c::InC;

    if !InC::are_there() {
        return;
    }
    let in_c = InC::new("accepts");
    let (pcm, events) = started(lpm(""));
    accepted(&pcm);
    pcm.reconfigure([in_c.named("lpm")]).expect("one in C");
    let event = only(&events, EventId::LpmTakeOverFailed);
    let expected = "starts with nothing: state of 7 bytes was not taken over: it does not take over state at \
                    all: it was built against an older lpm-api, or is in C";
    assert_eq!(event.detail, expected);
    accepted(&pcm);
    pcm.reconfigure([lpm("")]).expect("the first again");
    assert_eq!(counts(&pcm), [0, 0, 0, 0]);
    accepted(&pcm);
    let _ = only(&events, EventId::LpmTakeOverFailed);
    assert_eq!(events.of(EventId::LpmTookOver), []);
}
