//! The same random lives of an LPM on the caller's thread, on a thread of its own, in a process of
//! its own, built into the program, and of its twin in C: every verdict and every event is the
//! same.
//!
//! `LPM_LIVES` is how many lives there are.
#![forbid(unsafe_code)]
#![cfg(any(target_os = "linux", windows))]

#[path = "../fixtures/twin.rs"]
mod twin;

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use lpm_api::lpm_rsvp::build::{Flows, Path, PathTear, Resv};
use lpm_api::lpm_rsvp::{FilterSpec, RsvpHop, Session, TimeValues, Tspec};
use lpm_api::{
    AdmitRequest, Answer, CommitResv, DeleteState, InitError, InitInfo, Lpm, Priority, Statistics,
};
use lpm_host::event::{Event, EventId};
use lpm_host::{
    AddressRow, Admission, CallMode, CommitDecision, CommittedResv, Decision, Isolation, LpmConfig,
    LpmSource, ManualClock, OutgoingVerdict, Pcm, Verdict,
};
use lpm_tests::in_c::InC;
use lpm_tests::messages::{controlled_load, rsvp_objects, with_received};
use lpm_tests::{RecordedEvents, library, runner};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};

use self::twin::Twin;

/// The result time limit of the first generation, in milliseconds.
const LIMIT: u64 = 1_000;

#[derive(Clone, Debug)]
enum Step {
    Become,
    Demote,
    /// The LPM is to be of this generation.
    Reconfigure(u64),
    /// A message, an order and the name of a request.
    Ask(Kind, u8, u8),
    Objects(u8),
    Commit(u8),
    Tear(u8, u8),
    /// So many rows.
    Table(usize),
    Advance(u64),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Path,
    /// One reservation for each of two senders.
    Distinct,
    /// One reservation for two senders.
    Shared,
    /// One reservation for all.
    Wildcard,
}

/// The order to answer later.
const DEFER: u8 = 3;
/// The order to have no opinion.
const NO_OPINION: u8 = 2;

fn any_step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        4 => Just(Kind::Path),
        1 => Just(Kind::Distinct),
        1 => Just(Kind::Shared),
        1 => Just(Kind::Wildcard),
    ];
    let order = prop_oneof![4 => 0..=2u8, 3 => Just(DEFER), 6 => 4..=6u8, 2 => 7..=9u8];
    prop_oneof![
        2 => Just(Step::Become),
        1 => Just(Step::Demote),
        1 => (0..3u64).prop_map(Step::Reconfigure),
        14 => (kind, order, 0..4u8).prop_map(|(kind, order, name)| Step::Ask(kind, order, name)),
        4 => (0..=4u8).prop_map(Step::Objects),
        1 => (0..4u8).prop_map(Step::Commit),
        1 => (0..=9u8, 0..4u8).prop_map(|(order, name)| Step::Tear(order, name)),
        1 => (0..=3usize).prop_map(Step::Table),
        3 => prop_oneof![4 => 1..400u64, 1 => Just(LIMIT + 10)].prop_map(Step::Advance),
    ]
}

/// Where the LPM is. One more way to run LPMs is one more row here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Inline,
    Worker,
    Process,
    BuiltIn,
    InC,
}

const WAYS: [Way; 5] = [
    Way::Inline,
    Way::Worker,
    Way::Process,
    Way::BuiltIn,
    Way::InC,
];

/// Another LPM beside it, which counts what it is told.
#[derive(Default)]
struct Other([AtomicU64; 3]);

impl Lpm for Other {
    fn initialize(_: InitInfo<'_>) -> Result<Self, InitError> {
        Ok(Self::default())
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        self.0[0].fetch_add(1, Relaxed);
        request.decide_all(Decision::accept(Priority::MIN))
    }

    fn commit_resv(&self, _: CommitResv<'_>) {
        self.0[1].fetch_add(1, Relaxed);
    }

    fn delete_state(&self, _: DeleteState<'_>) {
        self.0[2].fetch_add(1, Relaxed);
    }
}

impl Statistics for Other {
    fn statistics(&self, report: &mut dyn FnMut(&str, u64)) {
        for (name, count) in ["admit", "commit", "delete"].into_iter().zip(&self.0) {
            report(name, count.load(Relaxed));
        }
    }
}

fn list(way: Way, in_c: Option<&InC>, generation: u64) -> [LpmConfig; 2] {
    let lpm = match way {
        Way::Inline | Way::Worker | Way::Process => LpmConfig::new("twin", library("twin")),
        Way::BuiltIn => LpmConfig::new("twin", LpmSource::built_in::<Twin>()),
        Way::InC => in_c.expect("it is there").named("twin"),
    };
    let lpm = match way {
        Way::Worker => lpm.call_mode(CallMode::worker()),
        Way::Process => lpm.isolation(Isolation::Process),
        _ => lpm,
    };
    let limit = Duration::from_millis(LIMIT + generation);
    let other = LpmSource::built_in_with_statistics::<Other>();
    [lpm.result_time_limit(limit), LpmConfig::new("other", other)]
}

