//! LPMs in C on Windows, as the DLLs that they are: built by a compiler for Windows, loaded, asked,
//! deinitialized and unloaded, in this process and in one of their own.
//!
//! There is no compiler inside wine, so that `.ci/windows` builds them before, into the folder that
//! `LPM_IN_C` names.
#![forbid(unsafe_code)]
#![cfg(windows)]

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use lpm_host::event::EventId;
use lpm_host::lpm_api::lpm_rsvp::build::{self, PathTear};
use lpm_host::lpm_api::lpm_rsvp::{FilterSpec, RsvpHop, Session, TimeValues, Tspec};
use lpm_host::{Decision, Isolation, LpmConfig, LpmStatus, Outcome, OutgoingVerdict, Pcm};
use lpm_tests::messages::{admit, commit_resv, path, resv, rsvp_objects, with_received};
use lpm_tests::platform::assert_gone;
use lpm_tests::{RecordedEvents, runner, trusted};

/// The DLL of this name in each way that it can run; without the folder there is none.
fn in_c(name: &str) -> Vec<LpmConfig> {
    let Some(folder) = std::env::var_os("LPM_IN_C") else {
        eprintln!("not checked: LPM_IN_C does not say where the DLLs are");
        return Vec::new();
    };
    let library = PathBuf::from(folder).join(name).with_extension("dll");
    let lpm = LpmConfig::new(name, trusted(library));
    vec![lpm.clone(), lpm.isolation(Isolation::Process)]
}

fn started(lpm: LpmConfig) -> (Pcm, RecordedEvents) {
    let events = RecordedEvents::default();
    let pcm = Pcm::builder().lpm(lpm).event_log(events.clone());
    let pcm = pcm.runner(runner()).build().expect("builds");
    pcm.become_dsbm().expect("starts");
    (pcm, events)
}

fn end(pcm: &Pcm) {
    let teardown = pcm.demote().expect("in charge");
    assert_eq!(teardown.lpms[0].status, LpmStatus::OK);
    assert_gone(&teardown.libraries[0].outcome);
}

#[test]
fn all_functions_are_called() {
    for lpm in in_c("accepts") {
        let (pcm, events) = started(lpm);
        for _ in 0..2 {
            for message in [path(4000), resv()] {
                let verdict = admit(&pcm, &message).expect("in charge");
                assert_eq!(verdict.outcome(), Outcome::Accept);
            }
            commit_resv(&pcm).expect("in charge");
            let objects = rsvp_objects(&pcm, &path(4000), 100).expect("in charge");
            assert!(matches!(objects, OutgoingVerdict::Send(_)), "{objects:?}");
        }
        let tear = PathTear::new(session(), HOP, sender(0, 0));
        admit(&pcm, &tear.build().expect("a legal message")).expect("in charge");
        end(&pcm);
        // And once more.
        pcm.become_dsbm().expect("starts again");
        end(&pcm);
        assert_eq!(events.of(EventId::LpmCallFailed), []);
    }
}

const HOP: RsvpHop = RsvpHop {
    address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254)),
    logical_interface: 0,
};

fn session() -> Session {
    Session::new(Ipv4Addr::new(192, 0, 2, 80), 17, 5004).expect("a legal session")
}

fn sender(order: u8, name: u8) -> FilterSpec {
    FilterSpec::new(Ipv4Addr::new(10, 99, order, name), 4000)
}

/// An order to the twin.
fn order(order: u8, name: u8) -> Vec<u8> {
    let tspec = Tspec {
        rate: 125_000.0,
        bucket: 3_000.0,
        peak_rate: f32::INFINITY,
        min_policed: 64,
        max_packet: 1_500,
    };
    let path = build::Path::new(
        session(),
        HOP,
        TimeValues::DEFAULT,
        sender(order, name),
        tspec,
    );
    path.build().expect("a legal message")
}

#[test]
fn decisions_results_that_come_later_and_objects() {
    for lpm in in_c("twin") {
        let (pcm, _) = started(lpm);
        let decided = |message: &[u8]| {
            let verdict = admit(&pcm, message).expect("in charge");
            verdict.flows()[0].decision
        };
        assert_eq!(decided(&order(0, 4)).lpv(), 5);
        let Decision::Reject(reason) = decided(&order(1, 51)) else {
            panic!("it rejects");
        };
        assert_eq!((reason.code(), reason.value()), (2, 52));
        let later = with_received(&order(3, 9), |received| pcm.admit_later(received));
        let later = later.expect("in charge");
        assert!(!later.is_decided());
        let Decision::Reject(reason) = decided(&order(4, 9)) else {
            panic!("it says what the callback returned");
        };
        assert_eq!(reason.value(), 1, "LPM_OK, plus one");
        assert_eq!(later.wait().flows()[0].decision.lpv(), 7);
        let objects = rsvp_objects(&pcm, &order(0, 0), 100).expect("in charge");
        let OutgoingVerdict::Send(objects) = objects else {
            panic!("{objects:?}");
        };
        let policy_data = [0, 16, 14, 1, 0, 8, 0, 0, 0, 8, 0, 2, 0, 0, 0, 0];
        assert_eq!(objects.policy_data, policy_data);
        let dropped = rsvp_objects(&pcm, &order(1, 0), 100).expect("in charge");
        assert!(matches!(dropped, OutgoingVerdict::Drop { .. }));
        end(&pcm);
    }
}

#[test]
fn one_that_writes_beyond_what_it_was_given_is_put_away() {
    for lpm in in_c("oversteps") {
        let (pcm, events) = started(lpm);
        for _ in 0..2 {
            let verdict = admit(&pcm, &path(4000)).expect("in charge");
            assert_eq!(verdict.outcome(), Outcome::Reject);
        }
        assert_eq!(events.of(EventId::LpmOverstepped).len(), 1);
        end(&pcm);
    }
}

#[test]
fn one_that_lacks_a_function_is_not_loaded() {
    for lpm in in_c("lacks") {
        let events = RecordedEvents::default();
        let pcm = Pcm::builder().lpm(lpm).event_log(events.clone());
        let pcm = pcm.runner(runner()).build().expect("builds");
        pcm.become_dsbm().expect_err("it lacks two");
        let event = &events.of(EventId::LpmLoadFailed)[0];
        assert!(event.detail.contains("LPM_CommitResv"), "{}", event.detail);
    }
}
