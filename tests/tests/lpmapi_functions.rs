//! LPMs in C against `lpmapi.h`: what each function is given, and what becomes of what it gives.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use lpm_host::event::EventId;
use lpm_host::lpm_rsvp::build::{Flows, Identity, Path, PathTear, PolicyData, Resv, ResvErr};
use lpm_host::lpm_rsvp::{ErrorSpec, FilterSpec, RsvpHop, Session, TimeValues, Tspec};
use lpm_host::{
    AddressRow, Decision, DeleteReason, LpmStatus, Outcome, OutgoingVerdict, Pcm, PeType, StateGone,
};
use lpm_tests::in_c::InC;
use lpm_tests::messages::{
    admit, commit_resv, controlled_load, path, path_tear, resv, rsvp_objects, with_received,
};
use lpm_tests::platform::assert_gone;
use lpm_tests::{RecordedEvents, fixture};

fn start(lpm: &InC) -> (Pcm, RecordedEvents) {
    let events = RecordedEvents::default();
    let pcm = Pcm::builder()
        .lpm(lpm.lpm().result_time_limit(Duration::from_millis(1_500)))
        .event_log(events.clone())
        .build()
        .expect("builds");
    pcm.become_dsbm().expect("starts");
    let initialized = "initialize: PCM version 1, 2 s, 1 LPMs, reserved 0";
    assert_eq!(lpm.said(), [initialized, "addresses: 0"]);
    (pcm, events)
}

fn session() -> Session {
    Session::new(Ipv4Addr::new(192, 0, 2, 80), 17, 5004).expect("a legal session")
}

fn hop() -> RsvpHop {
    RsvpHop {
        address: Ipv4Addr::new(192, 0, 2, 254).into(),
        logical_interface: 7,
    }
}

fn sender(port: u16) -> FilterSpec {
    FilterSpec::new(Ipv4Addr::new(198, 51, 100, 7), port)
}

fn tspec() -> Tspec {
    Tspec {
        rate: 125_000.0,
        bucket: 3_000.0,
        peak_rate: f32::INFINITY,
        min_policed: 64,
        max_packet: 1_500,
    }
}

fn resv_of(flows: Flows) -> Vec<u8> {
    let resv = Resv::new(session(), hop(), TimeValues::DEFAULT, flows);
    resv.build().expect("a legal message")
}

#[test]
fn a_life_is_told_through_the_header() {
    let lpm = InC::new("records");
    let (pcm, events) = start(&lpm);
    let row = |address: IpAddr, prefix_length| AddressRow {
        interface_index: 3,
        media_type: 6,
        address,
        prefix_length,
    };
    pcm.set_ip_address_table(&[
        row(Ipv4Addr::new(192, 0, 2, 1).into(), 24),
        row(Ipv6Addr::LOCALHOST.into(), 128),
        row(Ipv4Addr::new(10, 0, 0, 1).into(), 0),
        row(Ipv4Addr::new(10, 0, 0, 2).into(), 32),
    ]);
    assert_eq!(
        lpm.said(),
        [
            "addresses: 3",
            "  3, type 6: 192.0.2.1 mask 255.255.255.0",
            "  3, type 6: 10.0.0.1 mask 0.0.0.0",
            "  3, type 6: 10.0.0.2 mask 255.255.255.255",
        ]
    );
    commit_resv(&pcm).expect("in charge");
    assert_eq!(
        lpm.said(),
        [
            "commit 1: session 192.0.2.80 17 5004 0, at 192.0.2.1/1, style a, 1 senders 198.51.100.7:4001, r 250000"
        ]
    );
    assert_eq!(
        admit(&pcm, &path_tear(4000)).expect("in charge").flows(),
        []
    );
    let gone = |flow, interface| {
        with_received(&resv(), |received| {
            pcm.delete_state(&StateGone {
                reason: DeleteReason::StateTimeout,
                message: received.message,
                flow,
                interface,
            })
            .expect("in charge");
        });
    };
    gone(None, None);
    gone(Some(1), Some(lpm_tests::messages::INTERFACE));
    assert_eq!(
        lpm.said(),
        [
            "delete 1: type 5 at 192.0.2.1/1, session 192.0.2.80 17 5004 0, hop 192.0.2.254/0, style 0, \
             1 senders 198.51.100.7:4000",
            "delete 4: type 2 at none, session 192.0.2.80 17 5004 0, hop 192.0.2.254/0, style a, \
             2 senders 198.51.100.7:4000 198.51.100.7:4001",
            "delete 4: type 2 at 192.0.2.1/1, session 192.0.2.80 17 5004 0, hop 192.0.2.254/0, style a, \
             1 senders 198.51.100.7:4001",
        ]
    );
    let teardown = pcm.demote().expect("in charge");
    assert_eq!(lpm.said(), ["deinitialize: its handle"]);
    assert_eq!(teardown.lpms[0].status, LpmStatus::OK);
    assert_gone(&teardown.libraries[0].outcome);
    assert_eq!(events.of(EventId::LpmNotAsked), []);
}

