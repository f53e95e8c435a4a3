//! Loading and unloading, over and over.

use std::hint::spin_loop;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use lpm_host::error::PcmError;
use lpm_host::{LpmConfig, Pcm};

use crate::callers::Callers;
use crate::messages::{admit, path};
use crate::platform::assert_gone;
use crate::unloading::only_library;
use crate::{RecordedEvents, fixture_stripped, resident_bytes};

/// What some cycles of loading and unloading did to the memory.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// The cycles that count.
    pub cycles: u64,
    /// By how much the resident memory grew in them, in bytes.
    pub bytes: u64,
}

impl Growth {
    /// Bytes per cycle, rounded up.
    #[must_use]
    pub const fn per_cycle(self) -> u64 {
        self.bytes.div_ceil(self.cycles)
    }
}

/// The LPMs of which each cycle takes the next, from copies in this directory.
///
/// # Panics
///
/// When the copies cannot be made.
#[must_use]
pub fn three_lpms(directory: &Path) -> [LpmConfig; 3] {
    [
        fixture_stripped("office-hours", directory).config("0-24"),
        fixture_stripped("thread-current", directory),
        fixture_stripped("thread-local-const", directory),
    ]
}

/// An LPM that logs events and spans of every kind, from a copy in this directory.
///
/// # Panics
///
/// When the copy cannot be made.
#[must_use]
pub fn an_lpm_that_logs(directory: &Path) -> LpmConfig {
    fixture_stripped("logs", directory).config("spans")
}

/// Loads, initializes, asks from three long-lived threads, and unloads, one of the LPMs after the
/// other, as often as the windows say, after a warm-up of so many cycles. Returns the growth in
/// each window.
///
/// # Panics
///
/// When a library stays mapped.
#[must_use]
pub fn cycles(lpms: &[LpmConfig], warm_up: u64, windows: &[u64]) -> Vec<Growth> {
    let callers = Callers::start(3);
    let mut lpms = lpms.iter().cycle();
    let mut run = |cycles: u64| {
        let before = resident_bytes();
        for lpm in lpms.by_ref().take(usize::try_from(cycles).expect("fits")) {
            cycle(lpm, &callers);
        }
        let bytes = resident_bytes().saturating_sub(before);
        Growth { cycles, bytes }
    };
    let _ = run(warm_up);
    let growth = windows.iter().map(|cycles| run(*cycles)).collect();
    callers.end();
    growth
}

fn cycle(lpm: &LpmConfig, callers: &Callers) {
    let pcm = Pcm::builder()
        .lpm(lpm.clone())
        .event_log(RecordedEvents::default());
    let pcm = Arc::new(pcm.build().expect("builds"));
    pcm.become_dsbm().expect("starts");
    callers.ask(&pcm);
    let unloaded = only_library(pcm.demote().expect("in charge"));
    assert_gone(&unloaded.outcome);
}

/// Unloads an LPM so many times while three threads ask it without a pause and two idle threads
/// keep thread-locals of it. Returns how many of their calls reached the LPM.
///
/// # Panics
///
/// When a library stays mapped, or no call reaches it.
#[must_use]
pub fn races(lpm: LpmConfig, races: u64) -> u64 {
    let pcm = Pcm::builder()
        .lpm(lpm)
        .event_log(RecordedEvents::default())
        .build();
    let pcm = Arc::new(pcm.expect("builds"));
    let idle = Callers::start(2);
    let (answered, over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let message = path(4000);
                while !over.load(Ordering::Relaxed) {
                    match admit(&pcm, &message) {
                        Ok(_) => _ = answered.fetch_add(1, Ordering::Relaxed),
                        Err(PcmError::NotDsbm) => thread::yield_now(),
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        let _over = OnDrop(|| over.store(true, Ordering::Relaxed));
        let mut random = Random(0x5eed);
        for _ in 0..races {
            pcm.become_dsbm().expect("starts");
            idle.ask(&pcm);
            for _ in 0..random.below(20_000) {
                spin_loop();
            }
            let unloaded = only_library(pcm.demote().expect("in charge"));
            assert_gone(&unloaded.outcome);
        }
    });
    idle.end();
    answered.into_inner()
}

/// Ends the threads also when a race is lost.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Numbers that are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
