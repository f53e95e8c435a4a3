//! Threads that come by and destroy what a leaving library keeps in them.
//!
//! The values of thread-locals need not be `Send`, so only their own thread may destroy them. While
//! a library leaves, each thread that comes by does so itself, as if it ended for that library
//! alone. Threads that do not come in time are done without: their values are forgotten, and
//! counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use super::ledger::Ledger;
use super::{keys, tls};
use crate::lock::lock;

/// What is asked of threads: to leave these. Those of one library lie together.
static ASKED: Mutex<Vec<Arc<Ledger>>> = Mutex::new(Vec::new());
/// How many there are, so that a thread that comes by for nothing takes no lock.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// How often a thread has come by that was asked to.
static VISITS: AtomicUsize = AtomicUsize::new(0);

/// Does for the current thread and the libraries that leave what the thread's end would do.
#[inline]
pub(crate) fn visit_thread() {
    if COUNT.load(Ordering::Relaxed) != 0 {
        visit();
    }
}

#[cold]
fn visit() {
    // Who is inside a library, whichever, is not between two calls.
    if crate::gate::inside_any_pass() {
        return;
    }
    let asked = match ASKED.try_lock() {
        Ok(asked) => asked.clone(),
        Err(TryLockError::Poisoned(asked)) => asked.into_inner().clone(),
        // Somebody else looks; there is a next time.
        Err(TryLockError::WouldBlock) => return,
    };
    let ran = tls::run_where_allowed(&asked);
    keys::run_where_allowed(&asked);
    // Such destructors may use thread-locals.
    tls::run_where_allowed(&asked);
    if ran {
        VISITS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Asks threads to come by, and waits until none has thread-locals of these objects any more: at
/// most so long, and no longer than `idle` in which none comes. Returns how many values are left in
/// other threads.
pub(super) fn wait(ledgers: &[Arc<Ledger>], limit: Duration, idle: Duration) -> usize {
    let left = || tls::count_elsewhere(ledgers);
    if left() == 0 || limit.is_zero() {
        return left();
    }
    let asked = Asked::new(ledgers);
    let begun = Instant::now();
    let (mut visits, mut last) = (VISITS.load(Ordering::Relaxed), begun);
    let mut pause = Duration::from_micros(20);
    while left() > 0 && begun.elapsed() < limit && last.elapsed() < idle {
        thread::sleep(pause);
        pause = (2 * pause).min(Duration::from_millis(1));
        let now = VISITS.load(Ordering::Relaxed);
        if now != visits {
            (visits, last) = (now, Instant::now());
        }
    }
    drop(asked);
    left()
}

/// Threads are asked to leave these, until this is dropped.
struct Asked<'a>(&'a [Arc<Ledger>]);

impl<'a> Asked<'a> {
    fn new(ledgers: &'a [Arc<Ledger>]) -> Self {
        let mut asked = lock(&ASKED);
        asked.extend(ledgers.iter().cloned());
        COUNT.store(asked.len(), Ordering::Relaxed);
        Self(ledgers)
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut asked = lock(&ASKED);
        asked.retain(|ledger| !self.0.iter().any(|own| Arc::ptr_eq(own, ledger)));
        COUNT.store(asked.len(), Ordering::Relaxed);
    }
}