#[test]
fn messages_are_laid_out_as_in_the_header() {
    let lpm = InC::new("records");
    let (pcm, _) = start(&lpm);
    let user = Identity::user().locator("CN=Alice");
    let with_policy = Path::new(session(), hop(), TimeValues::DEFAULT, sender(4000), tspec())
        .policy_data(PolicyData::new().hops(hop(), None).element(user))
        .build()
        .expect("a legal message");
    let verdict = admit(&pcm, &with_policy).expect("in charge");
    assert_eq!(verdict.outcome(), Outcome::Accept);
    assert_eq!(verdict.flows()[0].decision.lpv(), 7);
    assert!(verdict.immediate_refresh());
    let length = with_policy.len();
    assert_eq!(
        lpm.said(),
        [
            "admit type 1 at 192.0.2.1/1: session 192.0.2.80 17 5004 0, hop 192.0.2.254/7, style 0, 1 flows, \
             1 policy data"
                .to_owned(),
            "  flow 198.51.100.7:4000 r 125000 b 3000 m 64 M 1500".to_owned(),
            "  policy data of 36 bytes, elements from 20: 16 bytes of type 2".to_owned(),
            format!("  raw: type 1, {length} bytes of {length}, request 1, reserved 0"),
        ]
    );

    let verdict = admit(&pcm, &resv()).expect("in charge");
    let lpvs: Vec<_> = verdict
        .flows()
        .iter()
        .map(|flow| flow.decision.lpv())
        .collect();
    assert_eq!(lpvs, [7, 0xFFFF]);
    let said = lpm.said();
    assert_eq!(
        said[..3],
        [
            "admit type 2 at 192.0.2.1/1: session 192.0.2.80 17 5004 0, hop 192.0.2.254/0, style a, 2 flows, \
             0 policy data",
            "  flow 198.51.100.7:4000 r 125000 b 3000 m 64 M 1500",
            "  flow 198.51.100.7:4001 r 250000 b 3000 m 64 M 1500",
        ]
    );
    // What is not admitted is to be forgotten.
    assert!(said[4].starts_with("delete 3: type 2"), "{said:#?}");

    // Senders that share a reservation: each is a flow descriptor there, and the one that is
    // rejected rejects all.
    let shared = |count: u16| {
        let senders = (0..count).map(|index| sender(4000 + index)).collect();
        resv_of(Flows::SharedExplicit(controlled_load(125_000.0), senders))
    };
    let verdict = admit(&pcm, &shared(3)).expect("in charge");
    assert_eq!(verdict.flows().len(), 1);
    assert_eq!(verdict.outcome(), Outcome::Reject);
    let said = lpm.said();
    assert!(said[0].contains("style 12, 3 flows"), "{said:#?}");
    assert_eq!(
        said[3],
        "  flow 198.51.100.7:4002 r 125000 b 3000 m 64 M 1500"
    );
    assert!(said[5].ends_with("3 senders 198.51.100.7:4000 198.51.100.7:4001 198.51.100.7:4002"));
    let verdict = admit(&pcm, &shared(1)).expect("in charge");
    assert_eq!(verdict.outcome(), Outcome::Accept);
    let _ = lpm.said();

    let verdict = admit(
        &pcm,
        &resv_of(Flows::WildcardFilter(controlled_load(1_000.0))),
    );
    assert_eq!(verdict.expect("in charge").outcome(), Outcome::Accept);
    let said = lpm.said();
    assert!(said[0].contains("style 11, 1 flows"), "{said:#?}");
    assert_eq!(said[1], "  flow any r 1000 b 3000 m 64 M 1500");

    let error = ErrorSpec {
        node: Ipv4Addr::new(192, 0, 2, 9).into(),
        flags: 0,
        code: 1,
        value: 2,
    };
    let flow = Flows::FixedFilter(vec![(controlled_load(1_000.0), sender(4000))]);
    let refused = ResvErr::new(session(), hop(), error, flow).build();
    let _ = admit(&pcm, &refused.expect("a legal message")).expect("in charge");
    let said = lpm.said();
    assert!(said[0].starts_with("admit type 4"), "{said:#?}");
    assert_eq!(said[2], "  error 1 2 at 192.0.2.9");
    let _ = pcm.demote();
}

#[test]
fn objects_are_supplied_in_network_order() {
    let lpm = InC::new("records");
    let (pcm, events) = start(&lpm);
    let verdict = rsvp_objects(&pcm, &path(4000), 100).expect("in charge");
    let OutgoingVerdict::Send(supplied) = verdict else {
        panic!("{verdict:?}")
    };
    let expected = [0, 16, 14, 1, 0, 8, 0, 0, 0, 8, 0, 2, 1, 2, 3, 4];
    assert_eq!(supplied.policy_data, expected);
    let said = lpm.said();
    assert!(
        said[0].starts_with("objects type 1 at 192.0.2.1/1: session"),
        "{said:#?}"
    );
    assert_eq!(said.last().map(String::as_str), Some("  room for 100"));
    // No room for them.
    let verdict = rsvp_objects(&pcm, &path(4000), 12).expect("in charge");
    let OutgoingVerdict::Send(supplied) = verdict else {
        panic!("{verdict:?}")
    };
    assert!(supplied.policy_data.is_empty());
    assert_eq!(events.of(EventId::LpmResultRefused).len(), 1);
    let _ = pcm.demote();
}

