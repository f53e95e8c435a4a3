//! Everything at once, for as long as one likes: LPMs that misbehave, callers that ask in every
//! way, lists that are exchanged, and a node that is demoted again and again.
//!
//! ```text
//! soak 60       # a minute, with a seed of the time
//! soak 60 4711  # the same again, as far as threads let it be the same
//! ```
//!
//! Four kinds of LPM are asked about each flow, all of which count the flows they know:
//!
//! | LPM | calls run | it |
//! |---|---|---|
//! | `inline` | on the caller's thread | panics, and returns late with an acceptance |
//! | `deferred` | on the caller's thread | answers from a thread of its own: in time, late, twice, or never |
//! | `worker` | on a thread of its own | panics, and returns late with an acceptance |
//! | `guest` | on the caller's thread | comes and goes with the lists |
//!
//! Six threads ask: they wait, poll a future, take callbacks, and withdraw. They tear down what was
//! granted, by message or by word. In the end
//!
//! - every request had exactly one verdict, unless it was withdrawn;
//! - nothing was granted that an LPM had answered late;
//! - each of the first three LPMs knows the flows that were granted and not torn down, and no
//!   others.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lpm_api::{
    AdmitRequest, Answer, Decision, Deferral, DeinitError, DeinitReason, DeleteReason, DeleteState,
    InitError, InitInfo, Interface, Lpm, PcmCallbacks, Priority,
};
use lpm_host::error::PcmError;
use lpm_host::event::EventId;
use lpm_host::lpm_rsvp::build::{Path, PathTear};
use lpm_host::lpm_rsvp::{FilterSpec, Message, ObjectIndex, RsvpHop, Session, TimeValues, Tspec};
use lpm_host::{CallMode, LpmConfig, LpmSource, Outcome, Pcm, ReceivedMessage, StateGone, Verdict};
use lpm_tests::RecordedEvents;

const LIMIT: Duration = Duration::from_millis(100);
/// Longer by more than the clock of a PCM is coarse.
const LATE: Duration = Duration::from_millis(170);
const ACCEPT: Decision = Decision::accept(Priority::MIN);
const THREADS: u64 = 6;

/// What the LPMs know, by the place of their names in [`NAMES`].
static KNOWN: [Mutex<BTreeSet<u32>>; 4] = [const { Mutex::new(BTreeSet::new()) }; 4];
const NAMES: [&str; 4] = ["inline", "deferred", "worker", "guest"];
/// Flows that an LPM accepted late.
static ACCEPTED_LATE: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
/// So that LPMs behave when the end is looked at.
static BEHAVES: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|seconds| seconds.parse().ok());
    let seed = arguments.next().map_or_else(
        || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.ok().and_then(|now| u64::try_from(now.as_millis()).ok())
        },
        |seed| seed.parse().ok(),
    );
    let (Some(seconds), Some(seed)) = (seconds, seed) else {
        eprintln!("expected how many seconds, and a seed (a number), if any");
        return ExitCode::FAILURE;
    };
    println!("{seconds} seconds, seed {seed}");
    // LPMs panic by intent.
    std::panic::set_hook(Box::new(|info| {
        let of_an_lpm = info.payload().downcast_ref() == Some(&"by intent");
        if !of_an_lpm {
            eprintln!("{info}");
        }
    }));
    match Soak::run(Duration::from_secs(seconds), seed) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// A generator that the seed determines (xorshift64*).
struct Random(u64);

impl Random {
    fn of(seed: u64, thread: u64) -> Self {
        let mut random = Self((seed ^ thread.wrapping_mul(0x9E37_79B9_7F4A_7C15)).max(1));
        random.below(2);
        random
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an LPM does about a flow, which the flow's number says.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Accepts,
    Rejects,
    Panics,
    IsLate,
    AnswersTwice,
    NeverAnswers,
}

fn mood(flow: u32, lpm: usize) -> Mood {
    if BEHAVES.load(Ordering::Relaxed) {
        return Mood::Accepts;
    }
    let number = Random::of(u64::from(flow), lpm as u64 + 100).below(1_000);
    match number {
        0..=3 => Mood::IsLate,
        4..=23 => Mood::Panics,
        24..=33 => Mood::NeverAnswers,
        34..=63 => Mood::AnswersTwice,
        64..=113 => Mood::Rejects,
        _ => Mood::Accepts,
    }
}

fn flow_of(message: Message<'_>) -> u32 {
    match message.session().map(|session| session.address()) {
        Some(IpAddr::V4(address)) => u32::from(address),
        _ => 0,
    }
}

/// An LPM that counts the flows it knows.
struct Counts {
    place: usize,
    answers: Option<Sender<(Deferral, u32, PcmCallbacks)>>,
    thread: Option<thread::JoinHandle<()>>,
    callbacks: PcmCallbacks,
}

impl Counts {
    fn knows(place: usize, flow: u32) {
        lock(&KNOWN[place]).insert(flow);
    }

