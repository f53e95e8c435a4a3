//! The PCM, and what it is to be like.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lpm_host::error::{PcmError, StartError};
use lpm_host::event::EventId;
use lpm_host::lpm_api::{Decision, LpmPolicyError, Priority, RejectReason};
use lpm_host::{
    Admission, CallMode, FlowVerdict, LpmConfig, LpmHandle, LpmStatus, ManualClock, Pcm, Teardown,
    Verdict,
};
use lpm_tests::messages::{admit, orders, with_received};
use lpm_tests::platform::{assert_gone, gone};
use lpm_tests::{RecordedEvents, library};
use proptest::prelude::prop;
use tempfile::TempDir;

use super::asked::{Asked, FAILED, FAILURE, Said, decision, is_decided};
use super::{DROP, HANG, Step, TOO_MANY};

/// The session of messages that are about an earlier request.
const EARLIER: u16 = 7;
const NO_SUCH_REQUEST: LpmStatus = LpmStatus(100);

/// How long LPM 1, 2 and 3 may take, in milliseconds.
const LIMITS: [u64; 3] = [30, 50, 70];
/// How long one may that is called on a thread of its own.
pub(super) const WORKER_LIMIT: u64 = 90;
/// The generation of LPMs that are called on threads of their own; the others differ in nothing.
pub(super) const WORKER: u8 = 2;

/// An LPM that runs.
#[derive(Debug)]
struct Running {
    lpm: usize,
    generation: u8,
    handle: LpmHandle,
    /// The requests whose tokens it holds, whatever became of them.
    tokens: Vec<u16>,
    is_quarantined: bool,
}

impl Running {
    fn new(lpm: usize, generation: u8, handle: LpmHandle) -> Self {
        Self {
            lpm,
            generation,
            handle,
            tokens: Vec::new(),
            is_quarantined: false,
        }
    }

    fn limit(&self) -> u64 {
        limit(self.lpm, self.generation)
    }
}

/// A call that hangs.
struct Hung {
    lpm: LpmHandle,
    /// The first LPM before it, in configured order, that was in quarantine and so was not asked.
    not_asked: Option<LpmHandle>,
    /// When it began.
    began: u64,
    /// When the PCM first looked at it.
    seen: Option<u64>,
    caller: JoinHandle<Result<Verdict, PcmError>>,
}

/// The PCM, and what it is to be like.
pub(super) struct World {
    pcm: Arc<Pcm>,
    /// Where calls that hang are seen, and told to return.
    dir: TempDir,
    clock: ManualClock,
    events: RecordedEvents,
    now: u64,
    list: Vec<(usize, u8)>,
    running: Option<Vec<Running>>,
    hung: Option<Hung>,
    asked: Vec<(Asked, Option<Admission>)>,
    last_name: u16,
    expected: BTreeMap<EventId, u32>,
}

fn limit(lpm: usize, generation: u8) -> u64 {
    match generation {
        WORKER => WORKER_LIMIT,
        _ => LIMITS[lpm - 1],
    }
}

fn config(dir: &Path, (lpm, generation): (usize, u8)) -> LpmConfig {
    let name = format!("lpm {lpm}");
    let config = LpmConfig::new(name, library("defers"))
        .config(lpm.to_string())
        .config_dir(dir)
        .config_source(generation.to_string())
        .result_time_limit(Duration::from_millis(limit(lpm, generation)));
    match generation {
        WORKER => config.call_mode(CallMode::worker()),
        _ => config,
    }
}

impl World {
    pub(super) fn new(list: Vec<(usize, u8)>) -> Self {
        let (clock, events) = (ManualClock::new(), RecordedEvents::default());
        let dir = TempDir::new().expect("room for a directory");
        let configured = list.iter().map(|lpm| config(dir.path(), *lpm));
        let pcm = configured
            .fold(Pcm::builder(), lpm_host::PcmBuilder::lpm)
            .clock(&clock)
            .event_log(events.clone())
            .build()
            .expect("builds");
        Self {
            pcm: Arc::new(pcm),
            dir,
            clock,
            events,
            now: 0,
            list,
            running: None,
            hung: None,
            asked: Vec::new(),
            last_name: 0,
            expected: BTreeMap::new(),
        }
    }

    fn expect(&mut self, id: EventId) {
        *self.expected.entry(id).or_default() += 1;
    }

    pub(super) fn take(&mut self, step: Step) {
        match step {
            Step::Become => self.become_dsbm(),
            Step::Demote => self.demote(),
            Step::Reconfigure(list) => self.reconfigure(list),
            Step::Ask(orders) => self.ask(orders),
            Step::Answer(lpm, which, order) => self.answer(lpm, which, order),
            Step::Withdraw(which) => self.withdraw(which),
            Step::Hang(lpm) => self.hang(lpm),
            Step::Return => self.return_from_hanging(),
            Step::Advance(by) => self.advance(by),
        }
        self.check();
    }

