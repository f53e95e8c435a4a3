//! The time by which answers are late: milliseconds, coarse, read without asking the system.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Milliseconds on a circle of 2³²; what lies less than half of it ahead is in the future.
#[derive(Debug)]
pub(crate) struct Clock {
    now: AtomicU32,
    /// When the system's clock was at zero; `None` where it is the embedder's who says what time it
    /// is.
    started: Option<Instant>,
}

impl Clock {
    /// The system's clock, as it was at the last [`update`](Self::update).
    pub(crate) fn of_the_system() -> Self {
        Self {
            now: AtomicU32::new(0),
            started: Some(Instant::now()),
        }
    }

    /// A clock that stands still but for [`advance`](Self::advance).
    pub(crate) fn manual() -> Self {
        Self {
            now: AtomicU32::new(0),
            started: None,
        }
    }

    /// Whether the embedder says what time it is.
    pub(crate) const fn is_manual(&self) -> bool {
        self.started.is_none()
    }

    #[inline]
    pub(crate) fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    /// Reads the system's clock, if it is that.
    pub(crate) fn update(&self) {
        if let Some(started) = self.started {
            self.now.store(since(started), Ordering::Relaxed);
        }
    }

    /// Whether so many milliseconds have passed since `began`, a time that this clock showed. The
    /// system is asked once half of them seem to have, so that whoever was too late is never taken
    /// for one who was not.
    pub(crate) fn has_passed(&self, limit: u32, began: u32) -> bool {
        if self.now().wrapping_sub(began) < limit / 2 {
            return false;
        }
        let now = self.started.map_or_else(|| self.now(), since);
        now.wrapping_sub(began) >= limit
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.now.fetch_add(milliseconds(by), Ordering::Relaxed);
    }
}

/// A limit in milliseconds: at least one, at most 12 days, so that it is always ahead.
pub(crate) fn milliseconds(limit: Duration) -> u32 {
    const LONGEST: u32 = u32::MAX / 4;
    u32::try_from(limit.as_millis()).map_or(LONGEST, |limit| limit.clamp(1, LONGEST))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the circle is what is wanted"
)]
fn since(started: Instant) -> u32 {
    started.elapsed().as_millis() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_over_when_it_has_passed() {
        let clock = Clock::manual();
        clock.advance(Duration::from_millis(7));
        let began = clock.now();
        clock.advance(Duration::from_millis(99));
        assert!(!clock.has_passed(100, began));
        clock.advance(Duration::from_millis(1));
        assert!(clock.has_passed(100, began));
    }

    #[test]
    fn the_system_is_asked_where_it_may_be_over() {
        let clock = Clock::of_the_system();
        while since(clock.started.unwrap()) < 4 {
            std::thread::yield_now();
        }
        // The clock was not updated since 2 ms passed.
        clock.now.store(2, Ordering::Relaxed);
        assert!(clock.has_passed(4, 0));
    }
}
