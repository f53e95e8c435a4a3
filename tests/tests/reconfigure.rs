//! Another list of LPMs while the PCM is in charge, and what LPMs are told from start to end.
#![forbid(unsafe_code)]

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use lpm_host::error::{BuildError, PcmError, StartError};
use lpm_host::event::EventId;
use lpm_host::lpm_api::LpmPolicyError;
use lpm_host::{
    AddressRow, CommitDecision, CommittedResv, Decision, DeinitReason, DeleteReason, LpmConfig,
    Outcome, Pcm, StateGone,
};
use lpm_tests::messages::{INTERFACE, admit, path, path_tear, resv, rsvp_objects, with_received};
use lpm_tests::platform::assert_gone;
use lpm_tests::{RecordedEvents, fixture, fixture_copied, library};

fn counts(name: &str) -> LpmConfig {
    LpmConfig::new(name, library("counts"))
}

fn names<'a>(lpms: impl IntoIterator<Item = &'a lpm_host::InitializedLpm>) -> Vec<&'a str> {
    lpms.into_iter().map(|lpm| &*lpm.name).collect()
}

#[test]
fn unchanged_lpms_go_on() {
    let events = RecordedEvents::default();
    let pcm = Pcm::builder()
        .lpm(counts("kept"))
        .lpm(counts("changed").config("before"))
        .lpm(fixture("office-hours").config("0-24"))
        .event_log(events.clone());
    let pcm = pcm.build().expect("builds");
    let before = pcm.become_dsbm().expect("starts").lpms;
    admit(&pcm, &path(4000)).expect("in charge");

    let list = [
        counts("new"),
        counts("changed").config("after"),
        counts("kept"),
    ];
    let done = pcm.reconfigure(list).expect("another list");
    assert_eq!(names(&done.kept), ["kept"]);
    assert_eq!(done.kept[0].handle, before[0].handle);
    assert_eq!(names(&done.started.lpms), ["new", "changed"]);
    let stopped: Vec<_> = done
        .stopped
        .lpms
        .iter()
        .map(|lpm| (&*lpm.name, lpm.handle, lpm.reason))
        .collect();
    let reason = DeinitReason::Reconfiguration;
    let expected = [
        ("office-hours", before[2].handle, reason),
        ("changed", before[1].handle, reason),
    ];
    assert_eq!(stopped, expected);
    assert_eq!(
        done.stopped.libraries.len(),
        1,
        "that of the office hours only"
    );
    assert_gone(&done.stopped.libraries[0].outcome);
    assert_eq!(events.of(EventId::Reconfigured).len(), 1);

    admit(&pcm, &path(4000)).expect("in charge");
    let statistics = pcm.statistics().expect("in charge");
    let asked: Vec<_> = statistics
        .iter()
        .map(|lpm| {
            let counters = lpm.counters.as_ref().expect("it counts");
            (&*lpm.name, counters[1].1)
        })
        .collect();
    assert_eq!(asked, [("new", 1), ("changed", 1), ("kept", 2)]);
    let teardown = pcm.demote().expect("in charge");
    let ended: Vec<_> = teardown.lpms.iter().map(|lpm| &*lpm.name).collect();
    assert_eq!(ended, ["kept", "changed", "new"]);

    // The list stays.
    let startup = pcm.become_dsbm().expect("starts again");
    assert_eq!(names(&startup.lpms), ["new", "changed", "kept"]);
}

