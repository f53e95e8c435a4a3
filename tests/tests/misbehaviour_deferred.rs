//! Answers that come later, as they should: to callers that wait, to futures, to callbacks; many at
//! once, and none any more once the LPM is stopped.
#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use lpm_host::error::PcmError;
use lpm_host::event::EventId;
use lpm_host::lpm_api::{Decision, LpmPolicyError, Priority, RejectReason};
use lpm_host::{Admission, LpmStatus, Outcome, Pcm, Verdict};
use lpm_tests::fixture;
use lpm_tests::messages::{admit, orders, path, with_received};
use lpm_tests::watched::Watched;

const DEFER: u8 = 5;
const LIMIT: Duration = Duration::from_secs(1);

fn start() -> Watched {
    Watched::start(fixture("defers").config("1").result_time_limit(LIMIT))
}

fn admit_later(pcm: &Pcm, name: u16) -> Admission {
    let message = orders(5004, [DEFER, 0, 0], name);
    with_received(&message, |received| pcm.admit_later(received)).expect("in charge")
}

/// Gives an order about an earlier request; returns what the PCM said to the LPM about it.
fn order(pcm: &Pcm, order: u8, name: u16) -> LpmStatus {
    let verdict = admit(pcm, &orders(7, [order, 0, 0], name)).expect("in charge");
    match verdict.flows()[0].decision {
        Decision::Reject(reason) if reason.code() == 200 => LpmStatus((reason.value() - 1).into()),
        other => panic!("{other:?}"),
    }
}

#[derive(Default)]
struct CountsWakes(AtomicUsize);

