//! Times variants of a call next to each other.
//!
//! They take turns in many short rounds, so that a change of clock speed or a busy neighbour hits
//! all alike; the median round counts, and the median of each round's ratio to the first variant.
//! `cargo bench … -- only <n>` runs one variant a million times, for `valgrind --tool=callgrind`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

const ROUNDS: usize = 801;
const CALLS: u64 = 10_000;

/// A call to be timed.
pub(crate) struct Variant<'a> {
    name: &'static str,
    calls: Box<dyn Fn(u64) + Sync + 'a>,
}

/// A call, which gets its number.
pub(crate) fn variant<'a>(name: &'static str, call: impl Fn(u64) + Sync + 'a) -> Variant<'a> {
    let calls = Box::new(move |n| (0..n).for_each(&call));
    Variant { name, calls }
}

/// Times the variants, or runs the one that the command line names.
pub(crate) fn run(variants: &[Variant<'_>]) {
    let (flags, arguments): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    match &arguments[..] {
        [only, index] if only == "only" => {
            (variants[index.parse::<usize>().unwrap()].calls)(1_000_000);
            return;
        }
        _ => {}
    }
    // `cargo test --benches` comes without the flag and only wants to see it run.
    let rounds = if flags.iter().any(|flag| flag == "--bench") {
        ROUNDS
    } else {
        1
    };
    for threads in [1, 2] {
        println!("{threads} thread(s): ns a call, × the first");
        for (variant, (ns, ratio)) in variants.iter().zip(measure(variants, threads, rounds)) {
            println!("  {:24} {ns:7.2}  {ratio:6.2}", variant.name);
        }
    }
}

/// The median time of a call in nanoseconds and the median ratio to the first variant, for each.
fn measure(variants: &[Variant<'_>], threads: usize, rounds: usize) -> Vec<(f64, f64)> {
    let mut times_of_all: Vec<Vec<f64>> = vec![Vec::new(); variants.len()];
    for round in 0..=rounds {
        for (variant, times) in variants.iter().zip(&mut times_of_all) {
            let time = time_of_a_call(variant, threads);
            // The first round warms up.
            if round > 0 {
                times.push(time);
            }
        }
    }
    let ratios = |times: &[f64]| {
        times
            .iter()
            .zip(&times_of_all[0])
            .map(|(time, bare)| time / bare)
            .collect()
    };
    times_of_all
        .iter()
        .map(|times| (median(times.clone()), median(ratios(times))))
        .collect()
}

fn time_of_a_call(variant: &Variant<'_>, threads: usize) -> f64 {
    let ready = AtomicUsize::new(0);
    let time = || {
        ready.fetch_add(1, Ordering::SeqCst);
        while ready.load(Ordering::SeqCst) < threads {
            std::hint::spin_loop();
        }
        let start = Instant::now();
        (variant.calls)(CALLS);
        start.elapsed().as_secs_f64() * 1e9 / CALLS as f64
    };
    let time = &time;
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(time)).collect();
        let own = time();
        others
            .into_iter()
            .map(|other| other.join().unwrap())
            .sum::<f64>()
            + own
    }) / threads as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
