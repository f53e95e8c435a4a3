//! Every interleaving of entering, replacing and draining, and every value that the memory model
//! lets a load see, explored by loom:
//! `RUSTFLAGS="--cfg loom" cargo test -p lpm-host --release --lib gate`.
//!
//! The asymmetric barrier is modelled by a sequentially consistent fence on both sides: loom has no
//! `membarrier`. What the models prove is the protocol; that `membarrier` is such a fence is the
//! kernel's promise, and `tests.rs` hammers it for real.
//!
//! Entrants are threads of their own, since the main thread's thread-locals outlive loom's statics.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;

use loom::cell::UnsafeCell;
use loom::model;
use loom::sync::Arc;
use loom::thread;

use super::barrier::Barrier;
use super::{Gate, Retired, inside_any_pass};

/// A value whose reads must happen before its end. Loom tracks the cell and fails the model when an
/// access from inside is concurrent with, or later than, the exclusive one after draining.
struct Probe(UnsafeCell<u32>);

// SAFETY: the content is never touched; the accesses that loom compares are the test.
unsafe impl Sync for Probe {}

impl Probe {
    fn new() -> Box<Self> {
        Box::new(Self(UnsafeCell::new(0)))
    }

    fn read(&self) {
        self.0.with(|_| ());
    }

    fn end(&self) {
        self.0.with_mut(|_| ());
    }
}

/// With three threads, or slots, that matter: what up to three preemptions bring about (loom's
/// documentation calls two or three enough for most bugs); every interleaving would take hours.
fn bounded_model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

/// What the only caller of `drain` does, with the waiting left to loom. The box is kept, so that a
/// model that fails does not read freed memory.
fn drain(mut retired: Retired<Probe>) -> Box<Probe> {
    loop {
        match retired.drain(Duration::ZERO) {
            Ok(value) => {
                value.end();
                return value;
            }
            Err(still_inside) => retired = still_inside.retired,
        }
        thread::yield_now();
    }
}

fn gate() -> Arc<Gate<Probe>> {
    Arc::new(Gate::new(Probe::new()))
}

fn entrant_against_replacer(barrier: Barrier) {
    let gate = Arc::new(Gate::with_barrier(Probe::new(), barrier));
    let entrant = thread::spawn({
        let gate = Arc::clone(&gate);
        move || {
            gate.enter().read();
            gate.enter().read();
        }
    });
    let old = drain(gate.replace(Probe::new()));
    entrant.join().unwrap();
    drop(old);
}

#[test]
fn a_value_ends_after_the_last_pass_into_it() {
    model(|| entrant_against_replacer(Barrier::Fence));
}

#[test]
fn without_the_light_barrier_the_model_finds_a_use_after_the_end() {
    let found = catch_unwind(AssertUnwindSafe(|| {
        model(|| entrant_against_replacer(Barrier::Missing));
    }));
    let message = found.expect_err("the model must fail");
    let message = message.downcast_ref::<String>().expect("loom's message");
    assert!(message.contains("Causality violation"), "{message}");
}

#[test]
fn two_entrants() {
    bounded_model(|| {
        let gate = gate();
        let entrants = [(); 2].map(|()| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || gate.enter().read())
        });
        let old = drain(gate.replace(Probe::new()));
        for entrant in entrants {
            entrant.join().unwrap();
        }
        drop(old);
    });
}

#[test]
fn nested_passes_end_in_any_order() {
    model(|| {
        let gate = gate();
        let entrant = thread::spawn({
            let gate = Arc::clone(&gate);
            move || {
                let outer = gate.enter();
                let inner = gate.enter();
                drop(outer);
                inner.read();
                drop(inner);
                assert!(!inside_any_pass());
            }
        });
        let old = drain(gate.replace(Probe::new()));
        entrant.join().unwrap();
        drop(old);
    });
}

