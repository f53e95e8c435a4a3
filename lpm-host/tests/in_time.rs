//! Nothing is granted by an answer that came too late, and nothing that an LPM was to be told is
//! lost.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, SystemTime};

use lpm_api::{
    AddressRow, AddressTableRefused, AdmitRequest, Answer, CommitDecision, CommitResv, Decision,
    Deferral, DeinitError, DeinitReason, DeleteReason, DeleteState, InitError, InitInfo, Lpm,
    LpmPolicyError, LpmStatus, ObjectsAnswer, ObjectsRequest, Priority, ResultError,
};
use lpm_host::event::{Event, EventId, EventLog, Severity};
use lpm_host::lpm_rsvp::FlowDescriptor;
use lpm_host::testing::{TestMessage, messages};
use lpm_host::{
    Admission, CallMode, CommittedResv, LpmConfig, LpmHandle, LpmSource, ManualClock,
    OutgoingMessage, OutgoingVerdict, Pcm, ReceivedMessage, StateGone, Verdict,
};

const ACCEPT: Decision = Decision::accept(Priority::MIN);
const FAILED: Decision = Decision::reject(LpmPolicyError::NoResources);
const LIMIT: Duration = Duration::from_millis(500);
/// What may be kept for an LPM that is in quarantine.
const MOST_KEPT: usize = 4096;

/// What a test wants an LPM to do, by the LPM's configuration.
static SCRIPTS: Mutex<BTreeMap<String, Arc<Script>>> = Mutex::new(BTreeMap::new());

struct Script {
    clock: ManualClock,
    /// How long a call takes, by that clock.
    takes: Mutex<Duration>,
    defers: Mutex<Defers>,
    kept: Mutex<Vec<Deferral>>,
    /// Entered by a call that hangs, with what ends it.
    hangs: Mutex<Option<(Sender<()>, Receiver<()>)>>,
    told: Mutex<Vec<String>>,
    initialized: Mutex<u32>,
}

#[derive(Clone, Copy, PartialEq)]
enum Defers {
    Never,
    AndKeeps,
    AndAnswers,
}

struct Scripted(Arc<Script>);

impl Scripted {
    fn take_time(&self) {
        let takes = *self.0.takes.lock().unwrap();
        self.0.clock.advance(takes);
    }

    fn note(&self, what: String) {
        self.0.told.lock().unwrap().push(what);
    }
}

impl Lpm for Scripted {
    fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
        let script = Arc::clone(&SCRIPTS.lock().unwrap()[init.config()]);
        *script.initialized.lock().unwrap() += 1;
        Ok(Self(script))
    }

    fn ip_address_table(&self, table: &[AddressRow]) -> Result<(), AddressTableRefused> {
        self.note(format!("addresses {}", table.len()));
        Ok(())
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        let hang = self.0.hangs.lock().unwrap().take();
        if let Some((inside, go_on)) = hang {
            inside.send(()).unwrap();
            let _ = go_on.recv();
        }
        let defers = *self.0.defers.lock().unwrap();
        let answer = match defers {
            Defers::Never => request.decide_all(ACCEPT),
            Defers::AndKeeps => {
                let (deferral, answer) = request.defer();
                self.0.kept.lock().unwrap().push(deferral);
                answer
            }
            Defers::AndAnswers => {
                let (deferral, answer) = request.defer();
                deferral.complete_all(ACCEPT).unwrap();
                answer
            }
        };
        self.take_time();
        answer
    }

    fn rsvp_objects(&self, request: ObjectsRequest<'_>) -> ObjectsAnswer {
        self.take_time();
        request.drop_message()
    }

    fn commit_resv(&self, commit: CommitResv<'_>) {
        self.note(format!("commit {:?}", commit.decision()));
    }

    fn delete_state(&self, request: DeleteState<'_>) {
        self.note(format!("delete {:?}", request.reason()));
    }

    fn deinitialize(self, reason: DeinitReason) -> Result<(), DeinitError> {
        self.note(format!("deinitialize {reason}"));
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Vec<Event>>>);