    pub(super) fn become_dsbm(&mut self) {
        let startup = self.pcm.become_dsbm();
        if self.running.is_some() {
            let refused = matches!(startup, Err(StartError::Pcm(PcmError::AlreadyDsbm)));
            assert!(refused, "{startup:?}");
            return;
        }
        let started = startup.expect("starts").lpms;
        let all = started.iter().zip(&self.list);
        let running: Vec<_> = all
            .map(|(started, (lpm, generation))| Running::new(*lpm, *generation, started.handle))
            .collect();
        assert_eq!(running.len(), self.list.len());
        for _ in &running {
            self.expect(EventId::LpmInitialized);
        }
        self.expect(EventId::BecameDsbm);
        self.running = Some(running);
    }

    fn demote(&mut self) {
        // What becomes of an LPM in which a call hangs is tested elsewhere.
        self.return_from_hanging();
        let teardown = self.pcm.demote();
        let Some(running) = self.running.take() else {
            assert_eq!(teardown.err(), Some(PcmError::NotDsbm));
            return;
        };
        let teardown = teardown.expect("in charge");
        self.are_stopped(&running, &teardown);
        assert_eq!(teardown.libraries.len(), 1);
        assert_gone(&teardown.libraries[0].outcome);
        self.expect(gone());
        self.expect(EventId::Demoted);
    }

    /// These LPMs, and no others, were stopped, the last one first.
    fn are_stopped(&mut self, lpms: &[Running], teardown: &Teardown) {
        let stopped = teardown.lpms.iter().map(|lpm| (lpm.handle, lpm.status));
        let expected = lpms.iter().map(|lpm| (lpm.handle, LpmStatus::OK));
        assert_eq!(
            stopped.collect::<Vec<_>>(),
            expected.rev().collect::<Vec<_>>()
        );
        for lpm in lpms {
            self.expect(EventId::LpmDeinitialized);
            for (asked, _) in &mut self.asked {
                if asked.owes(lpm.handle) {
                    asked.says(lpm.handle, FAILED);
                }
            }
        }
    }

    fn reconfigure(&mut self, list: Vec<(usize, u8)>) {
        self.return_from_hanging();
        let configs = list.iter().map(|lpm| config(self.dir.path(), *lpm));
        let done = self.pcm.reconfigure(configs);
        let done = done.expect("a good list");
        self.list.clone_from(&list);
        let Some(mut before) = self.running.take() else {
            assert!(done.kept.is_empty() && done.started.lpms.is_empty());
            return;
        };
        let mut started = done.started.lpms.iter();
        let mut kept = Vec::new();
        let mut running = Vec::new();
        for (lpm, generation) in list {
            let is_it = |other: &Running| (other.lpm, other.generation) == (lpm, generation);
            if let Some(index) = before.iter().position(is_it) {
                let same = before.remove(index);
                kept.push(same.handle);
                running.push(same);
                continue;
            }
            let handle = started.next().expect("it is new").handle;
            running.push(Running::new(lpm, generation, handle));
            self.expect(EventId::LpmInitialized);
            // One in quarantine is not asked what it leaves to the one in its place.
            if before
                .iter()
                .any(|old| old.lpm == lpm && old.is_quarantined)
            {
                self.expect(EventId::LpmTakeOverFailed);
            }
        }
        assert_eq!(started.count(), 0);
        assert_eq!(
            done.kept.iter().map(|lpm| lpm.handle).collect::<Vec<_>>(),
            kept
        );
        self.are_stopped(&before, &done.stopped);
        self.expect(EventId::Reconfigured);
        self.running = Some(running);
    }

    fn ask(&mut self, said: [u8; 3]) {
        self.last_name += 1;
        let name = self.last_name;
        let message = orders(5004, said, name);
        let admission = with_received(&message, |received| self.pcm.admit_later(received));
        let Some(running) = &mut self.running else {
            assert_eq!(admission.err(), Some(PcmError::NotDsbm));
            return;
        };
        let said = running.iter_mut().map(|lpm| {
            let says = match decision(said[lpm.lpm - 1]) {
                _ if lpm.is_quarantined => FAILED,
                Some(decision) => Said::Is(decision),
                None => {
                    lpm.tokens.push(name);
                    Said::OwedUntil(self.now + lpm.limit())
                }
            };
            (lpm.handle, says)
        });
        let asked = Asked {
            name,
            said: said.collect(),
        };
        self.asked
            .push((asked, Some(admission.expect("in charge"))));
        self.settle();
    }

