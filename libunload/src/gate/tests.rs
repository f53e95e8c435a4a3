//! Real threads and the real barrier. The interleavings are explored in `model.rs`.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Barrier as Rendezvous};
use std::thread;
use std::time::Duration;

use super::barrier::Barrier;
use super::{Gate, LANE, Reason, Retired, inside_any_pass};

const FOREVER: Duration = Duration::MAX;

/// Both barriers, whichever the process prefers; `Membarrier` only where it works.
fn barriers() -> impl Iterator<Item = Barrier> {
    let preferred = Barrier::of_process();
    [Barrier::Swap, preferred]
        .into_iter()
        .skip(usize::from(preferred == Barrier::Swap))
}

#[test]
#[cfg(all(target_os = "linux", not(miri)))]
fn linux_has_membarrier() {
    assert_eq!(Barrier::of_process(), Barrier::Membarrier);
}

/// Does not compile if a pass could leave its thread, or be used from another.
#[test]
fn a_pass_belongs_to_its_thread() {
    trait AmbiguousIf<Marker> {
        fn check() {}
    }
    struct Sendable;
    struct Shareable;
    impl<T> AmbiguousIf<()> for T {}
    impl<T: Send> AmbiguousIf<Sendable> for T {}
    impl<T: Sync> AmbiguousIf<Shareable> for T {}
    <super::Pass<'static, u32> as AmbiguousIf<_>>::check();
}

#[test]
fn a_pass_keeps_its_value_and_later_ones_get_the_next() {
    for barrier in barriers() {
        let gate = Gate::with_barrier(Box::new(1), barrier);
        let old = thread::scope(|scope| {
            let pass = gate.enter();
            let retired = gate.replace(Box::new(2));
            assert_eq!((*pass, *gate.enter()), (1, 2));
            let drainer = scope.spawn(|| retired.drain(Duration::ZERO));
            let still_inside = drainer.join().unwrap().unwrap_err();
            assert!(
                matches!(still_inside.reason(), Reason::Threads(threads) if threads.len() == 1)
            );
            drop(pass);
            still_inside.drain(Duration::ZERO).unwrap()
        });
        assert_eq!(*old, 1);
        assert_eq!(*gate.enter(), 2);
    }
}

/// Where the process has the barrier that is usual on its system, else there is nothing to see.
fn two_gates() -> Option<[Gate<i32>; 2]> {
    let gates = [1, 10].map(|value| Gate::new(Box::new(value)));
    (Barrier::of_process() == Barrier::USUAL).then_some(gates)
}

#[test]
fn a_thread_in_no_pass_enters_first_and_looks_into_others() {
    let Some([outer, inner]) = two_gates() else {
        return;
    };
    // Not before this thread has entered anything, nor inside a pass.
    drop(outer.enter());
    let pass = inner.enter();
    assert!(outer.enter_first().is_none());
    drop(pass);

    let mut first = outer.enter_first().expect("in no pass");
    assert!(outer.enter_first().is_none(), "one on a thread");
    let (outer_value, mut look) = first.split();
    let passes = [inner.enter(), inner.enter()];
    let sum = look.at(&inner, |value| {
        assert_eq!(
            inner.passes().len(),
            3,
            "all of them have slots of their own"
        );
        assert_eq!(*inner.enter() + *outer.enter(), 11);
        *outer_value + *value
    });
    assert_eq!(sum, Some(11));
    assert_eq!(inner.passes().len(), 2);
    drop(passes);
    assert_eq!(look.at(&outer, |value| *value), Some(1));
    drop(first);
    assert!(!inside_any_pass());
}

#[test]
fn threads_that_live_at_the_same_time_have_lanes_of_their_own() {
    let Some([gate, _]) = two_gates() else {
        return;
    };
    let barrier = std::sync::Barrier::new(8);
    let mut lanes: Vec<_> = std::thread::scope(|scope| {
        let lane = || {
            drop(gate.enter());
            let lane = gate.enter_first().expect("in no pass").split().1.lane();
            barrier.wait();
            lane as usize
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(lane)).collect();
        let lanes = threads.into_iter().map(|thread| thread.join().unwrap());
        lanes.collect()
    });
    lanes.sort_unstable();
    assert!(lanes.iter().all(|lane| lane % LANE == 0), "{lanes:?}");
    assert!(lanes.is_sorted_by(|one, other| one < other), "{lanes:?}");
}

#[test]
fn a_look_keeps_its_value() {
    let Some([outer, inner]) = two_gates() else {
        return;
    };
    drop(outer.enter());
    let mut first = outer.enter_first().expect("in no pass");
    let (_, mut look) = first.split();
    let retired = look.at(&inner, |value| {
        let retired = inner.replace(Box::new(20));
        let still_inside = retired.drain(Duration::ZERO).unwrap_err();
        assert!(matches!(still_inside.reason(), Reason::ThisThread));
        assert_eq!(*value, 10);
        still_inside
    });
    let retired = retired.expect("looks");
    assert_eq!(*retired.drain(Duration::ZERO).unwrap(), 10);
    assert_eq!(look.at(&inner, |value| *value), Some(20));
}

