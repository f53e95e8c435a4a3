//! PE types, errors that LPMs return, and the objects that they supply for outgoing messages.
#![forbid(unsafe_code)]

use std::time::Duration;

use lpm_host::error::StartError;
use lpm_host::event::EventId;
use lpm_host::lpm_api::{Decision, Priority};
use lpm_host::{
    LpmConfig, LpmStatus, ManualClock, Outcome, OutgoingVerdict, Pcm, PeType, SuppliedObjects,
};
use lpm_tests::messages::{admit, path, rsvp_objects};
use lpm_tests::platform::{assert_gone, gone};
use lpm_tests::watched::Watched;
use lpm_tests::{RecordedEvents, fixture, library};

const ROOM: u32 = 100;

fn supplies(name: &str, config: &str) -> LpmConfig {
    LpmConfig::new(name, library("supplies")).config(config)
}

fn objects(pcm: &Pcm) -> SuppliedObjects {
    match rsvp_objects(pcm, &path(4000), ROOM).expect("in charge") {
        OutgoingVerdict::Send(objects) => objects,
        other => panic!("{other:?}"),
    }
}

/// As the fixture makes it: 4 bytes of policy data of this type.
fn policy_data(p_type: u8) -> Vec<u8> {
    let header = [0, 16, 14, 1, 0, 8, 0, 0, 0, 8, 0, p_type];
    [&header[..], &[0xA5; 4]].concat()
}

#[test]
fn two_lpms_of_one_pe_type() {
    let events = RecordedEvents::default();
    let pcm = Pcm::builder()
        .lpm(supplies("a", "3 own"))
        .lpm(supplies("b", "2 own"))
        .lpm(supplies("c", "3 own"))
        .lpm(supplies("all", "0 own"))
        .lpm(supplies("all again", "0"))
        .event_log(events.clone());
    let pcm = pcm.build().expect("builds");
    let lpms = pcm.become_dsbm().expect("starts").lpms;
    assert_eq!(lpms[0].pe_type, PeType::AUTH_APP);
    let shared = events.of(EventId::LpmPeTypeShared);
    assert_eq!(shared.len(), 1);
    assert_eq!(shared[0].lpm.as_deref(), Some("c"));
    assert!(shared[0].detail.contains("`a`"), "{shared:?}");
    assert!(shared[0].detail.contains("same source"), "{shared:?}");
    let expected = [3, 2, 3, 0].map(policy_data).concat();
    assert_eq!(objects(&pcm).policy_data, expected);
}

#[test]
fn a_pe_type_that_is_none() {
    let events = RecordedEvents::default();
    let pcm = Pcm::builder()
        .lpm(fixture("counts"))
        .lpm(fixture("speaks-nonsense").config("PE type"))
        .event_log(events.clone());
    let pcm = pcm.build().expect("builds");
    let error = pcm.become_dsbm().expect_err("no PE type");
    assert!(matches!(error, StartError::Lpms { .. }), "{error}");
    let failed = events.of(EventId::LpmInitializeFailed);
    assert_eq!(failed.len(), 1);
    assert!(failed[0].detail.contains("70000"), "{failed:?}");
    assert_eq!(failed[0].lpm.as_deref(), Some("speaks-nonsense"));
    assert_eq!(events.of(gone()).len(), 2);
}

#[test]
fn an_error_from_initialize() {
    for optional in [false, true] {
        let events = RecordedEvents::default();
        let pcm = Pcm::builder()
            .lpm(fixture("errs").config("initialize").optional(optional))
            .lpm(fixture("counts"))
            .event_log(events.clone());
        let pcm = pcm.build().expect("builds");
        match (optional, pcm.become_dsbm()) {
            (false, Err(error)) => {
                assert!(error.to_string().contains("is it running?"), "{error}");
            }
            (true, Ok(startup)) => {
                assert_eq!(startup.failed.len(), 1);
                let verdict = admit(&pcm, &path(4000)).expect("in charge");
                assert_eq!(verdict.outcome(), Outcome::Accept);
                pcm.demote().expect("in charge");
            }
            (_, other) => panic!("{other:?}"),
        }
        let failed = events.of(EventId::LpmInitializeFailed);
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].status, Some(LpmStatus(77)));
        assert_eq!(failed[0].lpm.as_deref(), Some("errs"));
        assert_eq!(events.of(gone()).len(), 2);
    }
}