    /// Waits until the threads of LPMs' own have done what they were asked to: each does one thing
    /// after the other, and this is the last.
    fn settle(&self) {
        let running = self.running.iter().flatten();
        if running.into_iter().any(|lpm| lpm.generation == WORKER) {
            let _ = admit(&self.pcm, &orders(EARLIER, [0; 3], 1));
        }
    }

    fn hang(&mut self, lpm: usize) {
        let running = self.running.as_deref().unwrap_or_default();
        let can_hang = |other: &Running| {
            other.lpm == lpm && other.generation != WORKER && !other.is_quarantined
        };
        let (Some(place), None) = (running.iter().position(can_hang), &self.hung) else {
            return;
        };
        let (handle, not_asked) = (running[place].handle, in_quarantine(&running[..place]));
        for what in ["hangs", "returns"] {
            let _ = fs::remove_file(self.dir.path().join(format!("{what}-{lpm}")));
        }
        let mut for_lpm = [0; 3];
        for_lpm[lpm - 1] = HANG;
        let pcm = Arc::clone(&self.pcm);
        let caller = thread::spawn(move || admit(&pcm, &orders(5004, for_lpm, 1)));
        let hangs = self.dir.path().join(format!("hangs-{lpm}"));
        while !hangs.exists() {
            thread::sleep(Duration::from_millis(1));
        }
        self.hung = Some(Hung {
            lpm: handle,
            not_asked,
            began: self.now,
            seen: None,
            caller,
        });
    }

    fn return_from_hanging(&mut self) {
        let Some(hung) = self.hung.take() else { return };
        let running = self.running.as_deref().expect("it is being called");
        let place = running.iter().position(|lpm| lpm.handle == hung.lpm);
        let place = place.expect("it was not stopped");
        let lpm = running[place].lpm;
        fs::write(self.dir.path().join(format!("returns-{lpm}")), "").expect("a file");
        let verdict = hung.caller.join().expect("no panic").expect("in charge");
        let is_late = self.now - hung.began >= running[place].limit();
        let not_asked = hung.not_asked.or(is_late.then_some(hung.lpm));
        let not_asked = not_asked.or_else(|| in_quarantine(&running[place + 1..]));
        let (decision, by) = match not_asked {
            Some(other) => (FAILURE, other),
            None => (Decision::accept(Priority::MIN), hung.lpm),
        };
        if is_late {
            self.expect(EventId::LpmTimedOut);
        }
        let by = Some(by);
        assert_eq!(verdict.flows(), [FlowVerdict { decision, by }]);
    }

    fn answer(&mut self, lpm: usize, which: prop::sample::Index, order: u8) {
        if self.last_name == 0 {
            return;
        }
        let name = 1 + u16::try_from(which.index(self.last_name.into())).expect("a name");
        let mut for_lpm = [0; 3];
        for_lpm[lpm - 1] = order;
        let verdict = admit(&self.pcm, &orders(EARLIER, for_lpm, name));
        let Some(running) = &self.running else {
            assert_eq!(verdict.err(), Some(PcmError::NotDsbm));
            return;
        };
        let asked = |other: &Running| other.lpm == lpm && !other.is_quarantined;
        let place = running.iter().position(asked);
        let answer = place.map(|place| {
            let status = match self.take_token(place, name) {
                None => NO_SUCH_REQUEST,
                Some(handle) => self.answers(handle, name, order),
            };
            let value = u16::try_from(status.0 + 1).expect("a small number");
            let reason = RejectReason::new(200, value).expect("a reason");
            (place, Decision::Reject(reason))
        });
        let running = self.running.as_deref().unwrap_or_default();
        let quarantined = running.iter().position(|other| other.is_quarantined);
        let rejections = [answer, quarantined.map(|place| (place, FAILURE))];
        let first = rejections
            .into_iter()
            .flatten()
            .min_by_key(|(place, _)| *place);
        let (decision, by) = match first {
            Some((place, decision)) => (decision, Some(running[place].handle)),
            None => (Decision::reject(LpmPolicyError::NoAccepts), None),
        };
        let verdict = verdict.expect("in charge");
        assert_eq!(
            verdict.flows(),
            [FlowVerdict { decision, by }],
            "order {order}"
        );
    }

    /// The handle of the LPM at this place, if it holds the token of this request, which it then no
    /// longer does.
    fn take_token(&mut self, place: usize, name: u16) -> Option<LpmHandle> {
        let lpm = &mut self.running.as_mut()?[place];
        let token = lpm.tokens.iter().position(|token| *token == name)?;
        lpm.tokens.remove(token);
        Some(lpm.handle)
    }