    fn forgets(place: usize, flow: u32) {
        lock(&KNOWN[place]).remove(&flow);
    }

    fn answer(deferral: Deferral, flow: u32, callbacks: PcmCallbacks) {
        let (place, handle) = (1, deferral.handle());
        match mood(flow, place) {
            Mood::NeverAnswers => drop(deferral),
            Mood::Rejects => {
                let _ =
                    deferral.complete_all(Decision::reject(lpm_api::LpmPolicyError::UnknownUser));
            }
            mood => {
                if mood == Mood::IsLate {
                    thread::sleep(LATE);
                    lock(&ACCEPTED_LATE).insert(flow);
                }
                // Known before it is said, so that what follows from it comes after.
                Self::knows(place, flow);
                if deferral.complete_all(ACCEPT).is_err() {
                    Self::forgets(place, flow);
                }
                if mood == Mood::AnswersTwice {
                    let again = callbacks.admit_result(handle, false, &[ACCEPT]);
                    assert!(again.is_err(), "a second answer was taken");
                }
            }
        }
    }
}

impl Lpm for Counts {
    fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
        let place = NAMES
            .iter()
            .position(|name| init.config().starts_with(name));
        let place = place.ok_or_else(|| InitError::config("expected a name"))?;
        lock(&KNOWN[place]).clear();
        let (answers, to_answer) = channel();
        let thread = (place == 1).then(|| {
            thread::spawn(move || {
                for (deferral, flow, callbacks) in to_answer {
                    Self::answer(deferral, flow, callbacks);
                }
            })
        });
        Ok(Self {
            place,
            answers: thread.is_some().then_some(answers),
            thread,
            callbacks: init.callbacks(),
        })
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        let flow = flow_of(request.message());
        if let Some(answers) = &self.answers {
            let (deferral, answer) = request.defer();
            // Where nobody takes it the token is dropped, which rejects.
            let _ = answers.send((deferral, flow, self.callbacks));
            return answer;
        }
        match mood(flow, self.place) {
            Mood::Panics => std::panic::panic_any("by intent"),
            Mood::Rejects => {
                request.decide_all(Decision::reject(lpm_api::LpmPolicyError::UnknownUser))
            }
            mood => {
                if mood == Mood::IsLate {
                    thread::sleep(LATE);
                    lock(&ACCEPTED_LATE).insert(flow);
                }
                Self::knows(self.place, flow);
                request.decide_all(ACCEPT)
            }
        }
    }

    fn delete_state(&self, request: DeleteState<'_>) {
        Self::forgets(self.place, flow_of(request.message()));
    }

    fn deinitialize(mut self, _: DeinitReason) -> Result<(), DeinitError> {
        self.answers = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        Ok(())
    }
}

fn config(place: usize, version: u64) -> LpmConfig {
    let name = NAMES[place];
    let config = LpmConfig::new(name, LpmSource::built_in::<Counts>())
        .config(format!("{name} {version}"))
        .result_time_limit(LIMIT);
    match place {
        2 => config.call_mode(CallMode::Worker {
            threads: NonZeroUsize::MIN,
        }),
        _ => config,
    }
}

fn list(guest: Option<u64>) -> Vec<LpmConfig> {
    let stay = (0..3).map(|place| config(place, 0));
    stay.chain(guest.map(|version| config(3, version)))
        .collect()
}

/// What the threads share.
struct Soak {
    pcm: Pcm,
    events: RecordedEvents,
    /// Odd while the LPMs are stopped and started.
    epoch: AtomicU64,
    is_over: AtomicBool,
    next_flow: AtomicU64,
    granted: Mutex<BTreeSet<u32>>,
    asked: AtomicU64,
    withdrawn: AtomicU64,
    verdicts: AtomicU64,
    accepted: AtomicU64,
    problems: AtomicU64,
}

/// A message about one flow.
struct FlowMessage {
    bytes: Vec<u8>,
    index: ObjectIndex,
}

