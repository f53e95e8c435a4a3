//! What the threads of a runner share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;

use super::super::instance::Instance;
use super::memory::Memory;
use super::up::Up;

/// What the threads of a runner share.
pub(super) struct Runner {
    pub(super) memory: Memory,
    pub(super) up: Arc<Up>,
    /// `None` before the LPM is initialized, and after it is deinitialized.
    pub(super) lpm: RwLock<Option<Instance>>,
    pub(super) threads: AtomicUsize,
    /// How many of them wait for calls.
    pub(super) idle: AtomicUsize,
    /// What is handed over, or to be taken over.
    pub(super) state: Mutex<Vec<u8>>,
    has_told_overstep: AtomicBool,
    /// How many processors this process may run on.
    pub(super) processors: usize,
}

impl Runner {
    pub(super) fn new(memory: Memory, up: Arc<Up>) -> Self {
        Self {
            memory,
            up,
            lpm: RwLock::default(),
            threads: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            state: Mutex::default(),
            has_told_overstep: AtomicBool::new(false),
            processors: thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// Whether the PCM was not told yet that the LPM wrote beyond what it was given; it is, after
    /// this.
    pub(super) fn is_overstep_news(&self) -> bool {
        !self.has_told_overstep.swap(true, Ordering::Relaxed)
    }
}