    /// What the PCM says to an LPM that answers, and what comes of it.
    fn answers(&mut self, lpm: LpmHandle, name: u16, order: u8) -> LpmStatus {
        let mut asked = self.asked.iter_mut().map(|(asked, _)| asked);
        let request = asked.find(|asked| asked.name == name && asked.owes(lpm));
        let (said, status, event) = match (order, &request) {
            // A token that is dropped is not told what comes of it.
            (DROP, None) => return LpmStatus::OK,
            // It is held still, so that it was not answered: its time is over.
            (_, None) => {
                self.expect(EventId::LpmResultRefused);
                return LpmStatus::TIME_OUT;
            }
            (DROP, _) => (FAILED, LpmStatus::OK, Some(EventId::LpmCallFailed)),
            (TOO_MANY, _) => (
                FAILED,
                LpmStatus::INVALID_RESULTS,
                Some(EventId::LpmResultRefused),
            ),
            (order, _) => {
                let decision = decision(order - 1).expect("a decision");
                (Said::Is(decision), LpmStatus::OK, None)
            }
        };
        if let Some(request) = request {
            request.says(lpm, said);
        }
        if let Some(event) = event {
            self.expect(event);
        }
        status
    }

    /// A caller gives up, and the LPMs still owe their answers; or it takes its verdict.
    fn withdraw(&mut self, which: prop::sample::Index) {
        if self.asked.is_empty() {
            return;
        }
        let (asked, admission) = self.asked.remove(which.index(self.asked.len()));
        match asked.verdict() {
            Some(expected) => is_decided(&asked, admission, expected),
            None => {
                drop(admission);
                self.asked.push((asked, None));
            }
        }
    }

    fn advance(&mut self, by: u64) {
        // Nor is a call seen twice on a thread that has just not yet left it.
        self.settle();
        self.clock.advance(Duration::from_millis(by));
        self.now += by;
        let now = self.now;
        for lpm in self.running.as_deref().unwrap_or_default() {
            let mut is_late = false;
            for (asked, _) in &mut self.asked {
                for (other, said) in &mut asked.said {
                    match said {
                        Said::OwedUntil(limit) if *other == lpm.handle && *limit <= now => {
                            *said = FAILED;
                            is_late = true;
                        }
                        _ => {}
                    }
                }
            }
            if is_late {
                let late = self.expected.entry(EventId::LpmTimedOut).or_default();
                *late += 1;
            }
        }
        self.look_for_hangs();
    }

    /// What the PCM makes of a call that hangs, and of one that returned.
    fn look_for_hangs(&mut self) {
        let mut events = Vec::new();
        for lpm in self.running.iter_mut().flatten() {
            let hung = self.hung.as_mut().filter(|hung| hung.lpm == lpm.handle);
            let since = hung.map(|hung| *hung.seen.get_or_insert(self.now));
            let hangs = since.is_some_and(|since| self.now - since >= lpm.limit());
            match (lpm.is_quarantined, hangs) {
                (false, true) => events.push(EventId::LpmQuarantined),
                (true, false) => events.push(EventId::LpmReleased),
                _ => {}
            }
            lpm.is_quarantined = hangs;
        }
        for event in events {
            self.expect(event);
        }
    }

    /// What can be seen at any time.
    fn check(&self) {
        for (asked, admission) in &self.asked {
            let is_decided = admission.as_ref().map(Admission::is_decided);
            let expected = asked.verdict().is_some();
            assert!(is_decided.is_none_or(|it| it == expected), "{asked:?}");
        }
        let handles = self.pcm.statistics().map(|lpms| {
            let handles = lpms.iter().map(|lpm| lpm.handle);
            handles.collect::<Vec<_>>()
        });
        let expected = self.running.as_ref().map(|running| {
            let handles = running.iter().map(|lpm| lpm.handle);
            handles.collect::<Vec<_>>()
        });
        assert_eq!(handles.ok(), expected);
    }

    /// Every message has a verdict in the end, and everything is on record.
    pub(super) fn end(mut self) {
        self.demote();
        self.check();
        for (asked, admission) in std::mem::take(&mut self.asked) {
            let expected = asked.verdict().expect("stopped LPMs owe nothing");
            is_decided(&asked, admission, expected);
        }
        let mut recorded = BTreeMap::new();
        for event in self.events.all() {
            *recorded.entry(event.id).or_default() += 1;
        }
        assert_eq!(recorded, self.expected);
    }
}

/// The first of these that is in quarantine.
fn in_quarantine(lpms: &[Running]) -> Option<LpmHandle> {
    let mut those = lpms.iter().filter(|lpm| lpm.is_quarantined);
    those.next().map(|lpm| lpm.handle)
}