impl EventLog for Recorded {
    fn record(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

struct World {
    pcm: Arc<Pcm>,
    clock: ManualClock,
    script: Arc<Script>,
    events: Recorded,
    handle: LpmHandle,
}

impl World {
    fn new(name: &str, mode: CallMode) -> Self {
        let clock = ManualClock::new();
        let script = Arc::new(Script {
            clock: clock.clone(),
            takes: Mutex::default(),
            defers: Mutex::new(Defers::Never),
            kept: Mutex::default(),
            hangs: Mutex::default(),
            told: Mutex::default(),
            initialized: Mutex::default(),
        });
        let name = format!("{name} {mode:?}");
        let mut scripts = SCRIPTS.lock().unwrap();
        scripts.insert(name.clone(), Arc::clone(&script));
        drop(scripts);
        let events = Recorded::default();
        let config = LpmConfig::new(&*name, LpmSource::built_in::<Scripted>())
            .config(&*name)
            .call_mode(mode)
            .result_time_limit(LIMIT);
        let pcm = Pcm::builder()
            .lpm(config)
            .clock(&clock)
            .event_log(events.clone())
            .build()
            .unwrap();
        let handle = pcm.become_dsbm().unwrap().lpms[0].handle;
        script.told.lock().unwrap().clear();
        Self {
            pcm: Arc::new(pcm),
            clock,
            script,
            events,
            handle,
        }
    }

    fn admit(&self) -> Verdict {
        let message = messages::path().build();
        self.pcm.admit(&received(&message)).unwrap()
    }

    fn takes(&self, milliseconds: u64) {
        *self.script.takes.lock().unwrap() = Duration::from_millis(milliseconds);
    }

    fn events(&self, id: EventId) -> Vec<Event> {
        let events = self.events.0.lock().unwrap();
        events
            .iter()
            .filter(|event| event.id == id)
            .cloned()
            .collect()
    }

    fn told(&self) -> Vec<String> {
        self.script.told.lock().unwrap().clone()
    }

    /// With so many events: of the call, and of the request that was put off.
    fn is_rejected_as_late(&self, verdict: &Verdict, events: usize) {
        assert_eq!(verdict.flows()[0].decision, FAILED);
        assert_eq!(verdict.flows()[0].by, Some(self.handle));
        assert_eq!(verdict.failure(), Some(LpmStatus::TIME_OUT));
        assert_eq!(self.events(EventId::LpmTimedOut).len(), events);
    }

    fn delete_state(&self, reason: DeleteReason) {
        let message = messages::path().build();
        let gone = StateGone {
            reason,
            message: message.view(),
            flow: None,
            interface: Some(message.interface()),
        };
        self.pcm.delete_state(&gone).unwrap();
    }

    /// A call that hangs until the result is dropped or sent to, with the thread that makes it.
    fn hang(&self) -> (Sender<()>, thread::JoinHandle<Verdict>) {
        let ((enter, inside), (end, ended)) = (channel(), channel());
        *self.script.hangs.lock().unwrap() = Some((enter, ended));
        let pcm = Arc::clone(&self.pcm);
        let held = thread::spawn(move || {
            let message = messages::path().build();
            pcm.admit(&received(&message)).unwrap()
        });
        inside.recv().unwrap();
        // Seen, and seen again when it has lasted too long.
        self.clock.advance(Duration::from_millis(1));
        self.clock.advance(LIMIT);
        assert_eq!(self.events(EventId::LpmQuarantined).len(), 1);
        (end, held)
    }

    /// Lets time pass until there is such an event.
    fn until(&self, id: EventId) {
        while self.events(id).is_empty() {
            self.clock.advance(Duration::from_millis(1));
            thread::yield_now();
        }
    }
}

fn received(message: &TestMessage) -> ReceivedMessage<'_> {
    ReceivedMessage {
        message: message.view(),
        interface: message.interface(),
        received: SystemTime::now(),
        integrity_verified: false,
    }
}

/// Takes the verdict where it is woken: on the thread that ends the request.
struct TakesAtOnce {
    admission: Mutex<Admission>,
    verdict: Sender<Verdict>,
}

impl TakesAtOnce {
    fn poll(&self, waker: &Waker) {
        let mut admission = self.admission.lock().unwrap();
        let polled = Pin::new(&mut *admission).poll(&mut Context::from_waker(waker));
        if let Poll::Ready(verdict) = polled {
            self.verdict.send(verdict).unwrap();
        }
    }
}

impl Wake for TakesAtOnce {
    fn wake(self: Arc<Self>) {
        self.poll(Waker::noop());
    }
}

/// It lets the LPMs forget what is refused, of which one hangs.
#[test]
fn who_hears_that_an_answer_is_late_waits_no_second_time() {
    let world = World::new("waits once", CallMode::worker());
    let ((enter, inside), (end, ended)) = (channel(), channel());
    *world.script.hangs.lock().unwrap() = Some((enter, ended));
    let message = messages::path().build();
    let (verdict, taken) = channel();
    let taker = Arc::new(TakesAtOnce {
        admission: Mutex::new(world.pcm.admit_later(&received(&message)).unwrap()),
        verdict,
    });
    taker.poll(&Waker::from(Arc::clone(&taker)));
    inside.recv().unwrap();
    let clock = world.clock.clone();
    thread::spawn(move || {
        clock.advance(Duration::from_millis(1));
        clock.advance(LIMIT);
    });
    let verdict = taken.recv_timeout(Duration::from_secs(60));
    world.is_rejected_as_late(&verdict.expect("it does not wait"), 1);
    end.send(()).unwrap();
}

#[test]
fn a_call_that_returns_after_the_limit_is_a_rejection() {
    let world = World::new("late", CallMode::Inline);
    world.takes(499);
    assert_eq!(world.admit().flows()[0].decision, ACCEPT);
    assert!(world.events(EventId::LpmTimedOut).is_empty());
    world.takes(1_500);
    world.is_rejected_as_late(&world.admit(), 1);
    assert_eq!(world.told(), ["delete AdmissionControlFailed"]);
}

#[test]
fn so_it_is_on_a_thread_of_its_own_and_the_lpm_forgets_what_it_accepted() {
    let world = World::new("late", CallMode::worker());
    world.takes(499);
    assert_eq!(world.admit().flows()[0].decision, ACCEPT);
    world.takes(1_500);
    world.is_rejected_as_late(&world.admit(), 1);
    while world.told().is_empty() {
        thread::yield_now();
    }
    assert_eq!(world.events(EventId::LpmResultRefused).len(), 1);
    let told = world.told();
    assert!(
        told.iter()
            .all(|told| told == "delete AdmissionControlFailed")
    );
}

#[test]
fn so_it_is_by_the_clock_of_the_system() {
    let events = Recorded::default();
    struct Sleeps;
    impl Lpm for Sleeps {
        fn initialize(_: InitInfo<'_>) -> Result<Self, InitError> {
            Ok(Self)
        }

        fn admit(&self, request: AdmitRequest<'_>) -> Answer {
            thread::sleep(Duration::from_millis(150));
            request.decide_all(ACCEPT)
        }
    }
    for mode in [CallMode::Inline, CallMode::worker()] {
        let config = LpmConfig::new("sleeps", LpmSource::built_in::<Sleeps>())
            .call_mode(mode)
            .result_time_limit(Duration::from_millis(100));
        let pcm = Pcm::builder().lpm(config).event_log(events.clone());
        let pcm = pcm.build().unwrap();
        pcm.become_dsbm().unwrap();
        let message = messages::path().build();
        let verdict = pcm.admit(&received(&message)).unwrap();
        assert_eq!(verdict.flows()[0].decision, FAILED);
    }
    let events = events.0.lock().unwrap();
    let late = events
        .iter()
        .filter(|event| event.id == EventId::LpmTimedOut);
    assert_eq!(late.count(), 2);
}

#[test]
fn an_answer_that_was_put_off_in_a_late_call_is_not_taken() {
    let world = World::new("put off", CallMode::Inline);
    *world.script.defers.lock().unwrap() = Defers::AndKeeps;
    world.takes(1_500);
    world.is_rejected_as_late(&world.admit(), 2);
    let deferral = world.script.kept.lock().unwrap().remove(0);
    assert_eq!(deferral.complete_all(ACCEPT), Err(ResultError::TimeOut));
}

#[test]
fn nor_is_one_that_was_given_before_the_call_returned_late() {
    let world = World::new("given", CallMode::Inline);
    *world.script.defers.lock().unwrap() = Defers::AndAnswers;
    world.takes(499);
    assert_eq!(world.admit().flows()[0].decision, ACCEPT);
    world.takes(1_500);
    world.is_rejected_as_late(&world.admit(), 1);
}

#[test]
fn a_message_goes_without_the_objects_of_a_call_that_returns_late() {
    for mode in [CallMode::Inline, CallMode::worker()] {
        let world = World::new("objects", mode);
        let message = messages::path().build();
        let outgoing = OutgoingMessage {
            message: message.view(),
            interface: message.interface(),
            max_policy_data_size: 100,
        };
        let ask = || world.pcm.rsvp_objects(&outgoing).unwrap();
        assert_eq!(ask(), OutgoingVerdict::Drop { by: world.handle });
        world.takes(1_500);
        match ask() {
            OutgoingVerdict::Send(objects) => assert_eq!(objects.late, [world.handle]),
            other => panic!("{other:?}"),
        }
        assert_eq!(world.events(EventId::LpmTimedOut).len(), 1);
    }
}

#[test]
fn what_an_lpm_missed_in_quarantine_it_is_told_in_order() {
    for mode in [CallMode::Inline, CallMode::worker()] {
        let world = World::new("missed", mode);
        let (go_on, held) = world.hang();
        world.script.told.lock().unwrap().clear();
        let resv = messages::resv().build();
        world.delete_state(DeleteReason::StateTimeout);
        let commit = CommittedResv {
            decision: CommitDecision::ResourcesAllocated,
            message: resv.view(),
            flow: 0,
            interface: resv.interface(),
            merged: None,
        };
        world.pcm.commit_resv(&commit).unwrap();
        let row = AddressRow {
            interface_index: 1,
            media_type: 6,
            address: IpAddr::from([192, 0, 2, 1]),
            prefix_length: 24,
        };
        world.pcm.set_ip_address_table(&[row]);
        world.delete_state(DeleteReason::FlowDuration);
        assert_eq!(world.told(), [""; 0]);

        go_on.send(()).unwrap();
        assert_eq!(held.join().unwrap().flows()[0].decision, FAILED);
        world.until(EventId::LpmReleased);
        assert_eq!(world.admit().flows()[0].decision, ACCEPT);
        // Beside what follows from the call that was late.
        let told = world.told().into_iter();
        let told: Vec<_> = told
            .filter(|told| !told.contains("AdmissionControl"))
            .collect();
        let expected = [
            "delete StateTimeout",
            "commit ResourcesAllocated",
            "addresses 1",
            "delete FlowDuration",
        ];
        assert_eq!(told, expected, "{mode:?}");
        assert!(world.events(EventId::LpmReinitialized).is_empty());
        assert!(world.events(EventId::LpmCallFailed).is_empty());
    }
}

#[test]
fn an_lpm_that_missed_too_much_is_initialized_anew() {
    for mode in [CallMode::Inline, CallMode::worker()] {
        let world = World::new("too much", mode);
        let (go_on, held) = world.hang();
        world.script.told.lock().unwrap().clear();
        // With threads of its own there is as much room again for requests.
        for _ in 0..2 * MOST_KEPT + 1 {
            world.delete_state(DeleteReason::StateTimeout);
        }
        assert_eq!(*world.script.initialized.lock().unwrap(), 1);
        go_on.send(()).unwrap();
        held.join().unwrap();
        world.until(EventId::LpmReinitialized);
        while *world.script.initialized.lock().unwrap() < 2 {
            world.clock.advance(Duration::from_millis(1));
        }
        let verdict = world.admit();
        let by = verdict.flows()[0].by.unwrap();
        assert_eq!(verdict.flows()[0].decision, ACCEPT);
        assert_ne!(by, world.handle);
        assert_eq!(world.events(EventId::LpmReinitialized).len(), 1);
        let stopped = world.events(EventId::LpmDeinitialized);
        assert_eq!(stopped.len(), 1);
        assert_eq!(stopped[0].handle, Some(world.handle));
        let stopped = world.pcm.demote().unwrap().lpms;
        assert_eq!(stopped.len(), 1);
        assert_eq!(stopped[0].handle, by);
    }
}

/// Says why, or does what it is told to instead.
struct Explains {
    how: String,
    clock: Option<ManualClock>,
}

impl Lpm for Explains {
    fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
        let scripts = SCRIPTS.lock().unwrap();
        let script = scripts.get(init.config());
        Ok(Self {
            how: init.config().to_owned(),
            clock: script.map(|script| script.clock.clone()),
        })
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        assert!(!self.how.starts_with("fails"), "by intent");
        request.decide_all(Decision::reject(LpmPolicyError::NoPrivileges))
    }

