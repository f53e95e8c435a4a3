//! LPMs in C against `lpmapi.h` that do what they should not, and results that come later.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::thread;
use std::time::{Duration, Instant};

use lpm_host::error::{LoadError, LpmStartError, StartError};
use lpm_host::event::EventId;
use lpm_host::lpm_api::{LpmPolicyError, Priority, RejectReason};
use lpm_host::lpm_rsvp::build::{Flows, Resv};
use lpm_host::lpm_rsvp::{FilterSpec, RsvpHop, Session, TimeValues};
use lpm_host::{CallMode, Decision, LpmConfig, LpmStatus, Outcome, OutgoingVerdict, Pcm};
use lpm_tests::in_c::InC;
use lpm_tests::messages::{
    admit, controlled_load, path, path_tear, resv, rsvp_objects, with_received,
};
use lpm_tests::platform::is_gone;
use lpm_tests::watched::Watched;
use lpm_tests::{RecordedEvents, fixture};

/// The order in the fixture `misbehaves`.
const LACKS: &str = "1";
const VERSION: &str = "2";
const NO_TYPE: &str = "3";
const NOT_INITIALIZED: &str = "4";
const NOT_DEINITIALIZED: &str = "5";
const BEYOND_DECISIONS: &str = "6";
const BEFORE_DECISIONS: &str = "7";
const BEYOND_MESSAGE: &str = "8";
const BEYOND_FLAGS: &str = "9";
const BEYOND_FILTERS: &str = "10";
const BEYOND_ALLOCATED: &str = "11";
const NO_DECISION: &str = "12";
const REJECTS_WITHOUT_REASON: &str = "13";
const STATUS: &str = "14";
const FREES_TWICE: &str = "15";
const OWN_MEMORY: &str = "16";
const TOO_LONG: &str = "17";
const TABLE: &str = "18";
const DROPS: &str = "19";
const MANY_BEYOND: &str = "20";

/// The order in the fixture `defers`.
const IN_TIME: &str = "0";
const TWICE: &str = "1";
const TOO_MANY: &str = "2";
const TOO_FEW: &str = "3";
const NEGATIVE: &str = "4";
const NONE: &str = "5";
const UNKNOWN: &str = "6";
const FAILS: &str = "7";
const LATE: &str = "8";
const BEFORE_IT_RETURNS: &str = "9";
const BOTH: &str = "10";
const AS_ANOTHER: &str = "11";
const INVALID: &str = "12";

const LIMIT: Duration = Duration::from_secs(1);

fn misbehaving(way: &str) -> (InC, LpmConfig) {
    let lpm = InC::in_this_way("misbehaves", way);
    let config = lpm.lpm().result_time_limit(LIMIT);
    (lpm, config)
}

fn deferring(way: &str) -> (InC, LpmConfig) {
    let lpm = InC::in_this_way("defers", way);
    let config = lpm.lpm().result_time_limit(LIMIT);
    (lpm, config)
}