#[test]
fn a_list_that_does_not_start_changes_nothing() {
    let pcm = Pcm::builder().lpm(counts("kept")).lpm(counts("other"));
    let pcm = pcm.build().expect("builds");
    let before = pcm.become_dsbm().expect("starts").lpms;
    let list = [
        counts("kept"),
        counts("new"),
        fixture("errs").config("initialize"),
    ];
    let error = pcm.reconfigure(list).expect_err("one fails");
    assert!(matches!(error, StartError::Lpms { .. }), "{error}");
    let none = pcm.reconfigure([]).expect_err("none");
    assert!(matches!(none, StartError::Config(BuildError::NoLpms)));
    let statistics = pcm.statistics().expect("in charge");
    let handles: Vec<_> = statistics.iter().map(|lpm| lpm.handle).collect();
    assert_eq!(handles, [before[0].handle, before[1].handle]);
    assert_eq!(
        admit(&pcm, &path(4000)).map(|verdict| verdict.outcome()),
        Ok(Outcome::Accept)
    );

    // Optional ones may fail.
    let list = [
        counts("kept"),
        fixture("errs").config("initialize").optional(true),
    ];
    let done = pcm.reconfigure(list).expect("another list");
    assert_eq!(done.started.failed.len(), 1);
    assert_eq!(names(&done.kept), ["kept"]);
    pcm.shutdown().expect("in charge");
    let error = pcm.reconfigure([counts("late")]).expect_err("shut down");
    assert!(matches!(error, StartError::Pcm(PcmError::ShutDown)));
}

#[test]
fn a_library_that_changed_is_reloaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("libreloaded.so");
    let lpm = || LpmConfig::new("lpm", lpm_tests::trusted(&file));
    drop(fixture_copied("counts", &file));
    let pcm = Pcm::builder().lpm(lpm()).build().expect("builds");
    let before = pcm.become_dsbm().expect("starts").lpms[0].handle;
    let same = pcm.reconfigure([lpm()]).expect("the same list");
    assert_eq!(same.kept[0].handle, before);
    assert_eq!(
        admit(&pcm, &path(4000)).map(|it| it.outcome()),
        Ok(Outcome::Accept)
    );

    fs::copy(lpm_fixtures::library("forgets"), &file).expect("a copy");
    let done = pcm.reconfigure([lpm()]).expect("the changed library");
    assert_eq!(done.kept.len(), 0);
    assert_ne!(done.started.lpms[0].handle, before);
    assert_eq!(done.stopped.lpms[0].handle, before);
    assert_gone(&done.stopped.libraries[0].outcome);
    assert_eq!(
        admit(&pcm, &path(4000)).map(|it| it.outcome()),
        Ok(Outcome::Reject)
    );
}

/// No message falls between two lists.
#[test]
fn messages_are_decided_meanwhile() {
    let pcm = Pcm::builder().lpm(counts("0")).build().expect("builds");
    pcm.become_dsbm().expect("starts");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let ask = || {
            let mut asked = 0;
            while !is_over.load(Ordering::Relaxed) {
                let verdict = admit(&pcm, &path(4000)).expect("one list or the other");
                assert_eq!(verdict.outcome(), Outcome::Accept);
                asked += 1;
            }
            asked
        };
        let asking = [scope.spawn(ask), scope.spawn(ask)];
        for number in 1..30 {
            let list = [counts(&number.to_string()), counts("another")];
            pcm.reconfigure(list).expect("another list");
        }
        is_over.store(true, Ordering::Relaxed);
        for asking in asking {
            assert_ne!(asking.join().expect("no panic"), 0);
        }
    });
}