#[test]
#[cfg(all(target_os = "linux", not(miri)))]
fn the_thread_inside_is_named() {
    let gate = Gate::new(Box::new(1));
    let (entered, wait_entered) = std::sync::mpsc::channel();
    let (leave, wait_leave) = std::sync::mpsc::channel::<()>();
    thread::scope(|scope| {
        let gate = &gate;
        scope.spawn(move || {
            let _outer = gate.enter();
            let _inner = gate.enter();
            // SAFETY: libc promises that gettid takes nothing, touches nothing and cannot fail.
            entered.send(unsafe { libc::gettid() }).unwrap();
            wait_leave.recv().unwrap();
        });
        let id = wait_entered.recv().unwrap();
        let retired = gate.replace(Box::new(2));
        let still_inside = retired.drain(Duration::ZERO).unwrap_err();
        let Reason::Threads(threads) = still_inside.reason() else {
            panic!("{still_inside:?}");
        };
        assert_eq!(threads.len(), 1, "one thread, though it is inside twice");
        assert_eq!(threads[0].os_id, u32::try_from(id).ok());
        assert!(
            still_inside
                .to_string()
                .ends_with(&format!(": thread {id}"))
        );
        leave.send(()).unwrap();
        assert_eq!(*still_inside.drain(FOREVER).unwrap(), 1);
    });
}

#[test]
fn a_thread_does_not_wait_for_itself() {
    let gate = Gate::new(Box::new(1));
    let pass = gate.enter();
    let still_inside = gate.replace(Box::new(2)).drain(FOREVER).unwrap_err();
    assert!(matches!(still_inside.reason(), Reason::ThisThread));
    assert_eq!(*pass, 1);
    drop(pass);
    assert_eq!(*still_inside.drain(FOREVER).unwrap(), 1);
}

#[test]
fn a_pass_into_another_value_is_not_waited_for() {
    let (gate, other) = (Gate::new(Box::new(1)), Gate::new(Box::new(10)));
    let _pass = other.enter();
    assert_eq!(*gate.replace(Box::new(2)).drain(FOREVER).unwrap(), 1);
    let _successor = gate.enter();
    assert!(inside_any_pass());
}

/// Deeper than a record has slots, and ended from the outside in.
#[test]
fn passes_nest_without_bound_and_end_in_any_order() {
    let gate = Gate::new(Box::new(1));
    assert!(!inside_any_pass());
    let passes: Vec<_> = (0..100).map(|_| gate.enter()).collect();
    assert!(inside_any_pass());
    let mut retired = gate.replace(Box::new(2));
    for pass in passes {
        let still_inside = retired.drain(Duration::ZERO).unwrap_err();
        assert!(matches!(still_inside.reason(), Reason::ThisThread));
        retired = still_inside.retired;
        assert_eq!(*pass, 1);
    }
    assert!(!inside_any_pass());
    assert_eq!(*retired.drain(Duration::ZERO).unwrap(), 1);
}

#[test]
fn unwinding_leaves_the_value() {
    let gate = Gate::new(Box::new(1));
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _outer = gate.enter();
        let _inner = gate.enter();
        panic!("an LPM panicked");
    }));
    assert!(unwound.is_err());
    assert!(!inside_any_pass());
    assert_eq!(*gate.replace(Box::new(2)).drain(Duration::ZERO).unwrap(), 1);
}

#[test]
fn a_forgotten_pass_keeps_its_value_from_being_freed() {
    let (drop_count, gate) = counted();
    thread::scope(|scope| {
        scope.spawn(|| std::mem::forget(gate.enter()));
    });
    let retired = gate.replace(Box::new(Counted(Arc::clone(&drop_count))));
    let still_inside = retired.drain(Duration::ZERO).unwrap_err();
    drop(still_inside);
    assert_eq!(drop_count.load(Ordering::Relaxed), 0);
    drop(gate);
    assert_eq!(
        drop_count.load(Ordering::Relaxed),
        1,
        "the gate frees only what it publishes"
    );
}

#[test]
fn what_is_retired_and_dropped_is_leaked() {
    // Keeps the value reachable, so that leak checkers do not report what is done on purpose.
    static LEAKED: AtomicPtr<Counted> = AtomicPtr::new(ptr::null_mut());

    let (drop_count, gate) = counted();
    LEAKED.store(ptr::from_ref(&*gate.enter()).cast_mut(), Ordering::Relaxed);
    let _: Retired<_> = gate.replace(Box::new(Counted(Arc::clone(&drop_count))));
    assert_eq!(drop_count.load(Ordering::Relaxed), 0);
}