impl FlowMessage {
    fn path(flow: u32) -> Self {
        let tspec = Tspec {
            rate: 125_000.0,
            bucket: 3_000.0,
            peak_rate: f32::INFINITY,
            min_policed: 64,
            max_packet: 1_500,
        };
        let path = Path::new(session(flow), HOP, TimeValues::DEFAULT, sender(), tspec);
        Self::parse(path.build().expect("a legal message"))
    }

    fn tear(flow: u32) -> Self {
        let tear = PathTear::new(session(flow), HOP, sender());
        Self::parse(tear.build().expect("a legal message"))
    }

    fn parse(bytes: Vec<u8>) -> Self {
        let mut index = ObjectIndex::new();
        Message::parse(&bytes, &mut index).expect("a legal message");
        Self { bytes, index }
    }

    fn received(&self) -> ReceivedMessage<'_> {
        ReceivedMessage {
            message: Message::from_index(&self.bytes, self.index.as_slice()),
            interface: INTERFACE,
            received: SystemTime::now(),
            integrity_verified: false,
        }
    }
}

const HOP: RsvpHop = RsvpHop {
    address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254)),
    logical_interface: 0,
};
const INTERFACE: Interface = Interface {
    index: 1,
    address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
};

fn sender() -> FilterSpec {
    FilterSpec::new(Ipv4Addr::new(198, 51, 100, 7), 4000)
}

fn session(flow: u32) -> Session {
    const UDP: u8 = 17;
    Session::new(Ipv4Addr::from(flow), UDP, 5004).expect("UDP has ports")
}

