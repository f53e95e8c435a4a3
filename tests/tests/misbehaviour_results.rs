//! LPMs that put their answers off: what becomes of answers that are wrong, late, doubled, or never
//! given.
#![forbid(unsafe_code)]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use lpm_host::event::EventId;
use lpm_host::lpm_api::{Decision, LpmPolicyError, Priority, RejectReason};
use lpm_host::{Admission, LpmConfig, LpmStatus, Outcome, OutgoingVerdict, PinReason, Verdict};
use lpm_tests::messages::{path, rsvp_objects, with_received};
use lpm_tests::platform::{assert_gone, unmaps};
use lpm_tests::process::{in_own_process, name_of};
use lpm_tests::watched::Watched;
use lpm_tests::{fixture, in_process};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(1);

/// The fixture, and the file in which it writes what the PCM says.
struct Wrongly {
    _folder: TempDir,
    file: PathBuf,
    lpm: LpmConfig,
}

impl Wrongly {
    /// From a copy of the library, since it remembers requests in a static.
    fn in_this_way(way: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("said");
        let library = folder.path().join("libanswers_wrongly.so");
        let lpm = lpm_tests::fixture_copied("answers-wrongly", &library)
            .config(format!("{way}\n{}", file.display()))
            .result_time_limit(LIMIT);
        Self {
            _folder: folder,
            file,
            lpm,
        }
    }

    fn said(&self) -> Vec<String> {
        let said = fs::read_to_string(&self.file).expect("it wrote");
        said.lines().map(str::to_owned).collect()
    }
}

fn admit_later(watched: &Watched) -> Admission {
    with_received(&path(4000), |received| watched.pcm.admit_later(received)).expect("in charge")
}

fn is_failure(watched: &Watched, verdict: &Verdict) {
    let failed = Decision::reject(LpmPolicyError::NoResources);
    assert_eq!(verdict.flows()[0].decision, failed);
    assert_eq!(verdict.flows()[0].by, Some(watched.lpm));
    assert_eq!(watched.calls("delete_state"), 1);
}

#[test]
fn too_few_or_too_many_or_of_the_wrong_kind() {
    for way in ["too few", "too many", "objects for decisions"] {
        let wrongly = Wrongly::in_this_way(way);
        let watched = Watched::start(wrongly.lpm.clone());
        let verdict = watched.admit();
        is_failure(&watched, &verdict);
        assert_eq!(wrongly.said(), ["INV_RESULTS"]);
        let _ = watched.only(EventId::LpmResultRefused, LpmStatus::INVALID_RESULTS);
        assert_eq!(watched.calls("admit"), 1);
        assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    }
}