#[derive(Debug)]
struct Counted(Arc<AtomicU64>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counted() -> (Arc<AtomicU64>, Gate<Counted>) {
    let drop_count = Arc::new(AtomicU64::new(0));
    let gate = Gate::new(Box::new(Counted(Arc::clone(&drop_count))));
    (drop_count, gate)
}

/// Thread-locals are destroyed in an order that a library cannot choose. These enter before and
/// after the gate has given this thread's record back, and one holds a pass across that moment.
#[test]
fn entering_while_thread_locals_are_destroyed() {
    static GATE: std::sync::OnceLock<Gate<u32>> = std::sync::OnceLock::new();
    static CALLS: AtomicU64 = AtomicU64::new(0);

    struct Caller(Cell<bool>);
    impl Drop for Caller {
        fn drop(&mut self) {
            if self.0.get() {
                let gate = GATE.get().unwrap();
                let (outer, inner) = (gate.enter(), gate.enter());
                assert!(inside_any_pass());
                CALLS.fetch_add(u64::from(*outer + *inner), Ordering::Relaxed);
            }
        }
    }
    thread_local! {
        static BEFORE: Caller = const { Caller(Cell::new(false)) };
        static HELD: RefCell<Option<super::Pass<'static, u32>>> = const { RefCell::new(None) };
        static AFTER: Caller = const { Caller(Cell::new(false)) };
    }

    let gate = GATE.get_or_init(|| Gate::new(Box::new(1)));
    for _ in 0..50 {
        thread::spawn(|| {
            BEFORE.with(|caller| caller.0.set(true));
            HELD.with(|held| *held.borrow_mut() = None);
            let pass = GATE.get().unwrap().enter();
            HELD.with(|held| *held.borrow_mut() = Some(pass));
            AFTER.with(|caller| caller.0.set(true));
        })
        .join()
        .unwrap();
    }
    assert_eq!(CALLS.load(Ordering::Relaxed), 50 * 2 * 2);
    assert_eq!(*gate.replace(Box::new(2)).drain(Duration::ZERO).unwrap(), 1);
}

/// A few values are published over and over, so addresses come back all the time, and each is
/// marked while it is out of use: nobody inside may see the mark.
#[test]
fn hammered_by_three_threads_while_replaced() {
    struct Value {
        in_use: AtomicBool,
    }
    let replacements = if cfg!(miri) { 40 } else { 2_000 };
    for barrier in barriers() {
        let value = || {
            Box::new(Value {
                in_use: AtomicBool::new(true),
            })
        };
        let gate = Gate::with_barrier(value(), barrier);
        let mut spare = vec![value(), value(), value()];
        let stop = AtomicBool::new(false);
        let start = Rendezvous::new(4);
        let violations = AtomicU64::new(0);
        thread::scope(|scope| {
            for seed in 1..=3_u64 {
                let (gate, stop, start, violations) = (&gate, &stop, &start, &violations);
                scope.spawn(move || {
                    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    start.wait();
                    while !stop.load(Ordering::Relaxed) {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        let outer = gate.enter();
                        let inner = (random % 4 == 0).then(|| gate.enter());
                        for _ in 0..random % 32 {
                            if !outer.in_use.load(Ordering::Relaxed) {
                                violations.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        // On few cores, so that the others get their turn, and also find someone
                        // inside.
                        if random % 64 == 0 {
                            thread::yield_now();
                        }
                        drop(outer);
                        if inner.is_some_and(|inner| !inner.in_use.load(Ordering::Relaxed)) {
                            violations.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
            start.wait();
            for _ in 0..replacements {
                let new = spare.remove(0);
                new.in_use.store(true, Ordering::Relaxed);
                let old = gate.replace(new).drain(FOREVER).unwrap();
                old.in_use.store(false, Ordering::Relaxed);
                spare.push(old);
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(violations.load(Ordering::Relaxed), 0, "{barrier:?}");
    }
}

/// Threads come and go while values do, and records pass from one to the next: the other tests nest
/// 100 deep and run some dozens of threads, so 300 records would mean that the 1 000 threads here
/// made some.
#[test]
fn threads_that_enter_once_and_exit() {
    let rounds = if cfg!(miri) { 20 } else { 500 };
    let gate = Gate::new(Box::new(0_u32));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    thread::scope(|scope| {
                        scope.spawn(|| drop(gate.enter()));
                    });
                }
            });
        }
        for i in 0..rounds {
            let _ = gate.replace(Box::new(i)).drain(FOREVER).unwrap();
        }
    });
    assert!(super::records::count() < 300, "{}", super::records::count());
}