#[test]
fn lpms_are_told_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("calls");
    let row = |interface_index, address: &str, prefix_length| AddressRow {
        interface_index,
        media_type: 6,
        address: address.parse().expect("an address"),
        prefix_length,
    };
    let before = [row(1, "192.0.2.1", 24), row(2, "2001:db8::1", 64)];
    let after = [row(3, "198.51.100.1", 30)];
    let lpm = fixture("witnesses")
        .config(file.to_str().expect("UTF-8"))
        .config_source("a test")
        .config_dir(folder.path());
    let pcm = Pcm::builder()
        .lpm(lpm)
        .lpm(fixture("office-hours").config("0-24"));
    let pcm = pcm.build().expect("builds");
    pcm.set_ip_address_table(&before);
    pcm.become_dsbm().expect("starts");
    let verdict = admit(&pcm, &resv()).expect("in charge");
    assert_eq!(verdict.flows().len(), 2);
    assert!(verdict.immediate_refresh());
    pcm.set_ip_address_table(&after);
    rsvp_objects(&pcm, &path(4000), 1234).expect("in charge");
    with_received(&resv(), |received| {
        let merged = [0, 8, 9, 2, 0, 0, 0, 0];
        for (decision, flow, merged) in [
            (CommitDecision::ResourcesAllocated, 1, None),
            (CommitDecision::ResourcesModified, 0, Some(&merged[..])),
        ] {
            pcm.commit_resv(&CommittedResv {
                decision,
                message: received.message,
                flow,
                interface: received.interface,
                merged,
            })
            .expect("in charge");
        }
        for (reason, flow, interface) in [
            (DeleteReason::AdmissionControlFailed, Some(1), None),
            (DeleteReason::StateTimeout, None, Some(INTERFACE)),
            (DeleteReason::FlowDuration, Some(0), Some(INTERFACE)),
        ] {
            pcm.delete_state(&StateGone {
                reason,
                message: received.message,
                flow,
                interface,
            })
            .expect("in charge");
        }
    });
    admit(&pcm, &path_tear(4000)).expect("in charge");

    let calls = fs::read_to_string(&file).expect("the calls");
    let calls: Vec<_> = calls.lines().collect();
    let interface = format!("interface={INTERFACE:?}");
    let some = format!("interface={:?}", Some(INTERFACE));
    let directory = folder.path();
    let expected = [
        format!(
            "initialize name=witnesses source=a test dir={:?} limit=5s count=2 version=1",
            Some(directory)
        ),
        format!("ip_address_table {before:?}"),
        format!("admit Resv {interface} verified=false flows=2"),
        format!("ip_address_table {after:?}"),
        format!("rsvp_objects Path {interface} room=1234"),
    ];
    assert_eq!(calls[..5], expected);
    let allocated = format!("commit_resv ResourcesAllocated Resv {interface} flow=Some(1) ");
    assert!(calls[5].starts_with(&allocated), "{}", calls[5]);
    assert!(calls[5].contains("250000"), "{}", calls[5]);
    let modified = format!("commit_resv ResourcesModified Resv {interface} flow=Some(0) ");
    assert!(calls[6].starts_with(&modified), "{}", calls[6]);
    assert!(!calls[6].contains("125000"), "{}", calls[6]);
    let expected = [
        "delete_state AdmissionControlFailed Resv interface=None flows=[1]".to_owned(),
        format!("delete_state StateTimeout Resv {some} flows=[0, 1]"),
        format!("delete_state FlowDuration Resv {some} flows=[0]"),
        format!("delete_state ReceivedPathTear PathTear {some} flows=[0]"),
    ];
    assert_eq!(calls[7..], expected);
}

/// `Statistics` is an extension: an LPM offers it or not.
#[test]
fn statistics_where_there_are_some() {
    let pcm = Pcm::builder()
        .lpm(fixture("counts"))
        .lpm(fixture("office-hours").config("0-1"));
    let pcm = pcm.build().expect("builds");
    assert_eq!(pcm.statistics(), Err(PcmError::NotDsbm));
    pcm.become_dsbm().expect("starts");
    let verdict = admit(&pcm, &path(4000)).expect("in charge");
    let rejected = Decision::reject(LpmPolicyError::NoPrivileges);
    assert_eq!(verdict.flows()[0].decision, rejected);
    let statistics = pcm.statistics().expect("in charge");
    let expected = [
        ("ip_address_table", 1),
        ("admit", 1),
        ("rsvp_objects", 0),
        ("commit_resv", 0),
        ("delete_state", 1),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(statistics[0].counters, Some(expected.to_vec()));
    assert_eq!(statistics[1].counters, None);
}
