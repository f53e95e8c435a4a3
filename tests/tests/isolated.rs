//! An LPM in a process of its own is asked and told as any LPM is.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use lpm_host::event::EventId;
use lpm_host::{
    AddressRow, CallMode, Isolation, LpmConfig, LpmStatus, Outcome, OutgoingVerdict, Pcm,
    UnloadOutcome, Verdict,
};
use lpm_tests::messages::{admit, commit_resv, path, path_tear, resv, rsvp_objects, with_received};
use lpm_tests::watched::Watched;
use lpm_tests::{RecordedEvents, fixture, runner};

fn isolated(lpm: LpmConfig) -> LpmConfig {
    lpm.isolation(Isolation::Process)
}

/// The same LPM in each way that it can run.
fn everywhere(lpm: &LpmConfig) -> [LpmConfig; 3] {
    let worker = isolated(lpm.clone()).call_mode(CallMode::worker());
    [lpm.clone(), isolated(lpm.clone()), worker]
}

fn pcm(lpm: LpmConfig, events: &RecordedEvents) -> Pcm {
    let pcm = Pcm::builder().lpm(lpm).runner(runner());
    let pcm = pcm.event_log(events.clone()).build().expect("builds");
    pcm.become_dsbm().expect("starts");
    pcm
}

fn told(verdict: &Verdict) -> String {
    let flows = verdict.flows().iter().map(|flow| flow.decision);
    format!("{:?} {:?}", verdict.outcome(), flows.collect::<Vec<_>>())
}

#[test]
fn it_decides_as_in_the_pcm_itself() {
    let lpms = [
        fixture("accepts"),
        fixture("accepts").config("deferred"),
        fixture("office-hours").config("8-18"),
        fixture("speaks-nonsense"),
        fixture("counts"),
    ];
    for lpm in lpms {
        let verdicts = everywhere(&lpm).map(|lpm| {
            let pcm = pcm(lpm, &RecordedEvents::default());
            let messages = [path(4000), resv(), path_tear(4000), path(1)];
            messages.map(|message| told(&admit(&pcm, &message).expect("in charge")))
        });
        assert_eq!(verdicts[0], verdicts[1], "{}", lpm.name());
        assert_eq!(verdicts[0], verdicts[2], "{}", lpm.name());
    }
}

#[test]
fn it_is_told_and_asked_all_that_there_is() {
    let row = AddressRow {
        interface_index: 1,
        media_type: 6,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        prefix_length: 8,
    };
    for lpm in everywhere(&fixture("counts").isolation(Isolation::None)) {
        let events = RecordedEvents::default();
        let pcm = pcm(lpm, &events);
        pcm.set_ip_address_table(&[row; 100]);
        let _ = admit(&pcm, &path(4000)).expect("in charge");
        let _ = rsvp_objects(&pcm, &path(4000), 100).expect("in charge");
        commit_resv(&pcm).expect("in charge");
        let _ = admit(&pcm, &path_tear(4000)).expect("in charge");
        let counters = pcm.statistics().expect("in charge").remove(0).counters;
        let counted = |name: &str, count| (name.to_owned(), count);
        let expected = [
            counted("ip_address_table", 2),
            counted("admit", 1),
            counted("rsvp_objects", 1),
            counted("commit_resv", 1),
            counted("delete_state", 1),
        ];
        assert_eq!(counters.expect("it counts"), expected);
        let teardown = pcm.demote().expect("in charge");
        assert_eq!(teardown.lpms[0].status, LpmStatus::OK);
        assert_eq!(teardown.libraries[0].outcome, UnloadOutcome::Unmapped);
        assert_eq!(events.of(EventId::LibraryUnmapped).len(), 1);
    }
}

#[test]
fn it_supplies_objects_at_once_and_later() {
    for config in ["2", "2 later", "2 own"] {
        let supplied = everywhere(&fixture("supplies").config(config)).map(|lpm| {
            let pcm = pcm(lpm, &RecordedEvents::default());
            match rsvp_objects(&pcm, &path(4000), 1000).expect("in charge") {
                OutgoingVerdict::Send(objects) => objects.policy_data,
                other => panic!("{config}: {other:?}"),
            }
        });
        assert_eq!(supplied[0], supplied[1], "{config}");
        assert_eq!(supplied[0], supplied[2], "{config}");
    }
}

