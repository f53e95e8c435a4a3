//! The time by which answers are late: milliseconds, coarse, read without asking the system.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::life::lifecycle::Lifecycle;

/// Milliseconds on a circle of 2³²; what lies less than half of it ahead is in the future.
#[derive(Debug)]
pub(crate) struct Clock {
    now: AtomicU32,
    started: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            now: AtomicU32::new(0),
            started: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    /// Reads the system's clock.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the circle is what is wanted"
    )]
    pub(crate) fn update(&self) {
        let now = self.started.elapsed().as_millis() as u32;
        self.now.store(now, Ordering::Relaxed);
    }

    fn advance(&self, by: Duration) {
        self.now.fetch_add(milliseconds(by), Ordering::Relaxed);
    }
}

/// A limit in milliseconds: at least one, at most 12 days, so that it is always ahead.
pub(crate) fn milliseconds(limit: Duration) -> u32 {
    const LONGEST: u32 = u32::MAX / 4;
    u32::try_from(limit.as_millis()).map_or(LONGEST, |limit| limit.clamp(1, LONGEST))
}

/// A clock that stands still until it is told to go on: for tests, and for PCMs that live in the time of
/// a recording. See [`PcmBuilder::clock`](crate::PcmBuilder::clock).
///
/// It counts the limits of deferred answers and watches for hangs. The limits of lifecycle calls, of
/// `ip_address_table`, and of calls other than `admit` and `rsvp_objects` that wait for an LPM's own
/// threads are real time.
#[derive(Clone)]
pub struct ManualClock(Arc<Inner>);

struct Inner {
    clock: Arc<Clock>,
    pcms: Mutex<Vec<Weak<Lifecycle>>>,
}

impl ManualClock {
    /// A clock that stands at zero.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            clock: Arc::new(Clock::new()),
            pcms: Mutex::default(),
        }))
    }

    /// Lets time pass, in whole milliseconds, and has each PCM with this clock do what is due, on
    /// this thread.
    pub fn advance(&self, by: Duration) {
        if by.is_zero() {
            return;
        }
        self.0.clock.advance(by);
        // What is due calls the embedder's code, which may let time pass as well.
        let pcms: Vec<_> = {
            let mut pcms = self.0.pcms.lock().unwrap_or_else(PoisonError::into_inner);
            pcms.retain(|pcm| pcm.strong_count() > 0);
            pcms.iter().filter_map(Weak::upgrade).collect()
        };
        for pcm in pcms {
            pcm.do_what_is_due();
        }
    }

    pub(crate) fn clock(&self) -> Arc<Clock> {
        Arc::clone(&self.0.clock)
    }

    pub(crate) fn drives(&self, pcm: &Arc<Lifecycle>) {
        let mut pcms = self.0.pcms.lock().unwrap_or_else(PoisonError::into_inner);
        pcms.push(Arc::downgrade(pcm));
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock")
            .field(&self.0.clock.now())
            .finish()
    }
}
