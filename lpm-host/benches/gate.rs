//! What entering the gate adds to a call through the plugin ABI, next to the usual alternatives:
//! `cargo bench -p lpm-host --bench gate`.
//!
//! The variants take turns in many short rounds, so that a change of clock speed or a busy neighbour hits all
//! alike; the median round counts, and the median of each round's ratio to the bare call.
//! `cargo bench … -- only <n>` runs one variant a million times, for `valgrind --tool=callgrind`.

// What `sabi_trait` generates, and the gate itself, which is not public and therefore included by path.
#![allow(unsafe_code, non_local_definitions)]

use std::hint::black_box;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RArc, RBox, RSlice, RSliceMut};
use abi_stable::{StableAbi, sabi_trait};
use arc_swap::ArcSwap;

#[allow(dead_code, unused_imports)]
#[path = "../src/library"]
mod library {
    pub(crate) mod gate;
}

use library::gate::Gate;
use library::gate::barrier::Barrier;

const ROUNDS: usize = 801;
const CALLS: u64 = 10_000;

/// A call of the shape of `lpm-api`'s `admit`, which does next to nothing: what counts is the way there.
#[sabi_trait]
trait Admit: Send + Sync {
    fn admit(&self, request: &Request<'_>, decisions: RSliceMut<'_, Decision>) -> u32;
}

#[repr(C)]
#[derive(StableAbi)]
struct Request<'a> {
    handle: u64,
    message: RSlice<'a, u8>,
}

#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
struct Decision {
    lpv: u32,
    error_code: u16,
    error_value: u16,
}

struct Lpm(u32);

impl Admit for Lpm {
    fn admit(&self, request: &Request<'_>, mut decisions: RSliceMut<'_, Decision>) -> u32 {
        decisions[0].lpv = self.0 + u32::from(request.handle == 0) + u32::from(request.message[0]);
        0
    }
}

type LpmObject = Admit_TO<'static, RBox<()>>;

struct Variant<'a> {
    name: &'static str,
    calls: Box<dyn Fn(u64) + Sync + 'a>,
}

fn variant<'a>(name: &'static str, call: impl Fn(u64) + Sync + 'a) -> Variant<'a> {
    let calls = Box::new(move |n| (0..n).for_each(&call));
    Variant { name, calls }
}

fn lpms() -> Box<[LpmObject]> {
    Box::new([Admit_TO::from_value(Lpm(7), TD_Opaque)])
}

fn main() {
    let message = [0x10_u8; 64];
    let call = |lpm: &LpmObject, handle: u64| {
        let request = Request {
            handle,
            message: RSlice::from_slice(&message),
        };
        let mut decisions = [Decision {
            lpv: u32::MAX,
            error_code: 0,
            error_value: 0,
        }];
        black_box(lpm.admit(
            black_box(&request),
            RSliceMut::from_mut_slice(&mut decisions),
        ));
        black_box(&decisions);
    };

    let bare = lpms();
    let gate = Gate::new(Box::new(lpms()));
    let portable = Gate::with_barrier(Box::new(lpms()), Barrier::Swap);
    let per_lpm = Gate::new(Box::new(
        lpms()
            .into_iter()
            .map(|lpm| Gate::new(Box::new(Some(lpm))))
            .collect::<Box<[_]>>(),
    ));
    let arc_swap = ArcSwap::from_pointee(lpms());
    let rw_lock = RwLock::new(lpms());
    let arc = RArc::new(lpms());

    let variants = [
        variant("bare abi_stable call", |i| call(&black_box(&bare)[0], i)),
        variant("gate", |i| call(&black_box(&gate).enter()[0], i)),
        variant("gate, no membarrier", |i| {
            call(&black_box(&portable).enter()[0], i)
        }),
        variant("gate, and one per LPM", |i| {
            let list = black_box(&per_lpm).enter();
            if let Some(lpm) = &*list[0].enter() {
                call(lpm, i);
            }
        }),
        variant("ArcSwap::load", |i| {
            call(&black_box(&arc_swap).load()[0], i)
        }),
        variant("RwLock::read", |i| {
            call(&black_box(&rw_lock).read().unwrap()[0], i)
        }),
        variant("Arc::clone", |i| call(&black_box(&arc).clone()[0], i)),
    ];

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
        println!("{threads} thread(s): ns a call, × the bare call");
        for (variant, (ns, ratio)) in variants.iter().zip(measure(&variants, threads, rounds)) {
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
