//! An LPM in a process of its own is asked and told as any LPM is.
#![cfg(any(target_os = "linux", windows))]
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::time::Duration;

use lpm_host::event::EventId;
use lpm_host::lpm_rsvp::build::Path;
use lpm_host::lpm_rsvp::{FilterSpec, RsvpHop, Session, TimeValues, Tspec};
use lpm_host::{
    AddressRow, CallMode, Isolation, LpmConfig, LpmStatus, Outcome, OutgoingVerdict, Pcm, Verdict,
};
use lpm_tests::messages::{admit, commit_resv, path, path_tear, resv, rsvp_objects, with_received};
use lpm_tests::platform::{assert_gone, is_gone, is_there};
use lpm_tests::process::in_own_process;
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
        assert_gone(&teardown.libraries[0].outcome);
        assert_eq!(
            events.all().iter().filter(|event| is_gone(event)).count(),
            1
        );
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
    // Those of other tests may stay mapped in theirs.
    in_own_process("the_library_is_not_mapped_here", || {
        let pcm = pcm(isolated(fixture("accepts")), &RecordedEvents::default());
        let report = pcm.status().lpms.remove(0);
        assert_eq!(report.isolation, Isolation::Process);
        let initialized = report.initialized.expect("it is");
        assert!(initialized.version.is_some());
        let process = initialized.process.expect("it has one");
        assert!(is_there(process));
        #[cfg(target_os = "linux")]
        {
            let maps = |process: &str| {
                let maps = std::fs::read_to_string(format!("/proc/{process}/maps"));
                maps.expect("Linux lists a process's mappings")
            };
            assert!(maps(&process.to_string()).contains("accepts"));
            assert!(!maps("self").contains("accepts"));
        }
        let _ = pcm.demote().expect("in charge");
        assert!(!is_there(process));
    });
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

/// A Path whose sender's address says what `defers` is to answer.
fn ordered(order: u8, port: u16) -> Vec<u8> {
    let session = Session::new(Ipv4Addr::new(192, 0, 2, 80), 17, 5004).expect("a session");
    let sender = FilterSpec::new(Ipv4Addr::new(198, 51, 100, order), port);
    let hop = RsvpHop {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254)),
        logical_interface: 0,
    };
    let tspec = Tspec {
        rate: 125_000.0,
        bucket: 3_000.0,
        peak_rate: f32::INFINITY,
        min_policed: 64,
        max_packet: 1_500,
    };
    let path = Path::new(session, hop, TimeValues::DEFAULT, sender, tspec);
    path.build().expect("a legal message")
}

/// Of threads of its own, so that it is asked about many messages in one call.
fn on_threads(lpm: LpmConfig, threads: usize) -> LpmConfig {
    let threads = NonZeroUsize::new(threads).expect("some");
    let lpm = isolated(lpm).call_mode(CallMode::Worker { threads });
    lpm.result_time_limit(Duration::from_secs(3600))
}

#[test]
fn each_of_many_in_flight_gets_its_own_verdict() {
    let orders = [0, 1, 2, 3, 4];
    for threads in [1, 3] {
        let pcm = pcm(
            on_threads(fixture("defers").config("3"), threads),
            &RecordedEvents::default(),
        );
        let messages = orders.map(|order| ordered(order, 4000));
        let expected = messages
            .each_ref()
            .map(|message| told(&admit(&pcm, message).expect("in charge")));
        let open: Vec<_> = (0..2_000)
            .map(|number| {
                let message = &messages[number * 7 % orders.len()];
                let later = with_received(message, |received| pcm.admit_later(received));
                later.expect("in charge")
            })
            .collect();
        for (number, open) in open.into_iter().enumerate() {
            let expected = &expected[number * 7 % orders.len()];
            assert_eq!(&told(&open.wait()), expected, "{number} on {threads}");
        }
        let distinct: std::collections::BTreeSet<_> = expected.iter().collect();
        assert_eq!(distinct.len(), orders.len(), "{expected:?}");
        // A fifth each, of which two are accepted.
        let counts = pcm.metrics().remove(0);
        let decided = [
            counts.accepted,
            counts.rejected,
            counts.dropped,
            counts.dont_care,
        ];
        assert_eq!(decided, [802, 401, 401, 401], "{counts:?}");
        assert_eq!([counts.requests, counts.failed, counts.late], [2_005, 0, 0]);
    }
}