const HOP: RsvpHop = RsvpHop {
    address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254)),
    logical_interface: 0,
};

fn session() -> Session {
    Session::new(Ipv4Addr::new(192, 0, 2, 80), 17, 5004).expect("a legal session")
}

fn senders(order: u8, name: u8) -> [FilterSpec; 2] {
    let address = |port| FilterSpec::new(Ipv4Addr::new(10, 99, order, name), port);
    [address(4000), address(4001)]
}

fn message(kind: Kind, order: u8, name: u8) -> Vec<u8> {
    let [one, two] = senders(order, name);
    let asked = controlled_load(125_000.0);
    let flows = match kind {
        Kind::Path => {
            let tspec = Tspec {
                rate: 125_000.0,
                bucket: 3_000.0,
                peak_rate: f32::INFINITY,
                min_policed: 64,
                max_packet: 1_500,
            };
            let path = Path::new(session(), HOP, TimeValues::DEFAULT, one, tspec);
            return path.build().expect("a legal message");
        }
        Kind::Distinct => Flows::FixedFilter(vec![(asked, one), (asked, two)]),
        Kind::Shared => Flows::SharedExplicit(asked, vec![one, two]),
        Kind::Wildcard => Flows::WildcardFilter(asked),
    };
    let resv = Resv::new(session(), HOP, TimeValues::DEFAULT, flows);
    resv.build().expect("a legal message")
}

/// One life, and what was seen of it.
struct Life<'a> {
    way: Way,
    in_c: Option<&'a InC>,
    pcm: Pcm,
    clock: ManualClock,
    events: RecordedEvents,
    /// How many of these were seen.
    seen_events: usize,
    pending: Vec<(u8, Admission)>,
    seen: Vec<String>,
}

impl<'a> Life<'a> {
    fn begin(way: Way, in_c: Option<&'a InC>) -> Self {
        let (clock, events) = (ManualClock::new(), RecordedEvents::default());
        let [lpm, other] = list(way, in_c, 0);
        let pcm = Pcm::builder()
            .lpm(lpm)
            .lpm(other)
            .clock(&clock)
            .runner(runner())
            .event_log(events.clone());
        let mut life = Self {
            way,
            in_c,
            pcm: pcm.build().expect("builds"),
            clock,
            events,
            seen_events: 0,
            pending: Vec::new(),
            seen: Vec::new(),
        };
        life.take(&Step::Become);
        life
    }

    fn take(&mut self, step: &Step) {
        let said = match step {
            Step::Become => match self.pcm.become_dsbm() {
                Ok(_) => "in charge".to_owned(),
                Err(error) => error.to_string(),
            },
            Step::Demote => match self.pcm.demote() {
                Ok(teardown) => {
                    let lpms = teardown.lpms.iter();
                    let lpms: Vec<_> = lpms.map(|lpm| (lpm.name.to_string(), lpm.status)).collect();
                    format!("{lpms:?}")
                }
                Err(error) => error.to_string(),
            },
            Step::Reconfigure(generation) => {
                let list = list(self.way, self.in_c, *generation);
                match self.pcm.reconfigure(list) {
                    Ok(done) => format!(
                        "{} kept, {} started, {} stopped",
                        done.kept.len(),
                        done.started.lpms.len(),
                        done.stopped.lpms.len()
                    ),
                    Err(error) => error.to_string(),
                }
            }
            Step::Ask(kind, DEFER, name) if !matches!(kind, Kind::Wildcard) => {
                let later = |message: &[u8]| {
                    with_received(message, |received| self.pcm.admit_later(received))
                };
                let asked = later(&message(*kind, DEFER, *name));
                match asked {
                    Ok(admission) => {
                        // On its own thread, too, it has been asked when this is answered.
                        self.ask(Kind::Path, NO_OPINION, 0);
                        self.pending.push((*name, admission));
                        "later".to_owned()
                    }
                    Err(error) => error.to_string(),
                }
            }
            Step::Ask(kind, order, name) => self.ask(*kind, *order, *name),
            Step::Objects(order) => {
                match rsvp_objects(&self.pcm, &message(Kind::Path, *order, 0), 100) {
                    Ok(OutgoingVerdict::Send(objects)) => {
                        format!("{:?}, {} late", objects.policy_data, objects.late.len())
                    }
                    Ok(OutgoingVerdict::Drop { by }) => format!("dropped by {}", self.name(by)),
                    Ok(_) => "something new".to_owned(),
                    Err(error) => error.to_string(),
                }
            }
            Step::Commit(name) => {
                let resv = message(Kind::Shared, 0, *name);
                let told = with_received(&resv, |received| {
                    self.pcm.commit_resv(&CommittedResv {
                        decision: CommitDecision::ResourcesAllocated,
                        message: received.message,
                        flow: 0,
                        interface: received.interface,
                        merged: None,
                    })
                });
                format!("{told:?}")
            }
            Step::Tear(order, name) => {
                let tear = PathTear::new(session(), HOP, senders(*order, *name)[0]);
                let tear = tear.build().expect("a legal message");
                let verdict = with_received(&tear, |received| self.pcm.admit(received));
                format!("{:?}", verdict.map(|verdict| verdict.outcome()))
            }
            Step::Table(rows) => {
                let row = |number| AddressRow {
                    interface_index: number,
                    media_type: 6,
                    address: Ipv4Addr::new(192, 0, 2, 1).into(),
                    prefix_length: 24,
                };
                let table: Vec<_> = (1..).map(row).take(*rows).collect();
                self.pcm.set_ip_address_table(&table);
                String::new()
            }
            Step::Advance(milliseconds) => {
                self.clock.advance(Duration::from_millis(*milliseconds));
                String::new()
            }
        };
        self.seen.push(format!("{step:?}: {said}"));
        self.look(matches!(step, Step::Reconfigure(_)));
    }