#[test]
fn ipv6_is_no_business_of_theirs() {
    let lpm = InC::new("records");
    let (pcm, events) = start(&lpm);
    let session = Session::new("2001:db8::80".parse::<Ipv6Addr>().unwrap(), 17, 5004).unwrap();
    let hop = RsvpHop {
        address: "2001:db8::1".parse::<Ipv6Addr>().unwrap().into(),
        logical_interface: 0,
    };
    let sender = FilterSpec::new("2001:db8::7".parse::<Ipv6Addr>().unwrap(), 4000);
    let path = Path::new(session, hop, TimeValues::DEFAULT, sender, tspec())
        .build()
        .unwrap();
    for _ in 0..3 {
        let verdict = admit(&pcm, &path).expect("in charge");
        // Nobody accepts.
        assert_eq!(verdict.outcome(), Outcome::Reject);
        assert_eq!(verdict.flows()[0].decision.error_value(), 55);
    }
    let verdict = rsvp_objects(&pcm, &path, 100).expect("in charge");
    assert!(matches!(verdict, OutgoingVerdict::Send(_)));
    let tear = PathTear::new(session, hop, sender).build().unwrap();
    let _ = admit(&pcm, &tear).expect("in charge");
    assert_eq!(lpm.said(), [] as [&str; 0]);
    let said = events.of(EventId::LpmNotAsked);
    assert_eq!(said.len(), 1);
    let detail = &said[0].detail;
    assert!(detail.contains("not SESSION (1/2)"), "{detail}");
    assert_eq!(said[0].lpm.as_deref(), Some("records"));
    // Others decide.
    let with_another = Pcm::builder()
        .lpm(lpm.lpm())
        .lpm(fixture("accepts"))
        .build()
        .unwrap();
    with_another.become_dsbm().expect("starts");
    assert_eq!(
        admit(&with_another, &path).unwrap().outcome(),
        Outcome::Accept
    );
    let _ = (pcm.demote(), with_another.demote());
}

/// The functions name no handle, so the library is asked once.
#[test]
fn one_that_is_initialized_three_times_is_asked_once() {
    let lpm = InC::new("records");
    let events = RecordedEvents::default();
    let pcm = Pcm::builder()
        .lpm(lpm.named("first"))
        .lpm(lpm.named("second"))
        .lpm(lpm.named("third"))
        .event_log(events.clone())
        .build()
        .expect("builds");
    let startup = pcm.become_dsbm().expect("starts");
    assert_eq!(startup.lpms[1].pe_type, PeType::AUTH_USER);
    let initialized = "initialize: PCM version 1, 5 s, 3 LPMs, reserved 0";
    let told = "addresses: 0";
    assert_eq!(lpm.said(), [initialized, initialized, initialized, told]);
    assert_eq!(events.of(EventId::LpmPeTypeShared).len(), 2);

    let verdict = admit(&pcm, &path(4000)).expect("in charge");
    assert_eq!(verdict.flows()[0].by, Some(startup.lpms[0].handle));
    assert_eq!(lpm.said().len(), 3);
    commit_resv(&pcm).expect("in charge");
    let _ = admit(&pcm, &path_tear(4000)).expect("in charge");
    assert_eq!(lpm.said().len(), 2);

    // The next in order speaks for it then.
    let rest = pcm.reconfigure(vec![lpm.named("second"), lpm.named("third")]);
    assert_eq!(rest.expect("goes on").stopped.lpms.len(), 1);
    assert_eq!(lpm.said(), ["deinitialize: another handle"]);
    let verdict = admit(&pcm, &path(4000)).expect("in charge");
    assert_eq!(verdict.flows()[0].by, Some(startup.lpms[1].handle));
    let teardown = pcm.demote().expect("in charge");
    assert_eq!(teardown.lpms.len(), 2);
    let _ = lpm.said();
    assert_gone(&teardown.libraries[0].outcome);
}

#[test]
fn it_runs_on_threads_of_its_own_and_beside_lpms_in_rust() {
    let lpm = InC::new("records");
    let pcm = Pcm::builder()
        .lpm(fixture("accepts"))
        .lpm(lpm.lpm().call_mode(lpm_host::CallMode::worker()))
        .build()
        .expect("builds");
    pcm.become_dsbm().expect("starts");
    let verdict = admit(&pcm, &resv()).expect("in charge");
    let decisions: Vec<_> = verdict.flows().iter().map(|flow| flow.decision).collect();
    assert!(
        matches!(decisions[..], [Decision::Accept(_), Decision::Reject(_)]),
        "{decisions:?}"
    );
    let verdict = rsvp_objects(&pcm, &path(4000), 100).expect("in charge");
    let OutgoingVerdict::Send(supplied) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(supplied.policy_data.len(), 16);
    for library in pcm.demote().expect("in charge").libraries {
        assert_gone(&library.outcome);
    }
}
