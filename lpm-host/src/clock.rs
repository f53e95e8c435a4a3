//! The time by which answers are late: milliseconds, coarse, read without asking the system.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Milliseconds on a circle of 2³²; what lies less than half of it ahead is in the future.
#[derive(Debug)]
pub(crate) struct Clock {
    now: AtomicU32,
    /// When the system's clock was at zero; `None` where it is the embedder's who says what time it is.
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

    pub(crate) fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    /// Reads the system's clock, if it is that.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the circle is what is wanted"
    )]
    pub(crate) fn update(&self) {
        if let Some(started) = self.started {
            let now = started.elapsed().as_millis() as u32;
            self.now.store(now, Ordering::Relaxed);
        }
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