impl Wake for CountsWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_future() {
    let watched = start();
    let mut admission = admit_later(&watched.pcm, 1);
    let wakes = [
        Arc::new(CountsWakes::default()),
        Arc::new(CountsWakes::default()),
    ];
    for wakes in &wakes {
        let waker = Waker::from(Arc::clone(wakes));
        let polled = Pin::new(&mut admission).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    assert!(!admission.is_decided());
    // 8: from another thread.
    assert_eq!(order(&watched.pcm, 8, 1), LpmStatus::OK);
    let woken = wakes
        .each_ref()
        .map(|wakes| wakes.0.load(Ordering::Relaxed));
    assert_eq!(woken, [0, 1], "the waker that came last");
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(verdict) = Pin::new(&mut admission).poll(&mut context) else {
        panic!("every LPM answered")
    };
    assert_eq!(verdict.outcome(), Outcome::Accept);
    assert_eq!(verdict.flows()[0].by, Some(watched.lpm));
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

#[test]
fn an_immediate_refresh() {
    let watched = start();
    let admission = admit_later(&watched.pcm, 1);
    assert_eq!(order(&watched.pcm, 9, 1), LpmStatus::OK);
    assert!(admission.wait().immediate_refresh());
}

#[test]
fn a_caller_that_waits() {
    let watched = start();
    let verdict = thread::scope(|scope| {
        let waits = scope.spawn(|| admit(&watched.pcm, &orders(5004, [DEFER, 0, 0], 1)));
        // The LPM is asked before the other one, which counts.
        while watched.calls("admit") == 0 {
            thread::yield_now();
        }
        assert_eq!(order(&watched.pcm, 4, 1), LpmStatus::OK);
        waits.join().expect("no panic").expect("in charge")
    });
    let rejected = Decision::reject(LpmPolicyError::UnknownUser);
    assert_eq!(verdict.flows()[0].decision, rejected);
    // That of the order, and that of the message.
    assert_eq!(watched.calls("delete_state"), 2);
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

#[test]
fn callbacks() {
    let watched = start();
    let ask = |message: &[u8]| {
        let (tell, told) = mpsc::channel::<(Verdict, thread::ThreadId)>();
        let callback = move |verdict| {
            tell.send((verdict, thread::current().id()))
                .expect("it is awaited");
        };
        let asked = with_received(message, |received| {
            watched.pcm.admit_with(received, callback)
        });
        (asked, told)
    };
    let (asked, told) = ask(&path(4000));
    asked.expect("in charge");
    let (verdict, thread) = told.try_recv().expect("called already");
    assert_eq!(verdict.outcome(), Outcome::Accept);
    assert_eq!(thread, thread::current().id());

    let (asked, told) = ask(&orders(5004, [DEFER, 0, 0], 1));
    asked.expect("in charge");
    assert!(told.try_recv().is_err());
    assert_eq!(order(&watched.pcm, 3, 1), LpmStatus::OK);
    let (verdict, thread) = told.recv().expect("called");
    let accepted = Decision::accept(Priority::new(10).expect("a priority"));
    assert_eq!(verdict.flows()[0].decision, accepted);
    assert_ne!(thread, thread::current().id());

    // One that is outstanding at the end is called as well, and one that comes after it is not.
    let (asked, told) = ask(&orders(5004, [DEFER, 0, 0], 2));
    asked.expect("in charge");
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    assert_eq!(
        told.recv().expect("called").0.flows()[0].by,
        Some(watched.lpm)
    );
    let (asked, told) = ask(&path(4000));
    assert_eq!(asked, Err(PcmError::NotDsbm));
    assert!(told.recv().is_err());
}

/// Nobody wants to know any more: every LPM is told to forget the flow, once the last has answered.
#[test]
fn a_future_that_is_dropped() {
    let watched = start();
    drop(admit_later(&watched.pcm, 1));
    assert_eq!(watched.calls("delete_state"), 0);
    // 2: accepts. The order itself is refused, so that its flow is forgotten, too.
    assert_eq!(order(&watched.pcm, 2, 1), LpmStatus::OK);
    while watched.calls("delete_state") < 2 {
        thread::yield_now();
    }
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
}

#[test]
fn many_in_flight() {
    const COUNT: u16 = 1_000;
    let watched = start();
    let admissions: Vec<_> = (1..=COUNT)
        .map(|name| admit_later(&watched.pcm, name))
        .collect();
    // From the last to the first, every third is left to the limit, and every third of the rest to
    // the end.
    for name in (1..=COUNT).rev().filter(|name| name % 3 == 0) {
        assert_eq!(order(&watched.pcm, 2, name), LpmStatus::OK);
    }
    watched.advance(LIMIT);
    for (name, admission) in (1..).zip(admissions) {
        assert!(admission.is_decided());
        let verdict = admission.wait();
        let expected = match name % 3 {
            0 => Outcome::Accept,
            _ => Outcome::Reject,
        };
        assert_eq!(verdict.outcome(), expected, "{name}");
    }
    let timed_out = watched.only(EventId::LpmTimedOut, LpmStatus::TIME_OUT);
    assert!(timed_out.detail.starts_with("667 "), "{timed_out:?}");
    assert_eq!(order(&watched.pcm, 2, 1), LpmStatus::TIME_OUT);
    assert_eq!(order(&watched.pcm, 2, 3), LpmStatus(100));
    let outstanding: Vec<_> = (1..=COUNT)
        .map(|name| admit_later(&watched.pcm, name))
        .collect();
    // The LPM answers what it still holds, and checks that it gets `INV_LPM_HANDLE`.
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    let failed = RejectReason::policy(LpmPolicyError::NoResources);
    for admission in outstanding {
        assert!(admission.is_decided());
        let verdict = admission.wait();
        assert_eq!(verdict.flows()[0].decision, Decision::Reject(failed));
        assert_eq!(verdict.flows()[0].by, Some(watched.lpm));
    }
}

/// A broken LPM cannot flood the event log.
#[test]
fn many_failures_are_few_events() {
    const COUNT: u16 = 2_000;
    let watched = start();
    for name in 1..=COUNT {
        let admission = admit_later(&watched.pcm, name);
        // 7: with one decision too many.
        assert_eq!(
            order(&watched.pcm, 7, name),
            LpmStatus::INVALID_RESULTS,
            "{name}"
        );
        assert_eq!(admission.wait().outcome(), Outcome::Reject);
    }
    let refused = watched.about(EventId::LpmResultRefused).len();
    assert!((20..200).contains(&refused), "{refused}");
    assert_eq!(watched.end(), (LpmStatus::OK, vec![]));
    let suppressed = watched.about(EventId::EventsSuppressed);
    let count = |detail: &str| detail.split(' ').next().and_then(|it| it.parse().ok());
    let suppressed: Option<Vec<usize>> = suppressed.iter().map(|it| count(&it.detail)).collect();
    let suppressed: usize = suppressed.expect("a count").into_iter().sum();
    assert_eq!(refused + suppressed, usize::from(COUNT));
}