    fn explain(
        &self,
        request: &AdmitRequest<'_>,
        flow: &FlowDescriptor<'_>,
        decision: Decision,
    ) -> Option<String> {
        assert!(!self.how.starts_with("panics"), "by intent");
        if let Some(clock) = &self.clock {
            clock.advance(LIMIT * 3);
        }
        match &*self.how {
            "silent" => None,
            "long" => Some("ä".repeat(10_000)),
            _ => Some(format!(
                "{} of {}: {decision:?} on interface {}",
                flow.index(),
                request.flow_count(),
                request.interface().index
            )),
        }
    }
}

fn explained(how: &str, mode: CallMode, clock: &ManualClock) -> (Option<String>, Vec<Event>) {
    let events = Recorded::default();
    let config = LpmConfig::new("explains", LpmSource::built_in::<Explains>())
        .config(how)
        .call_mode(mode)
        .result_time_limit(LIMIT);
    let pcm = Pcm::builder()
        .lpm(config)
        .clock(clock)
        .event_log(events.clone());
    let pcm = pcm.build().unwrap();
    pcm.become_dsbm().unwrap();
    let message = messages::path().build();
    let received = received(&message);
    let verdict = pcm.admit(&received).unwrap();
    let why = pcm.explain(&received, &verdict, 0);
    assert_eq!(
        pcm.explain(&received, &verdict, 1),
        None,
        "there is no such flow"
    );
    pcm.demote().unwrap();
    assert_eq!(pcm.explain(&received, &verdict, 0), None, "the LPM is gone");
    let warnings = events.0.lock().unwrap();
    let warnings = warnings
        .iter()
        .filter(|event| event.severity != Severity::Info);
    (why, warnings.cloned().collect())
}

