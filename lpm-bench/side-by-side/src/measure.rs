//! Times contenders next to each other.
//!
//! They take turns in many short rounds, so that a change of clock speed or a busy neighbour hits
//! all alike. What counts is the median round, and the median of each round's ratio to the first
//! contender.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::report::{Comparison, Quartiles, Row};

/// What one thread of a contender does: so many calls, and how long they took.
pub(crate) type Lane<'a> = Box<dyn FnMut(u64) -> Duration + Send + 'a>;

/// Who is timed, with a lane for each thread.
pub(crate) struct Contender<'a> {
    name: String,
    lanes: Vec<Lane<'a>>,
    /// Calls in a turn.
    calls: u64,
}

/// How much time measuring may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// How often everybody's turn comes.
    pub(crate) rounds: usize,
    /// How long a turn is, about.
    pub(crate) turn: Duration,
}

impl Effort {
    /// For what takes nanoseconds.
    pub(crate) fn of_calls(quick: bool) -> Self {
        let rounds = if quick { 11 } else { 301 };
        Self {
            rounds,
            turn: Duration::from_micros(200),
        }
    }

    /// For what happens once a turn, and takes milliseconds.
    pub(crate) fn of_trials(rounds: usize) -> Self {
        Self {
            rounds,
            turn: Duration::ZERO,
        }
    }
}

impl<'a> Contender<'a> {
    /// Who does the same on each of so many threads.
    pub(crate) fn new(
        name: impl Into<String>,
        threads: usize,
        mut lane: impl FnMut(usize) -> Lane<'a>,
    ) -> Self {
        Self {
            name: name.into(),
            lanes: (0..threads).map(&mut lane).collect(),
            calls: 1,
        }
    }

    /// Who runs on one thread.
    pub(crate) fn single(name: impl Into<String>, lane: Lane<'a>) -> Self {
        Self {
            name: name.into(),
            lanes: vec![lane],
            calls: 1,
        }
    }

    /// Who does so many things in each turn.
    pub(crate) fn of_many(name: impl Into<String>, calls: usize, lane: Lane<'a>) -> Self {
        Self {
            calls: calls as u64,
            ..Self::single(name, lane)
        }
    }

    /// Finds out how many calls a turn takes.
    fn calibrate(&mut self, turn: Duration) {
        if turn.is_zero() {
            return;
        }
        const MOST: u64 = 1 << 20;
        // The first call is no measure.
        self.lanes[0](1);
        while self.calls < MOST && self.lanes[0](self.calls) < turn {
            self.calls *= 2;
        }
    }

    /// Nanoseconds a call in one turn, on average over the threads.
    fn turn(&mut self) -> f64 {
        let Self { lanes, calls, .. } = self;
        let (calls, threads) = (*calls, lanes.len());
        let ready = AtomicUsize::new(0);
        let run = |lane: &mut Lane<'_>| {
            ready.fetch_add(1, Ordering::SeqCst);
            while ready.load(Ordering::SeqCst) < threads {
                std::hint::spin_loop();
            }
            lane(calls).as_secs_f64()
        };
        let (own, others) = lanes.split_first_mut().expect("a thread");
        let seconds = thread::scope(|scope| {
            let run = &run;
            let others: Vec<_> = others
                .iter_mut()
                .map(|lane| scope.spawn(move || run(lane)))
                .collect();
            let own = run(own);
            let others = others.into_iter().map(|thread| thread.join());
            others.map(|time| time.expect("it ends")).sum::<f64>() + own
        });
        seconds * 1e9 / calls as f64 / threads as f64
    }
}

/// A lane that times calls.
pub(crate) fn calls<'a>(mut call: impl FnMut(u64) + Send + 'a) -> Lane<'a> {
    let mut number = 0;
    Box::new(move |calls| {
        let begun = Instant::now();
        for _ in 0..calls {
            number += 1;
            call(black_box(number));
        }
        begun.elapsed()
    })
}

/// Times contenders in turns; the first is what the others are compared with.
pub(crate) fn compare(
    case: impl Into<String>,
    mut contenders: Vec<Contender<'_>>,
    effort: Effort,
) -> Comparison {
    for contender in &mut contenders {
        contender.calibrate(effort.turn);
    }
    let mut samples = vec![Vec::with_capacity(effort.rounds); contenders.len()];
    for _ in 0..effort.rounds {
        for (contender, samples) in contenders.iter_mut().zip(&mut samples) {
            samples.push(contender.turn());
        }
    }
    let rows = contenders
        .into_iter()
        .zip(&samples)
        .map(|(contender, own)| {
            let ratios = own.iter().zip(&samples[0]).map(|(own, first)| own / first);
            Row {
                what: contender.name,
                value: Quartiles::of(own.iter().copied()),
                ratio: Some(Quartiles::of(ratios)),
                samples: own.clone(),
            }
        });
    Comparison {
        case: case.into(),
        unit: "ns",
        rows: rows.collect(),
    }
}