    /// Has the PCM decide, and waits for that.
    fn ask(&self, kind: Kind, order: u8, name: u8) -> String {
        let message = message(kind, order, name);
        match with_received(&message, |received| self.pcm.admit(received)) {
            Ok(verdict) => self.verdict(&verdict),
            Err(error) => error.to_string(),
        }
    }

    /// What there is to see after a step.
    fn look(&mut self, is_reconfigured: bool) {
        let pending = std::mem::take(&mut self.pending);
        for (name, admission) in pending {
            if admission.is_decided() {
                let verdict = self.verdict(&admission.wait());
                self.seen.push(format!("  request {name}: {verdict}"));
            } else {
                self.pending.push((name, admission));
            }
        }
        let events = self.events.all();
        for event in &events[self.seen_events..] {
            // A library in C was told through the initialization that speaks for it until then.
            if !(is_reconfigured && event.id == EventId::LpmAddressTableRefused) {
                self.seen.extend(seen(event));
            }
        }
        self.seen_events = events.len();
        if let Ok(statistics) = self.pcm.statistics() {
            self.seen
                .push(format!("  other: {:?}", statistics[1].counters));
        }
    }

    fn verdict(&self, verdict: &Verdict) -> String {
        let mut text = format!("{:?}", verdict.outcome());
        for flow in verdict.flows() {
            let by = flow.by.map_or_else(String::new, |by| self.name(by));
            // Writing to a `String` does not fail.
            let _ = write!(text, ", {:?} by {by}", flow.decision);
        }
        if verdict.immediate_refresh() {
            text.push_str(", refreshed at once");
        }
        text
    }

    fn name(&self, lpm: lpm_host::LpmHandle) -> String {
        let name = self.pcm.lpm_name(lpm);
        name.map_or_else(|| "nobody".to_owned(), |name| name.to_string())
    }

    fn end(mut self) -> Vec<String> {
        self.take(&Step::Demote);
        self.seen
    }
}

/// What is to be the same of an event: all but what is about its library, and what the LPM says in
/// its own words.
fn seen(event: &Event) -> Option<String> {
    let detail = match event.id {
        EventId::LibraryUnmapped | EventId::LibraryPinned | EventId::LibraryHindersUnloading => {
            return None;
        }
        EventId::LpmDeinitializeFailed => "",
        // In C, each sender of those that share a reservation has a decision of its own.
        EventId::LpmResultRefused if event.detail.contains(" decisions, expected ") => "how many",
        // On a thread of its own every request takes a handle.
        _ => event.detail.split(" (handle ").next().unwrap_or_default(),
    };
    let (id, lpm, status) = (event.id, &event.lpm, event.status);
    Some(format!("  event {id} {lpm:?} {status:?} {detail}"))
}

fn lives() -> u32 {
    let lives = std::env::var("LPM_LIVES").ok();
    lives.map_or(150, |lives| lives.parse().expect("a number"))
}

#[test]
fn twins_live_the_same_life() {
    let in_c = InC::are_there().then(|| InC::new("twin"));
    let mut ways = WAYS.to_vec();
    ways.retain(|way| *way != Way::InC || in_c.is_some());
    let config = Config {
        cases: lives(),
        max_shrink_iters: 300,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..Config::default()
    };
    let steps = prop::collection::vec(any_step(), 0..30);
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let outcome = runner.run(&steps, |steps| {
        let lives = ways.iter().map(|way| {
            let mut life = Life::begin(*way, in_c.as_ref());
            for step in &steps {
                life.take(step);
            }
            (way, life.end())
        });
        let lives: Vec<_> = lives.collect();
        let (first, expected) = &lives[0];
        for (way, found) in &lives[1..] {
            for (found, expected) in found.iter().zip(expected) {
                prop_assert_eq!(found, expected, "{:?} and {:?}", way, first);
            }
            prop_assert_eq!(found.len(), expected.len(), "{:?} and {:?}", way, first);
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