#[test]
fn its_panics_are_put_on_record_before_the_call_returns() {
    for method in ["admit", "commit_resv", "delete_state", "rsvp_objects"] {
        let watched = Watched::start(isolated(fixture("panics").config(method)));
        match method {
            "admit" => drop(watched.admit()),
            "commit_resv" => commit_resv(&watched.pcm).expect("in charge"),
            "rsvp_objects" => {
                drop(rsvp_objects(&watched.pcm, &path(4000), 100).expect("in charge"));
            }
            _ => drop(admit(&watched.pcm, &path_tear(4000)).expect("in charge")),
        }
        let panicked = watched.only(EventId::LpmPanicked, LpmStatus::PANICKED);
        assert!(
            panicked.detail.contains("panics as it is told to"),
            "{panicked:?}"
        );
        let _ = watched.only(EventId::LpmCallFailed, LpmStatus::PANICKED);
        assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    }
}

#[test]
fn the_library_is_not_mapped_here() {
    let pcm = pcm(isolated(fixture("accepts")), &RecordedEvents::default());
    let report = pcm.status().lpms.remove(0);
    assert_eq!(report.isolation, Isolation::Process);
    let initialized = report.initialized.expect("it is");
    assert!(initialized.version.is_some());
    let process = initialized.process.expect("it has one");
    let maps = |process: &str| {
        let maps = std::fs::read_to_string(format!("/proc/{process}/maps"));
        maps.expect("Linux lists a process's mappings")
    };
    assert!(maps(&process.to_string()).contains("accepts"));
    assert!(!maps("self").contains("accepts"));
    let _ = pcm.demote().expect("in charge");
    assert!(!Path::new(&format!("/proc/{process}")).exists());
}

#[test]
fn many_are_asked_at_once() {
    let pcm = pcm(isolated(fixture("counts")), &RecordedEvents::default());
    std::thread::scope(|scope| {
        // More than there are places for.
        for _ in 0..100 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let verdict = admit(&pcm, &path(4000)).expect("in charge");
                    assert_eq!(verdict.outcome(), Outcome::Accept);
                }
            });
        }
    });
    let counters = pcm.statistics().expect("in charge").remove(0).counters;
    let counters = counters.expect("it counts");
    assert!(
        counters.contains(&("admit".to_owned(), 2000)),
        "{counters:?}"
    );
}

#[test]
fn calls_that_wait_hold_up_no_others() {
    // It is put off, and there is nobody to answer.
    let lpm = isolated(fixture("crashes").config("exit"));
    let pcm = pcm(
        lpm.result_time_limit(Duration::from_secs(3600)),
        &RecordedEvents::default(),
    );
    let open = with_received(&path(5555), |received| pcm.admit_later(received));
    let open = open.expect("in charge");
    let verdict = admit(&pcm, &path(4000)).expect("in charge");
    assert_eq!(verdict.outcome(), Outcome::Accept);
    let _ = pcm.demote().expect("in charge");
    assert_eq!(open.wait().outcome(), Outcome::Reject);
}

#[test]
fn what_does_not_load_or_initialize_says_why() {
    let absent = lpm_tests::trusted("/absent/lib.so");
    let lpms = [
        isolated(LpmConfig::new("absent", absent)),
        isolated(fixture("no-lpm")),
        isolated(fixture("office-hours").config("never")),
    ];
    for lpm in lpms {
        let errors = [lpm.clone().isolation(Isolation::None), lpm].map(|lpm| {
            let pcm = Pcm::builder().lpm(lpm).runner(runner());
            let pcm = pcm
                .event_log(RecordedEvents::default())
                .build()
                .expect("builds");
            pcm.become_dsbm()
                .expect_err("it does not start")
                .to_string()
        });
        assert_eq!(errors[0], errors[1]);
    }
}