#[test]
fn many_in_flight_may_be_put_off() {
    let pcm = pcm(
        on_threads(fixture("accepts").config("deferred"), 1),
        &RecordedEvents::default(),
    );
    let open: Vec<_> = (0..1_000)
        .map(|_| with_received(&path(4000), |received| pcm.admit_later(received)))
        .collect();
    for open in open {
        assert_eq!(open.expect("in charge").wait().outcome(), Outcome::Accept);
    }
    let kept = self::pcm(
        on_threads(fixture("accepts").config("kept"), 1),
        &RecordedEvents::default(),
    );
    let open: Vec<_> = (0..1_000)
        .map(|_| with_received(&path(4000), |received| kept.admit_later(received)))
        .collect();
    let _ = kept.demote().expect("in charge");
    for open in open {
        assert_eq!(open.expect("in charge").wait().outcome(), Outcome::Reject);
    }
}

#[test]
fn a_crash_rejects_what_is_in_flight() {
    let events = RecordedEvents::default();
    let pcm = pcm(on_threads(fixture("crashes").config("abort"), 1), &events);
    let ports = (1..=1_000).map(|number| if number == 500 { 6666 } else { 4000 });
    let open: Vec<_> = ports
        .map(|port| with_received(&path(port), |received| pcm.admit_later(received)))
        .collect();
    let outcomes = open.into_iter().map(|open| {
        let verdict = open.expect("in charge").wait();
        verdict.outcome()
    });
    let outcomes: Vec<_> = outcomes.collect();
    // Those after the one that it died of, and those before whose answers it had not given yet.
    assert!(outcomes[499..].iter().all(|it| *it == Outcome::Reject));
    assert_eq!(events.of(EventId::LpmProcessEnded).len(), 1);
}

#[test]
fn what_it_is_told_comes_in_order_with_what_it_is_asked() {
    let pcm = pcm(on_threads(fixture("counts"), 1), &RecordedEvents::default());
    let mut open = Vec::new();
    for number in 0..200 {
        let later = with_received(&path(4000), |received| pcm.admit_later(received));
        open.push(later.expect("in charge"));
        if number % 10 == 9 {
            let _ = admit(&pcm, &path_tear(4000)).expect("in charge");
            let counters = pcm.statistics().expect("in charge").remove(0).counters;
            let counters = counters.expect("it counts");
            // It was asked about all before it was told.
            let asked = ("admit".to_owned(), number + 1);
            assert!(counters.contains(&asked), "{counters:?}");
        }
    }
    for open in open {
        assert_eq!(open.wait().outcome(), Outcome::Accept);
    }
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

/// What the threads of a process, or of this one, or this thread had of the processors.
#[cfg(target_os = "linux")]
fn processor_time(of: &str) -> Duration {
    let one = |folder: std::path::PathBuf| {
        // A thread that has just ended had nothing more.
        let text = std::fs::read_to_string(folder.join("schedstat")).unwrap_or_default();
        let nanoseconds = text.split_whitespace().next();
        Duration::from_nanos(nanoseconds.map_or(0, |it| it.parse().expect("a number")))
    };
    let folder = std::path::Path::new("/proc").join(of);
    match std::fs::read_dir(folder.join("task")) {
        Ok(threads) => threads
            .map(|thread| one(thread.expect("it is listed").path()))
            .sum(),
        Err(_) => one(folder),
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_idle_one_takes_no_processor() {
    let pcm = pcm(isolated(fixture("accepts")), &RecordedEvents::default());
    for _ in 0..5_000 {
        let _ = admit(&pcm, &path(4000)).expect("in charge");
    }
    let process = pcm.status().lpms.remove(0).initialized.expect("it is");
    let process = process.process.expect("it has one").to_string();
    let before = processor_time(&process);
    assert!(before > Duration::ZERO);
    std::thread::sleep(Duration::from_millis(500));
    let idle = processor_time(&process) - before;
    assert!(idle < Duration::from_millis(25), "{idle:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn who_waits_for_one_that_hangs_takes_no_processor() {
    let limit = Duration::from_secs(1);
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().to_str().expect("UTF-8");
    let lpm = isolated(fixture("hangs-in-admit").config(config));
    let pcm = pcm(lpm.result_time_limit(limit), &RecordedEvents::default());
    let before = processor_time("thread-self");
    let began = std::time::Instant::now();
    let verdict = admit(&pcm, &path(4000)).expect("in charge");
    assert_eq!(verdict.outcome(), Outcome::Reject);
    assert!(began.elapsed() >= limit);
    let waited = processor_time("thread-self") - before;
    assert!(waited < limit / 10, "{waited:?}");
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