#[test]
fn whoever_wants_to_know_is_told_why() {
    let clock = ManualClock::new();
    for mode in [CallMode::Inline, CallMode::worker()] {
        let (why, warnings) = explained("plain", mode, &clock);
        let why = why.expect("a reason");
        assert!(
            why.starts_with("0 of 1: Reject(") && why.contains("on interface"),
            "{why}"
        );
        assert_eq!(warnings, []);
        assert_eq!(explained("silent", mode, &clock), (None, Vec::new()));
        let (long, _) = explained("long", mode, &clock);
        assert_eq!(
            long,
            Some("ä".repeat(512)),
            "1024 bytes of whole characters"
        );
        // It gave no decision that it could explain.
        let (why, _) = explained("fails", mode, &clock);
        assert_eq!(why, None);
    }
}

#[test]
fn an_explanation_that_panics_or_is_late_is_none() {
    for mode in [CallMode::Inline, CallMode::worker()] {
        let clock = ManualClock::new();
        assert_eq!(explained("panics", mode, &clock).0, None);
        let world = World::new("late reason", mode);
        let name = format!("late reason {mode:?}");
        let (why, warnings) = explained(&name, mode, &world.clock);
        if mode == CallMode::Inline {
            assert_eq!(why, None);
            let ids: Vec<_> = warnings.iter().map(|event| event.id).collect();
            assert_eq!(ids, [EventId::LpmTimedOut]);
            assert!(
                warnings[0].detail.contains("explain did not return"),
                "{warnings:?}"
            );
        }
    }
}