#[test]
fn an_error_from_deinitialize_or_the_address_table() {
    let watched = Watched::start(fixture("errs").config("deinitialize"));
    assert_eq!(watched.admit().outcome(), Outcome::Accept);
    assert_eq!(watched.end(), (LpmStatus(77), vec![]));
    let failed = watched.only(EventId::LpmDeinitializeFailed, LpmStatus(77));
    assert!(failed.detail.contains("is it running?"), "{failed:?}");

    let watched = Watched::start(fixture("errs").config("ip_address_table"));
    let _ = watched.only(EventId::LpmAddressTableRefused, LpmStatus::REFUSED);
    assert_eq!(watched.admit().outcome(), Outcome::Accept);
    assert_eq!(watched.calls("ip_address_table"), 1);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

#[test]
fn objects_that_are_taken() {
    for way in ["own", "later"] {
        let watched = Watched::start(supplies("supplies", &format!("3 {way}")));
        let objects = objects(&watched.pcm);
        assert_eq!(objects.policy_data, policy_data(3));
        assert!(objects.late.is_empty() && objects.left_out.is_empty());
        assert_eq!(watched.calls("rsvp_objects"), 1);
        assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    }
}

#[test]
fn objects_that_are_not() {
    for way in [
        "another's",
        "too large",
        "malformed",
        "no policy data",
        "another's later",
    ] {
        let watched = Watched::start(supplies("supplies", &format!("3 {way}")));
        assert_eq!(objects(&watched.pcm).policy_data, b"", "{way}");
        assert_eq!(watched.calls("rsvp_objects"), 1);
        let (status, reasons) = watched.end();
        // One that answers on a thread of its own has joined it now.
        let _ = watched.only(EventId::LpmResultRefused, LpmStatus::INVALID_RESULTS);
        assert_eq!((status, reasons), (LpmStatus::OK, vec![]));
    }
}

#[test]
fn a_message_that_is_stopped() {
    for way in ["drops", "drops later"] {
        let watched = Watched::start(supplies("supplies", &format!("3 {way}")));
        let verdict = rsvp_objects(&watched.pcm, &path(4000), ROOM);
        let by = watched.lpm;
        assert_eq!(verdict, Ok(OutgoingVerdict::Drop { by }));
        assert_eq!(watched.calls("rsvp_objects"), 1);
        assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    }
}

#[test]
fn objects_that_do_not_fit_beside_others_or_come_late() {
    let clock = ManualClock::new();
    let limit = Duration::from_millis(1);
    // Time passes while they are called, too: only one of them is to be late by that.
    let in_time = |name, config| supplies(name, config).result_time_limit(Duration::MAX);
    let pcm = Pcm::builder()
        .lpm(in_time("first", "3 own"))
        .lpm(in_time("full", "2 full"))
        .lpm(supplies("never", "4 never").result_time_limit(limit))
        .lpm(in_time("last", "5 own"))
        .clock(&clock)
        .event_log(RecordedEvents::default());
    let pcm = pcm.build().expect("builds");
    let lpms = pcm.become_dsbm().expect("starts").lpms;
    let objects = std::thread::scope(|scope| {
        let asking = scope.spawn(|| objects(&pcm));
        while !asking.is_finished() {
            clock.advance(limit);
            std::thread::yield_now();
        }
        asking.join().expect("no panic")
    });
    let expected = [3, 5].map(policy_data).concat();
    assert_eq!(objects.policy_data, expected);
    assert_eq!(objects.left_out, [lpms[1].handle]);
    assert_eq!(objects.late, [lpms[2].handle]);
    for library in pcm.demote().expect("in charge").libraries {
        assert_gone(&library.outcome);
    }
}

/// An LPM is offered the elements of its own type.
#[test]
fn elements_of_ones_own_type() {
    use lpm_host::lpm_rsvp::build::{Element, Path, PolicyData};
    use lpm_host::lpm_rsvp::{Message, ObjectIndex};
    let bytes = path(4000);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).expect("well-formed");
    let mut data = PolicyData::new();
    for p_type in [9, 8, 9, 9] {
        data = data.element(Element::new(p_type, [0; 4]));
    }
    let with_data = Path::from_message(&message).expect("a Path");
    let bytes = with_data.policy_data(data).build().expect("legal");
    for (p_type, count) in [(9, 3), (8, 1), (0, 4)] {
        let pcm = Pcm::builder().lpm(supplies("supplies", &p_type.to_string()));
        let pcm = pcm.build().expect("builds");
        pcm.become_dsbm().expect("starts");
        let verdict = admit(&pcm, &bytes).expect("in charge");
        let accepted = Priority::new(count).map(Decision::accept);
        assert_eq!(Some(verdict.flows()[0].decision), accepted);
    }
}