#[test]
fn passes_nested_deeper_than_a_record() {
    bounded_model(|| {
        let gate = gate();
        let entrant = thread::spawn({
            let gate = Arc::clone(&gate);
            move || {
                let passes = [gate.enter(), gate.enter(), gate.enter()];
                for pass in &passes {
                    pass.read();
                }
            }
        });
        let old = drain(gate.replace(Probe::new()));
        entrant.join().unwrap();
        drop(old);
    });
}

#[test]
fn two_gates_nested() {
    model(|| {
        let outer = gate();
        let inner = gate();
        let entrant = thread::spawn({
            let (outer, inner) = (Arc::clone(&outer), Arc::clone(&inner));
            move || {
                let outside = outer.enter();
                inner.enter().read();
                outside.read();
            }
        });
        let old_inner = drain(inner.replace(Probe::new()));
        let old_outer = drain(outer.replace(Probe::new()));
        entrant.join().unwrap();
        drop((old_inner, old_outer));
    });
}

fn looker_against_replacers(barrier: Barrier) {
    let gate = |barrier| Arc::new(Gate::with_barrier(Probe::new(), barrier));
    let (outer, inner) = (gate(barrier), gate(barrier));
    let entrant = thread::spawn({
        let (outer, inner) = (Arc::clone(&outer), Arc::clone(&inner));
        move || {
            // The first entry of a thread is never its cheapest.
            outer.enter().read();
            if let Some(mut first) = outer.enter_first() {
                let (probe, mut look) = first.split();
                look.at(&inner, |probe| probe.read());
                probe.read();
            }
            assert!(!inside_any_pass());
        }
    });
    let old_inner = drain(inner.replace(Probe::new()));
    let old_outer = drain(outer.replace(Probe::new()));
    entrant.join().unwrap();
    drop((old_inner, old_outer));
}

#[test]
fn looking_into_a_gate_from_another() {
    bounded_model(|| looker_against_replacers(Barrier::Fence));
}

/// In a process of its own: loom ends the threads of a model that fails, and passes that end so,
/// outside the model, end the process.
#[test]
fn without_the_light_barrier_a_look_is_a_use_after_the_end() {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture"])
        .arg("gate::model::looker_without_the_light_barrier")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "the model must fail");
    assert!(said.contains("Causality violation"), "{said}");
}

#[test]
#[ignore = "fails, for the test above"]
fn looker_without_the_light_barrier() {
    bounded_model(|| looker_against_replacers(Barrier::Missing));
}

/// The address that an entrant has loaded may be freed and published again before it validates it.
#[test]
fn an_address_that_comes_back() {
    bounded_model(|| {
        let gate = gate();
        let entrant = thread::spawn({
            let gate = Arc::clone(&gate);
            move || gate.enter().read()
        });
        let first = drain(gate.replace(Probe::new()));
        let second = drain(gate.replace(first));
        let first = drain(gate.replace(Probe::new()));
        entrant.join().unwrap();
        drop((first, second));
    });
}

/// A thread exits and another takes over its record while a drainer looks.
#[test]
fn a_record_changes_hands() {
    bounded_model(|| {
        let gate = gate();
        let entrants = thread::spawn({
            let gate = Arc::clone(&gate);
            move || {
                for _ in 0..2 {
                    let gate = Arc::clone(&gate);
                    let entrant = thread::spawn(move || gate.enter().read());
                    entrant.join().unwrap();
                }
            }
        });
        let old = drain(gate.replace(Probe::new()));
        entrants.join().unwrap();
        drop(old);
    });
}

#[test]
fn two_drainers() {
    bounded_model(|| {
        let gate = gate();
        let entrant = thread::spawn({
            let gate = Arc::clone(&gate);
            move || gate.enter().read()
        });
        let drainer = thread::spawn({
            let gate = Arc::clone(&gate);
            move || drain(gate.replace(Probe::new()))
        });
        let one = drain(gate.replace(Probe::new()));
        let other = drainer.join().unwrap();
        entrant.join().unwrap();
        drop((one, other));
    });
}