impl Soak {
    /// Returns how many problems there were.
    fn run(duration: Duration, seed: u64) -> u64 {
        let events = RecordedEvents::default();
        let builder = list(None)
            .into_iter()
            .fold(Pcm::builder(), lpm_host::PcmBuilder::lpm);
        let pcm = builder.event_log(events.clone()).build().expect("builds");
        pcm.become_dsbm().expect("starts");
        let soak = Arc::new(Self {
            pcm,
            events,
            epoch: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            next_flow: AtomicU64::new(0),
            granted: Mutex::default(),
            asked: AtomicU64::new(0),
            withdrawn: AtomicU64::new(0),
            verdicts: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            problems: AtomicU64::new(0),
        });
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let soak = &soak;
                scope.spawn(move || soak.ask_again_and_again(thread, Random::of(seed, thread)));
            }
            soak.change_again_and_again(duration, Random::of(seed, THREADS));
            soak.is_over.store(true, Ordering::Relaxed);
        });
        soak.look_at_the_end();
        let _ = soak.pcm.shutdown();
        soak.problems.load(Ordering::Relaxed)
    }

    fn problem(&self, what: &str) {
        eprintln!("PROBLEM: {what}");
        self.problems.fetch_add(1, Ordering::Relaxed);
    }

    /// Exchanges the list, and demotes.
    fn change_again_and_again(&self, duration: Duration, mut random: Random) {
        let begun = Instant::now();
        let mut version = 0;
        while begun.elapsed() < duration {
            thread::sleep(Duration::from_millis(20 + random.below(200)));
            if random.one_in(10) {
                self.epoch.fetch_add(1, Ordering::SeqCst);
                self.pcm.demote().expect("in charge");
                lock(&self.granted).clear();
                self.pcm.become_dsbm().expect("starts");
                self.epoch.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            version += 1;
            let guest = (!random.one_in(3)).then_some(version);
            self.pcm.reconfigure(list(guest)).expect("a good list");
        }
        self.pcm.reconfigure(list(None)).expect("a good list");
    }

    fn ask_again_and_again(self: &Arc<Self>, thread: u64, mut random: Random) {
        let mut mine = Vec::new();
        while !self.is_over.load(Ordering::Relaxed) {
            if mine.len() > 50 || (!mine.is_empty() && random.one_in(3)) {
                let place = usize::try_from(random.below(mine.len() as u64)).unwrap_or_default();
                self.tear_down(mine.swap_remove(place), &mut random);
                continue;
            }
            let number = self.next_flow.fetch_add(1, Ordering::Relaxed);
            let flow = 0x0A00_0000 | (u32::try_from(number).unwrap_or_default() & 0x00FF_FFFF);
            if self.ask(flow, thread) {
                mine.push(flow);
            }
        }
    }

    /// Asks about a flow in the way of this thread; whether it was granted, and is known to the
    /// SBM.
    fn ask(self: &Arc<Self>, flow: u32, thread: u64) -> bool {
        let message = FlowMessage::path(flow);
        let received = message.received();
        let epoch = self.epoch.load(Ordering::SeqCst);
        let verdict = match thread {
            0 | 1 => self.pcm.admit(&received),
            2 | 3 => self.pcm.admit_later(&received).map(block_on),
            4 => {
                let (tell, told) = channel();
                let callback = move |verdict| tell.send(verdict).expect("somebody waits");
                self.pcm.admit_with(&received, callback).map(|()| {
                    let verdict = told.recv().expect("a verdict");
                    // The callback is gone when it was called, and with it the other end.
                    if told.recv().is_ok() {
                        self.problem("a second verdict");
                    }
                    verdict
                })
            }
            _ => match self.pcm.admit_later(&received) {
                Ok(admission) if flow % 2 == 0 => {
                    self.asked.fetch_add(1, Ordering::Relaxed);
                    self.withdrawn.fetch_add(1, Ordering::Relaxed);
                    if admission.is_decided() {
                        // Too late to withdraw: it is a grant like any other, which is torn down.
                        drop(admission);
                        self.forget(flow);
                    }
                    return false;
                }
                asked => asked.map(lpm_host::Admission::wait),
            },
        };
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(PcmError::NotDsbm) => return false,
            Err(error) => {
                self.problem(&error.to_string());
                return false;
            }
        };
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.verdicts.fetch_add(1, Ordering::Relaxed);
        self.is_granted(flow, &verdict, epoch)
    }

    fn is_granted(&self, flow: u32, verdict: &Verdict, epoch: u64) -> bool {
        if verdict.flows().len() != 1 {
            self.problem("a verdict without its flow");
        }
        if verdict.outcome() != Outcome::Accept {
            return false;
        }
        self.accepted.fetch_add(1, Ordering::Relaxed);
        if lock(&ACCEPTED_LATE).contains(&flow) {
            self.problem("granted by a late answer");
        }
        {
            let mut granted = lock(&self.granted);
            let is_of_now = epoch % 2 == 0 && self.epoch.load(Ordering::SeqCst) == epoch;
            if is_of_now {
                granted.insert(flow);
                return true;
            }
        }
        // The LPMs may have been others, or are.
        self.forget(flow);
        false
    }

    fn tear_down(&self, flow: u32, random: &mut Random) {
        lock(&self.granted).remove(&flow);
        if random.one_in(2) {
            let tear = FlowMessage::tear(flow);
            let _ = self.pcm.admit(&tear.received());
        } else {
            self.forget(flow);
        }
    }

    /// Tells the LPMs that a flow is gone.
    fn forget(&self, flow: u32) {
        let message = FlowMessage::path(flow);
        let received = message.received();
        // Stopped LPMs have nothing to forget.
        let _ = self.pcm.delete_state(&StateGone {
            reason: DeleteReason::StateTimeout,
            message: received.message,
            flow: None,
            interface: Some(INTERFACE),
        });
    }

    /// Compares, once what is on its way has arrived.
    fn look_at_the_end(&self) {
        const PATIENCE: Duration = Duration::from_secs(120);
        BEHAVES.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        let granted = lock(&self.granted).clone();
        let differs = |place: &usize| *lock(&KNOWN[*place]) != granted;
        while (0..3).any(|place| differs(&place)) && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(50));
        }
        for place in (0..3).filter(differs) {
            let known = lock(&KNOWN[place]).clone();
            let (name, too_many, too_few) = (
                NAMES[place],
                known.difference(&granted).count(),
                granted.difference(&known).count(),
            );
            let some = known.symmetric_difference(&granted).take(5);
            let some: Vec<_> = some.map(|flow| Ipv4Addr::from(*flow)).collect();
            self.problem(&format!(
                "`{name}` knows {too_many} flows too many and {too_few} too few: {some:?} …"
            ));
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        if count(&self.asked) != count(&self.verdicts) + count(&self.withdrawn) {
            self.problem("requests without a verdict");
        }
        println!(
            "{} requests: {} verdicts, {} withdrawn; {} granted, {} of them at the end, which 3 LPMs know",
            count(&self.asked),
            count(&self.verdicts),
            count(&self.withdrawn),
            count(&self.accepted),
            granted.len()
        );
        for id in [
            EventId::Demoted,
            EventId::Reconfigured,
            EventId::LpmTimedOut,
            EventId::LpmQuarantined,
            EventId::LpmReleased,
            EventId::LpmReinitialized,
            EventId::LpmResultRefused,
            EventId::LpmCallFailed,
        ] {
            println!("{:>6} {id}", self.events.of(id).len());
        }
        println!("{} problems", count(&self.problems));
    }
}

/// Polls a future until it is ready, on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