/// Why an LPM does not start.
fn failure(config: LpmConfig) -> (LpmStartError, RecordedEvents) {
    let events = RecordedEvents::default();
    let pcm = Pcm::builder()
        .lpm(config)
        .event_log(events.clone())
        .build()
        .expect("builds");
    match pcm.become_dsbm() {
        Err(StartError::Lpms { mut failures }) => (failures.remove(0).error, events),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_that_lacks_functions_is_not_loaded() {
    let (lpm, config) = misbehaving(LACKS);
    let (error, events) = failure(config);
    let LpmStartError::Load(LoadError::LacksFunctions { missing, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!(*missing, ["LPM_CommitResv", "LPM_DeleteState"]);
    let text = error.to_string();
    assert!(
        text.contains("not LPM_CommitResv, LPM_DeleteState; an LPM exports all seven"),
        "{text}"
    );
    assert_eq!(events.of(EventId::LpmLoadFailed)[0].detail, text);
    // Nothing of it ran.
    assert_eq!(lpm.said(), [] as [&str; 0]);
}

#[test]
fn one_that_cannot_be_initialized_is_unloaded() {
    for (way, status, words) in [
        (
            VERSION,
            LpmStatus::FAILED,
            "version 2 of the LPM API, and this host version 1",
        ),
        (NO_TYPE, LpmStatus::FAILED, "did not set the PE type"),
        (NOT_INITIALIZED, LpmStatus(77), "(status 77)"),
    ] {
        let (lpm, config) = misbehaving(way);
        let (error, events) = failure(config);
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
        let failed = events.of(EventId::LpmInitializeFailed);
        assert_eq!(
            (failed.len(), failed[0].status),
            (1, Some(status)),
            "{text}"
        );
        // What was initialized is deinitialized, too.
        let said = match way {
            NOT_INITIALIZED => &["initialize"][..],
            _ => &["initialize", "deinitialize"],
        };
        assert_eq!(lpm.said(), said, "{text}");
        let gone = events.all().into_iter().filter(is_gone).count();
        assert_eq!(gone, 1, "{text}");
    }
}

#[test]
fn a_configuration_is_nothing_it_could_be_given() {
    let (lpm, config) = misbehaving("0");
    let (error, _) = failure(config.config("limit = 7"));
    let text = error.to_string();
    assert!(text.contains("is given no configuration"), "{text}");
    assert_eq!(lpm.said(), [] as [&str; 0]);
    let (_lpm, config) = misbehaving("0");
    let watched = Watched::start(config.config(" \n"));
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

#[test]
fn a_status_of_deinitialize_is_put_on_record() {
    let (_lpm, config) = misbehaving(NOT_DEINITIALIZED);
    let watched = Watched::start(config);
    assert_eq!(watched.end(), (LpmStatus(78), vec![]));
    let _ = watched.only(EventId::LpmDeinitializeFailed, LpmStatus(78));
}

#[test]
fn one_that_refuses_addresses_goes_on() {
    let (_lpm, config) = misbehaving(TABLE);
    let watched = Watched::start(config);
    watched.pcm.set_ip_address_table(&[]);
    assert!(!watched.about(EventId::LpmAddressTableRefused).is_empty());
    assert_eq!(watched.admit().outcome(), Outcome::Accept);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

/// Whatever it writes beyond: it is seen, it is on record, and it is not called again.
#[test]
fn one_that_writes_beyond_what_it_was_given_is_put_away() {
    for mode in [CallMode::Inline, CallMode::worker()] {
        for way in [
            BEYOND_DECISIONS,
            MANY_BEYOND,
            BEFORE_DECISIONS,
            BEYOND_MESSAGE,
            BEYOND_FLAGS,
            BEYOND_ALLOCATED,
        ] {
            let (lpm, config) = misbehaving(way);
            let watched = Watched::start(config.call_mode(mode));
            let verdict = watched.admit();
            assert_eq!(verdict.outcome(), Outcome::Reject, "{way} {mode:?}");
            watched.advance(LIMIT);
            let event = watched.only(EventId::LpmOverstepped, LpmStatus::QUARANTINED);
            assert!(event.detail.contains("beyond"), "{}", event.detail);
            // For good, whatever time passes.
            watched.advance(LIMIT * 100);
            assert_eq!(watched.admit().outcome(), Outcome::Reject, "{way} {mode:?}");
            let _ = admit(&watched.pcm, &path_tear(4000)).expect("in charge");
            watched.advance(LIMIT);
            assert_eq!(watched.about(EventId::LpmReleased), []);
            assert_eq!(lpm.said(), ["initialize", "admit"]);
            assert_eq!(watched.end(), (LpmStatus::OK, vec![]), "{way} {mode:?}");
            assert_eq!(lpm.said(), ["deinitialize"]);
        }
    }
    let (lpm, config) = misbehaving(BEYOND_FILTERS);
    let watched = Watched::start(config);
    let _ = admit(&watched.pcm, &path_tear(4000)).expect("in charge");
    let _ = watched.only(EventId::LpmOverstepped, LpmStatus::QUARANTINED);
    assert_eq!(watched.admit().outcome(), Outcome::Reject);
    assert_eq!(lpm.said(), ["initialize"]);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

#[test]
fn what_is_no_decision_counts_as_the_table_says() {
    let (_lpm, config) = misbehaving(NO_DECISION);
    let watched = Watched::start(config);
    // The other one accepts.
    assert_eq!(watched.admit().outcome(), Outcome::Accept);
    let _ = watched.only(EventId::LpmInvalidDecision, LpmStatus::INVALID_RESULTS);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));

    let (_lpm, config) = misbehaving(REJECTS_WITHOUT_REASON);
    let watched = Watched::start(config);
    assert_eq!(watched.admit().outcome(), Outcome::Reject);
    let _ = watched.only(EventId::LpmInvalidDecision, LpmStatus::INVALID_RESULTS);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

#[test]
fn a_status_of_its_own_fails_the_call() {
    for mode in [CallMode::Inline, CallMode::worker()] {
        let (_lpm, config) = misbehaving(STATUS);
        let watched = Watched::start(config.call_mode(mode));
        let verdict = watched.admit();
        let failed = Decision::reject(LpmPolicyError::NoResources);
        assert_eq!(verdict.flows()[0].decision, failed);
        let _ = watched.only(EventId::LpmCallFailed, LpmStatus(79));
        let verdict = rsvp_objects(&watched.pcm, &path(4000), 100).expect("in charge");
        let OutgoingVerdict::Send(supplied) = verdict else {
            panic!("{verdict:?}")
        };
        assert_eq!(supplied.late, [watched.lpm]);
        assert_eq!(watched.about(EventId::LpmCallFailed).len(), 2);
        watched.advance(LIMIT * 2);
        assert_eq!(watched.about(EventId::LpmTimedOut), []);
        assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    }
}

#[test]
fn memory_is_freed_once_and_only_where_it_is_the_pcms() {
    let (_lpm, config) = misbehaving(FREES_TWICE);
    let watched = Watched::start(config);
    assert_eq!(watched.admit().outcome(), Outcome::Accept);
    let events = watched.about(EventId::LpmCallFailed);
    assert_eq!(events.len(), 1);
    assert!(events[0].detail.contains("freed"), "{}", events[0].detail);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));

    for (way, words) in [
        (OWN_MEMORY, "not in memory from AllocMemory"),
        (TOO_LONG, "longer"),
    ] {
        let (_lpm, config) = misbehaving(way);
        let watched = Watched::start(config);
        let verdict = rsvp_objects(&watched.pcm, &path(4000), 1000).expect("in charge");
        let OutgoingVerdict::Send(supplied) = verdict else {
            panic!("{verdict:?}")
        };
        assert!(supplied.policy_data.is_empty());
        assert_eq!(
            watched.about(EventId::LpmCallFailed),
            [],
            "one event is enough"
        );
        let event = watched.only(EventId::LpmResultRefused, LpmStatus::INVALID_RESULTS);
        assert!(event.detail.contains(words), "{}", event.detail);
        assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    }
}

#[test]
fn an_outgoing_message_is_dropped() {
    let (_lpm, config) = misbehaving(DROPS);
    let watched = Watched::start(config);
    let verdict = rsvp_objects(&watched.pcm, &path(4000), 100).expect("in charge");
    assert_eq!(verdict, OutgoingVerdict::Drop { by: watched.lpm });
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));

    let (lpm, config) = deferring(INVALID);
    let watched = Watched::start(config);
    let verdict = rsvp_objects(&watched.pcm, &path(4000), 100).expect("in charge");
    assert_eq!(verdict, OutgoingVerdict::Drop { by: watched.lpm });
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    assert_eq!(lpm.said(), ["objects 0"]);
}

#[test]
fn results_come_from_any_thread() {
    for mode in [CallMode::Inline, CallMode::worker()] {
        for way in [IN_TIME, BEFORE_IT_RETURNS] {
            let (lpm, config) = deferring(way);
            let watched = Watched::start(config.call_mode(mode));
            let verdict = watched.admit();
            assert_eq!(verdict.outcome(), Outcome::Accept, "{way}");
            assert!(verdict.immediate_refresh());
            let verdict = admit(&watched.pcm, &resv()).expect("in charge");
            let priorities: Vec<_> = verdict.flows().iter().map(|flow| flow.decision).collect();
            let accept = |priority| Decision::accept(Priority::new(priority).unwrap());
            // The other accepts with the lowest.
            assert_eq!(priorities, [accept(1), accept(2)]);
            let verdict = rsvp_objects(&watched.pcm, &path(4000), 100).expect("in charge");
            let OutgoingVerdict::Send(supplied) = verdict else {
                panic!("{verdict:?}")
            };
            assert_eq!(supplied.policy_data.len(), 16);
            assert_eq!(lpm.has_said(3), ["0", "0", "objects 0"]);
            assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
            assert_eq!(watched.about(EventId::LpmResultRefused), []);
        }
    }
}

/// Three senders with one reservation are one flow to the PCM, and three to the LPM.
#[test]
fn results_about_senders_that_share_a_reservation() {
    let shared = || {
        let senders = (4000..4003).map(|port| FilterSpec::new([198, 51, 100, 7].into_ip(), port));
        let flows = Flows::SharedExplicit(controlled_load(125_000.0), senders.collect());
        let session = Session::new([192, 0, 2, 80].into_ip(), 17, 5004).expect("a legal session");
        let hop = RsvpHop {
            address: [192, 0, 2, 254].into_ip().into(),
            logical_interface: 0,
        };
        let resv = Resv::new(session, hop, TimeValues::DEFAULT, flows);
        resv.build().expect("a legal message")
    };
    for (way, outcome, said) in [
        (IN_TIME, Outcome::Accept, "0"),
        (TOO_MANY, Outcome::Reject, "5"),
        (TOO_FEW, Outcome::Reject, "5"),
    ] {
        let (lpm, config) = deferring(way);
        let watched = Watched::start(config);
        let verdict = admit(&watched.pcm, &shared()).expect("in charge");
        assert_eq!(
            (verdict.flows().len(), verdict.outcome()),
            (1, outcome),
            "{way}"
        );
        if outcome == Outcome::Accept {
            assert_eq!(verdict.flows()[0].decision.lpv(), 3);
        }
        assert_eq!(lpm.has_said(1), [said]);
        assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    }
}

trait IntoIp {
    fn into_ip(self) -> std::net::Ipv4Addr;
}

impl IntoIp for [u8; 4] {
    fn into_ip(self) -> std::net::Ipv4Addr {
        self.into()
    }
}

#[test]
fn results_that_are_none_end_the_request() {
    for (way, words) in [
        (TOO_MANY, "2 decisions, expected 1"),
        (TOO_FEW, "0 decisions, expected 1"),
        (NEGATIVE, "0 decisions, expected 1"),
        (NONE, "0 decisions, expected 1"),
    ] {
        let (lpm, config) = deferring(way);
        let watched = Watched::start(config);
        assert_eq!(watched.admit().outcome(), Outcome::Reject, "{way}");
        let event = watched.only(EventId::LpmResultRefused, LpmStatus::INVALID_RESULTS);
        assert!(event.detail.contains(words), "{}", event.detail);
        assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
        assert_eq!(lpm.said(), ["5"]);
    }
    let (lpm, config) = deferring(INVALID);
    let watched = Watched::start(config);
    assert_eq!(watched.admit().outcome(), Outcome::Accept);
    let _ = watched.only(EventId::LpmInvalidDecision, LpmStatus::INVALID_RESULTS);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    assert_eq!(lpm.said(), ["5"]);
}

#[test]
fn results_a_second_time() {
    let (lpm, config) = deferring(TWICE);
    let watched = Watched::start(config);
    assert_eq!(watched.admit().outcome(), Outcome::Accept);
    let verdict = rsvp_objects(&watched.pcm, &path(4000), 100).expect("in charge");
    assert!(matches!(verdict, OutgoingVerdict::Send(_)));
    assert_eq!(lpm.has_said(4), ["0", "4", "objects 0", "objects 4"]);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    assert_eq!(watched.about(EventId::LpmResultRefused).len(), 2);

    // By the callback, and when it returns.
    for mode in [CallMode::Inline, CallMode::worker()] {
        let (lpm, config) = deferring(BOTH);
        let watched = Watched::start(config.call_mode(mode));
        assert_eq!(watched.admit().outcome(), Outcome::Accept);
        // The verdict may be there before the call returns.
        let until = Instant::now() + Duration::from_secs(120);
        while watched.about(EventId::LpmResultRefused).is_empty() && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
        assert_eq!(lpm.said(), ["0"]);
        let _ = watched.only(EventId::LpmResultRefused, LpmStatus::DUPLICATE_RESULTS);
    }
}

#[test]
fn results_for_requests_that_are_not_its_own() {
    let (lpm, config) = deferring(UNKNOWN);
    let watched = Watched::start(config);
    let pending = with_received(&path(4000), |received| watched.pcm.admit_later(received));
    let pending = pending.expect("in charge");
    assert_eq!(lpm.has_said(1), ["3"]);
    watched.advance(LIMIT * 2);
    assert_eq!(pending.wait().outcome(), Outcome::Reject);
    let _ = watched.only(EventId::LpmTimedOut, LpmStatus::TIME_OUT);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));

    let (lpm, config) = deferring(AS_ANOTHER);
    let watched = Watched::start(config);
    assert_eq!(watched.admit().outcome(), Outcome::Accept);
    assert_eq!(lpm.has_said(2), ["1", "0"]);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

#[test]
fn results_that_are_late() {
    let (lpm, config) = deferring(LATE);
    let watched = Watched::start(config);
    let ask = || {
        let pending = with_received(&path(4000), |received| watched.pcm.admit_later(received));
        pending.expect("in charge")
    };
    let first = ask();
    watched.advance(LIMIT * 2);
    assert_eq!(first.wait().outcome(), Outcome::Reject);
    let second = ask();
    assert_eq!(lpm.said(), ["2"]);
    let _ = watched.only(EventId::LpmResultRefused, LpmStatus::TIME_OUT);
    // The other is open when it is stopped.
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    assert_eq!(second.wait().outcome(), Outcome::Reject);
    assert_eq!(lpm.said(), ["1"]);
}

#[test]
fn a_request_that_it_cannot_answer_fails() {
    let (lpm, config) = deferring(FAILS);
    let watched = Watched::start(config);
    assert_eq!(watched.admit().outcome(), Outcome::Reject);
    let _ = watched.only(EventId::LpmCallFailed, LpmStatus(7));
    assert_eq!(lpm.has_said(1), ["0"]);
    let verdict = rsvp_objects(&watched.pcm, &path(4000), 100).expect("in charge");
    let OutgoingVerdict::Send(supplied) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(supplied.late, [watched.lpm]);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

/// It cannot know in whose name it was asked.
#[test]
fn one_that_is_initialized_twice_answers_under_either_handle() {
    let lpm = InC::in_this_way("defers", AS_ANOTHER);
    let pcm = Pcm::builder()
        .lpm(lpm.named("user"))
        .lpm(lpm.named("application"))
        .lpm(fixture("counts"))
        .build()
        .expect("builds");
    let startup = pcm.become_dsbm().expect("starts");
    assert_ne!(startup.lpms[0].pe_type, startup.lpms[1].pe_type);
    assert_eq!(
        admit(&pcm, &path(4000)).expect("in charge").outcome(),
        Outcome::Accept
    );
    assert_eq!(lpm.has_said(2), ["1", "0"]);
    assert_eq!(pcm.demote().expect("in charge").lpms.len(), 3);
}

/// What is rejected with a reason says so.
#[test]
fn a_rejection_keeps_its_reason() {
    let lpm = InC::new("records");
    let watched = Watched::start(lpm.lpm());
    let verdict = admit(&watched.pcm, &resv()).expect("in charge");
    let reason = RejectReason::policy(LpmPolicyError::NoPrivileges);
    assert_eq!(verdict.flows()[1].decision, Decision::Reject(reason));
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}
