//! An LPM that panics, whichever method it is in: the call failed, and all else goes on.
#![forbid(unsafe_code)]

use lpm_host::error::StartError;
use lpm_host::event::EventId;
use lpm_host::lpm_api::{Decision, LpmPolicyError};
use lpm_host::{AddressRow, CallMode, LpmStatus, Outcome, OutgoingVerdict, Pcm};
use lpm_tests::messages::{commit_resv, path, path_tear, rsvp_objects};
use lpm_tests::platform::gone;
use lpm_tests::watched::Watched;
use lpm_tests::{RecordedEvents, fixture};

const ROW: AddressRow = AddressRow {
    interface_index: 1,
    media_type: 6,
    address: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    prefix_length: 8,
};

fn panics_in(method: &str) -> lpm_host::LpmConfig {
    fixture("panics").config(method)
}

/// The one panic is on record with its place and the LPM's name; the LPM ends well, and so does its
/// library.
fn ends_well(watched: &Watched) {
    let panicked = watched.only(EventId::LpmPanicked, LpmStatus::PANICKED);
    assert!(
        panicked.detail.contains("panics as it is told to"),
        "{panicked:?}"
    );
    assert!(panicked.detail.contains("panics.rs:"), "{panicked:?}");
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

#[test]
fn in_initialize_and_pe_type() {
    for method in ["initialize", "pe_type"] {
        let events = RecordedEvents::default();
        let pcm = Pcm::builder()
            .lpm(fixture("counts"))
            .lpm(panics_in(method))
            .event_log(events.clone());
        let pcm = pcm.build().expect("builds");
        let failed = pcm.become_dsbm().expect_err("a panic");
        assert!(matches!(failed, StartError::Lpms { .. }), "{failed}");
        assert!(failed.to_string().contains("panicked"), "{failed}");
        let failed = events.of(EventId::LpmInitializeFailed);
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].status, Some(LpmStatus::PANICKED));
        assert_eq!(failed[0].lpm.as_deref(), Some("panics"));
        assert_eq!(events.of(EventId::LpmPanicked).len(), 1);
        assert_eq!(events.of(gone()).len(), 2);

        // The others can do without it.
        let lpms = [fixture("counts"), panics_in(method).optional(true)];
        pcm.reconfigure(lpms).expect("another list");
        let startup = pcm.become_dsbm().expect("starts without");
        assert_eq!(startup.failed.len(), 1);
        let verdict = lpm_tests::messages::admit(&pcm, &path(4000)).expect("in charge");
        assert_eq!(verdict.outcome(), Outcome::Accept);
    }
}

#[test]
fn in_ip_address_table() {
    let watched = Watched::start(panics_in("ip_address_table"));
    let refused = watched.only(EventId::LpmAddressTableRefused, LpmStatus::PANICKED);
    assert_eq!(refused.handle, Some(watched.lpm));
    assert_eq!(watched.calls("ip_address_table"), 1);
    assert_eq!(watched.admit().outcome(), Outcome::Accept);
    watched.pcm.set_ip_address_table(&[ROW]);
    assert_eq!(watched.calls("ip_address_table"), 2);
    assert_eq!(watched.about(EventId::LpmAddressTableRefused).len(), 2);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

#[test]
fn in_admit() {
    for mode in [CallMode::Inline, CallMode::worker()] {
        let watched = Watched::start(panics_in("admit").call_mode(mode));
        let verdict = watched.admit();
        let failed = Decision::reject(LpmPolicyError::NoResources);
        assert_eq!(verdict.flows()[0].decision, failed);
        assert_eq!(verdict.flows()[0].by, Some(watched.lpm));
        assert_eq!(watched.calls("admit"), 1);
        assert_eq!(watched.calls("delete_state"), 1);
        let _ = watched.only(EventId::LpmCallFailed, LpmStatus::PANICKED);
        ends_well(&watched);
    }
}

#[test]
fn in_rsvp_objects() {
    for mode in [CallMode::Inline, CallMode::worker()] {
        let watched = Watched::start(panics_in("rsvp_objects").call_mode(mode));
        let sent = rsvp_objects(&watched.pcm, &path(4000), 100).expect("in charge");
        let OutgoingVerdict::Send(objects) = sent else {
            panic!("{sent:?}")
        };
        assert_eq!(objects.policy_data, b"");
        assert_eq!(objects.late, [watched.lpm]);
        assert_eq!(watched.calls("rsvp_objects"), 1);
        let _ = watched.only(EventId::LpmCallFailed, LpmStatus::PANICKED);
        ends_well(&watched);
    }
}

#[test]
fn in_commit_resv_and_delete_state() {
    for mode in [CallMode::Inline, CallMode::worker()] {
        for method in ["commit_resv", "delete_state"] {
            let watched = Watched::start(panics_in(method).call_mode(mode));
            commit_resv(&watched.pcm).expect("in charge");
            let torn_down = lpm_tests::messages::admit(&watched.pcm, &path_tear(4000));
            assert_eq!(torn_down.expect("in charge").flows(), []);
            assert_eq!(watched.calls(method), 1);
            assert_eq!(watched.admit().outcome(), Outcome::Accept);
            let failed = watched.only(EventId::LpmCallFailed, LpmStatus::PANICKED);
            assert!(failed.detail.starts_with(method), "{failed:?}");
            ends_well(&watched);
        }
    }
}

#[test]
fn in_statistics() {
    for mode in [CallMode::Inline, CallMode::worker()] {
        let watched = Watched::start(panics_in("statistics").call_mode(mode));
        let all = watched.pcm.statistics().expect("in charge");
        // What it counted before is told.
        let before = Some(vec![("before".to_owned(), 1)]);
        assert_eq!(all[0].counters, before);
        assert!(all[1].counters.is_some());
        assert_eq!(watched.admit().outcome(), Outcome::Accept);
        ends_well(&watched);
    }
}

#[test]
fn in_deinitialize_and_drop() {
    for method in ["deinitialize", "drop"] {
        let watched = Watched::start(panics_in(method));
        assert_eq!(watched.admit().outcome(), Outcome::Accept);
        assert_eq!(watched.end(), (LpmStatus::PANICKED, vec![]));
        let _ = watched.only(EventId::LpmPanicked, LpmStatus::PANICKED);
        let failed = watched.only(EventId::LpmDeinitializeFailed, LpmStatus::PANICKED);
        assert_eq!(failed.handle, Some(watched.lpm));
    }
}

/// An LPM that was never taken on is dropped as well.
#[test]
fn in_drop_after_another_lpm_did_not_start() {
    let events = RecordedEvents::default();
    let pcm = Pcm::builder()
        .lpm(panics_in("drop"))
        .lpm(fixture("errs").config("initialize"))
        .event_log(events.clone());
    let pcm = pcm.build().expect("builds");
    pcm.become_dsbm().expect_err("the second one fails");
    assert_eq!(events.of(EventId::LpmPanicked).len(), 1);
    assert_eq!(events.of(gone()).len(), 2);
}