#[test]
fn decisions_for_a_request_for_objects() {
    let wrongly = Wrongly::in_this_way("decisions for objects");
    let watched = Watched::start(wrongly.lpm.clone());
    let verdict = rsvp_objects(&watched.pcm, &path(4000), 100).expect("in charge");
    let OutgoingVerdict::Send(objects) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(objects.late, [watched.lpm]);
    assert_eq!(wrongly.said(), ["INV_RESULTS"]);
    let _ = watched.only(EventId::LpmResultRefused, LpmStatus::INVALID_RESULTS);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

/// The first answer counts.
#[test]
fn twice() {
    let wrongly = Wrongly::in_this_way("twice");
    let watched = Watched::start(wrongly.lpm.clone());
    assert_eq!(watched.admit().outcome(), Outcome::Accept);
    assert_eq!(wrongly.said(), ["LPM_OK", "DUP_RESULTS"]);
    let _ = watched.only(EventId::LpmResultRefused, LpmStatus::DUPLICATE_RESULTS);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

#[test]
fn after_the_limit() {
    let wrongly = Wrongly::in_this_way("late");
    let watched = Watched::start(wrongly.lpm.clone());
    let admission = admit_later(&watched);
    watched.advance(LIMIT - Duration::from_millis(1));
    assert!(!admission.is_decided());
    watched.advance(Duration::from_millis(1));
    assert!(admission.is_decided());
    is_failure(&watched, &admission.wait());
    let _ = watched.only(EventId::LpmTimedOut, LpmStatus::TIME_OUT);
    assert_eq!(watched.admit().outcome(), Outcome::Accept);
    assert_eq!(wrongly.said(), ["LPM_TIME_OUT"]);
    let _ = watched.only(EventId::LpmResultRefused, LpmStatus::TIME_OUT);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

#[test]
fn to_requests_that_it_was_never_asked() {
    let wrongly = Wrongly::in_this_way("never asked");
    let watched = Watched::start(wrongly.lpm.clone());
    assert_eq!(watched.admit().outcome(), Outcome::Accept);
    assert_eq!(wrongly.said(), ["INV_REQ_HANDLE"; 4]);
    let refused = watched.about(EventId::LpmResultRefused);
    assert_eq!(refused.len(), 4);
    for event in refused {
        assert_eq!(event.status, Some(LpmStatus::INVALID_REQUEST_HANDLE));
    }
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

/// Two LPMs of one library: the second uses the handle of a request that the first was asked, as
/// its own, and, once the first is gone, as the first.
#[test]
fn for_another_lpm_and_after_its_end() {
    for (way, says) in [
        ("for another", LpmStatus::INVALID_REQUEST_HANDLE),
        ("after its end", LpmStatus::INVALID_LPM_HANDLE),
    ] {
        if in_process() {
            // They have no memory in common.
            return;
        }
        let wrongly = Wrongly::in_this_way(way);
        let keeps = Wrongly::in_this_way("keeps");
        let file = keeps.file.display();
        let keeps = LpmConfig::new("keeps", wrongly.lpm.source().clone())
            .config(format!("keeps\n{file}"))
            .result_time_limit(LIMIT);
        let watched = Watched::start(keeps.clone());
        let outstanding = admit_later(&watched);
        if way == "after its end" {
            // Stopping it is an answer.
            watched
                .pcm
                .reconfigure([wrongly.lpm.clone(), fixture("counts")])
                .expect("another list");
            assert!(outstanding.is_decided());
            assert_eq!(outstanding.wait().outcome(), Outcome::Reject);
        } else {
            watched
                .pcm
                .reconfigure([keeps, fixture("counts"), wrongly.lpm.clone()])
                .expect("another list");
            assert!(!outstanding.is_decided());
            drop(outstanding);
        }
        let later = admit_later(&watched);
        assert_eq!(wrongly.said(), [says.to_string()]);
        let refused = watched.events.of(EventId::LpmResultRefused);
        let news = usize::from(way == "for another");
        assert_eq!(refused.len(), news, "{refused:?}");
        watched.advance(LIMIT);
        let _ = later.wait();
        for library in watched.pcm.demote().expect("in charge").libraries {
            assert_gone(&library.outcome);
        }
    }
}

#[test]
fn from_a_thread_that_nobody_joins() {
    for (way, stays) in [("ends", false), ("stays", true)] {
        let watched = Watched::start(fixture("answers-from-detached-thread").config(way));
        let verdict = watched.admit();
        let accepted = Decision::accept(Priority::MAX);
        assert_eq!(verdict.flows()[0].decision, accepted);
        assert_eq!(verdict.flows()[0].by, Some(watched.lpm));
        assert_eq!(watched.calls("admit"), 1);
        let (status, reasons) = watched.end();
        assert_eq!(status, LpmStatus::OK);
        if stays && !in_process() && unmaps() {
            assert_eq!(lpm_tests::running(reasons), ["detached"]);
        } else {
            assert_eq!(reasons, []);
        }
    }
}

/// A token that is dropped rejects at once; one that is leaked when the limit is over.
#[test]
fn never() {
    let watched = Watched::start(fixture("forgets").config("drops"));
    is_failure(&watched, &watched.admit());
    let _ = watched.only(EventId::LpmCallFailed, LpmStatus::FORGOTTEN);
    let objects = rsvp_objects(&watched.pcm, &path(4000), 100).expect("in charge");
    assert!(matches!(objects, OutgoingVerdict::Send(objects) if objects.late == [watched.lpm]));
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));

    let watched = Watched::start(fixture("forgets").config("leaks").result_time_limit(LIMIT));
    let admission = admit_later(&watched);
    assert_eq!(watched.calls("admit"), 1);
    watched.advance(LIMIT);
    is_failure(&watched, &admission.wait());
    let _ = watched.only(EventId::LpmTimedOut, LpmStatus::TIME_OUT);
    let outstanding = admit_later(&watched);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    assert!(outstanding.is_decided());
    let verdict = outstanding.wait();
    assert_eq!(verdict.flows()[0].by, Some(watched.lpm));
    assert_eq!(verdict.outcome(), Outcome::Reject);
}

/// What an adapter may pass that `export_lpm!` cannot.
#[test]
fn nonsense() {
    let accepts = |verdict: &Verdict, watched: &Watched| {
        assert_eq!(verdict.outcome(), Outcome::Accept);
        assert_eq!(verdict.flows()[0].by, Some(watched.other));
    };
    let rejects = |verdict: &Verdict, watched: &Watched| is_failure(watched, verdict);
    type Check<'a> = &'a dyn Fn(&Verdict, &Watched);
    let invalid = LpmStatus::INVALID_RESULTS;
    let cases: [(&str, Check<'_>, EventId, LpmStatus); 5] = [
        ("unanswered", &accepts, EventId::LpmInvalidDecision, invalid),
        ("reserved", &accepts, EventId::LpmInvalidDecision, invalid),
        ("no reason", &rejects, EventId::LpmInvalidDecision, invalid),
        ("later", &rejects, EventId::LpmResultRefused, invalid),
        ("status", &rejects, EventId::LpmCallFailed, LpmStatus(4711)),
    ];
    for (what, check, event, status) in cases {
        let watched = Watched::start(fixture("speaks-nonsense").config(what));
        check(&watched.admit(), &watched);
        assert_eq!(watched.about(event)[0].status, Some(status), "{what}");
        assert_eq!(watched.calls("admit"), 1);
        assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    }
}

/// In a process where no other test takes the next handle.
#[test]
fn answers_for_another_lpm() {
    in_own_process(&name_of(module_path!(), "answers_for_another_lpm"), || {
        for (what, status) in [
            ("as nobody", LpmStatus::INVALID_LPM_HANDLE),
            ("as the next", LpmStatus::INVALID_REQUEST_HANDLE),
        ] {
            let watched = Watched::start(fixture("speaks-nonsense").config(what));
            // One in a process of its own has its own handle, whatever it says.
            let status = match in_process() {
                true => LpmStatus::INVALID_REQUEST_HANDLE,
                false => status,
            };
            let value = u16::try_from(status.0).expect("a small number") + 1;
            let said = RejectReason::new(200, value).map(Decision::Reject);
            assert_eq!(Some(watched.admit().flows()[0].decision), said);
            assert_eq!(watched.end(), (LpmStatus::OK, vec![] as Vec<PinReason>));
        }
    });
}
