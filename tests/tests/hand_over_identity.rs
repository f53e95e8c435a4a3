//! A new build of the identity LPM, in place of one with 10 000 flows, while messages keep coming:
//! no flow is lost, and none is granted twice.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use lpm_host::event::EventId;
use lpm_host::lpm_api::lpm_rsvp::build::{self, Identity, PathTear, PolicyData};
use lpm_host::lpm_api::lpm_rsvp::{FilterSpec, RsvpHop, Session, TimeValues, Tspec};
use lpm_host::lpm_api::{Decision, LpmPolicyError, Metric, Priority, Scope};
use lpm_host::{LpmConfig, Pcm};
use lpm_tests::messages::admit;
use lpm_tests::platform::{assert_gone, unmaps};
use lpm_tests::{RecordedEvents, identity_library, trusted};

const FLOWS: u32 = 10_000;
const POLICY: &str = "[default]\npriority = 1\nmax_flows = 10000\nmax_sum_flow_rate = '10000000 B/s'\n\
                      [[user]]\nid = 'ada'\n";

const HOP: RsvpHop = RsvpHop {
    address: std::net::IpAddr::V4(Ipv4Addr::new(10, 2, 0, 1)),
    logical_interface: 0,
};

fn session() -> Session {
    Session::new(Ipv4Addr::new(10, 0, 0, 1), 17, 5004).expect("a session")
}

/// The sender of Ada's flow of this number.
fn sender(flow: u32) -> FilterSpec {
    FilterSpec::new(Ipv4Addr::from_bits(0x0a01_0000 + flow), 4000)
}

/// Whether the flow is granted, of 1000 bytes/s; if not, the limit is the reason.
fn is_granted(pcm: &Pcm, flow: u32) -> bool {
    let tspec = Tspec {
        rate: 1_000.0,
        bucket: 1_500.0,
        peak_rate: f32::INFINITY,
        min_policed: 64,
        max_packet: 1_500,
    };
    let ada = Identity::user().credential("ada");
    let path = build::Path::new(session(), HOP, TimeValues::DEFAULT, sender(flow), tspec)
        .policy_data(PolicyData::new().element(ada))
        .build()
        .expect("a Path");
    let verdict = admit(pcm, &path).expect("in charge");
    let decision = verdict.flows()[0].decision;
    let full = LpmPolicyError::Limit(Metric::FlowCount, Scope::GlobalDefault);
    if decision == Decision::reject(full) {
        return false;
    }
    assert_eq!(decision, Decision::accept(Priority::MIN), "flow {flow}");
    true
}

fn tear(pcm: &Pcm, flow: u32) {
    let tear = PathTear::new(session(), HOP, sender(flow));
    admit(pcm, &tear.build().expect("a PathTear")).expect("in charge");
}

/// Another build of the LPM: the same code in another file.
fn build(number: u8, to: &Path) {
    let mut contents = fs::read(identity_library()).expect("the library");
    contents.push(number);
    let aside = to.with_extension("new");
    fs::write(&aside, contents).expect("written");
    fs::rename(&aside, to).expect("in its place");
}

#[test]
fn a_new_build_has_all_flows_and_grants_none_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = folder.path().join("libidentity-handed-over.so");
    build(0, &library);
    let lpm = || {
        LpmConfig::new("identity", trusted(&library))
            .config(POLICY)
            // However slow the machine is.
            .result_time_limit(Duration::from_secs(300))
    };
    let events = RecordedEvents::default();
    let pcm = Pcm::builder()
        .lpm(lpm())
        .event_log(events.clone())
        .build()
        .expect("builds");
    pcm.become_dsbm().expect("starts");
    for flow in 0..FLOWS {
        assert!(is_granted(&pcm, flow));
    }
    assert!(!is_granted(&pcm, FLOWS));

    let is_over = AtomicBool::new(false);
    let (half, mut next) = (FLOWS / 2, FLOWS);
    // Of the others one after the other ends, and makes room for a new one.
    let mut others: VecDeque<u32> = (half..FLOWS).collect();
    thread::scope(|scope| {
        let refreshing = scope.spawn(|| {
            for flow in (0..half).cycle() {
                assert!(is_granted(&pcm, flow), "a refresh of {flow}");
                if is_over.load(Relaxed) {
                    break;
                }
            }
        });
        let changing = scope.spawn(|| {
            while !is_over.load(Relaxed) {
                assert!(!is_granted(&pcm, next), "one too many");
                let gone = others.pop_front().expect("there are some");
                tear(&pcm, gone);
                assert!(is_granted(&pcm, next), "there is room again");
                others.push_back(next);
                next += 1;
            }
        });
        for number in 1..=3 {
            build(number, &library);
            let done = pcm.reconfigure([lpm()]).expect("the new build");
            assert_eq!(done.kept.len(), 0);
            if unmaps() {
                assert_gone(&done.stopped.libraries[0].outcome);
            }
        }
        is_over.store(true, Relaxed);
        refreshing.join().expect("no refresh was refused");
        changing.join().expect("neither too many nor too few");
    });
    let took = events.of(EventId::LpmTookOver);
    assert_eq!(took.len(), 3, "{:?}", events.all());
    for event in took {
        println!("{}", event.detail);
    }
    assert_eq!(events.of(EventId::LpmTakeOverFailed), []);

    // All of them end, and there is room for as many, and no more.
    for flow in (0..half).chain(others) {
        assert!(is_granted(&pcm, flow), "{flow} is lost");
    }
    for flow in 0..next {
        tear(&pcm, flow);
    }
    for flow in 0..FLOWS {
        assert!(is_granted(&pcm, flow));
    }
    assert!(!is_granted(&pcm, FLOWS));
    pcm.shutdown().expect("in charge");
}

/// Another kind of LPM under the name, and a state of another version: it starts with nothing, and
/// says so.
#[test]
fn another_lpms_state_is_refused() {
    let events = RecordedEvents::default();
    let name = "policy";
    let other = LpmConfig::new(name, lpm_tests::library("hands-over"));
    let pcm = Pcm::builder().lpm(other).event_log(events.clone());
    let pcm = pcm.build().expect("builds");
    pcm.become_dsbm().expect("starts");
    let identity = LpmConfig::new(name, trusted(identity_library())).config(POLICY);
    pcm.reconfigure([identity.clone()]).expect("another LPM");
    let failed = events.of(EventId::LpmTakeOverFailed);
    let expected = "starts with nothing: state of 7 bytes was not taken over: the state is not what this LPM writes: ";
    assert!(failed[0].detail.starts_with(expected), "{failed:?}");
    assert!(is_granted(&pcm, 0));
}
