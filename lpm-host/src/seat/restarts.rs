//! When an LPM whose process ended starts again: the sooner it ends again, the later.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Milliseconds until the first time.
const FIRST: u32 = 100;
/// Milliseconds until the last one, and how long a process has to run for that to be forgotten.
const LONGEST: u32 = 60_000;

/// The restarts of an LPM, whatever its handle.
#[derive(Default)]
pub(crate) struct Restarts(Mutex<Course>);

#[derive(Default)]
struct Course {
    /// When the process was started that is, or was, the last.
    began: u32,
    /// How many times it is to have been started again, one soon after the other, if the next one
    /// fails.
    times: u32,
    /// When to start it next, if it has ended.
    next: Option<u32>,
}

impl Restarts {
    /// A process was started.
    pub(crate) fn begin(&self, now: u32) {
        let mut course = self.lock();
        course.began = now;
        // Whose turn it was that did not fail.
        if course.next.take().is_some() {
            course.times -= 1;
        }
    }

    /// Whether it is time to start it again, now that it has ended; not again for a while.
    pub(super) fn is_due(&self, now: u32) -> bool {
        let mut course = self.lock();
        let is_due = match course.next {
            Some(next) if now.wrapping_sub(next) > u32::MAX / 2 => return false,
            Some(_) => true,
            None => {
                // Long enough for what it ended of to be another matter.
                if now.wrapping_sub(course.began) >= LONGEST {
                    course.times = 0;
                }
                false
            }
        };
        let delay = FIRST.checked_shl(course.times).unwrap_or(LONGEST);
        course.next = Some(now.wrapping_add(delay.clamp(FIRST, LONGEST)));
        course.times = (course.times + 1).min(16);
        is_due
    }

    fn lock(&self) -> MutexGuard<'_, Course> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long it takes until it is to be started.
    fn wait(restarts: &Restarts, now: &mut u32) -> u32 {
        let ended = *now;
        while !restarts.is_due(*now) {
            *now = now.wrapping_add(10);
        }
        now.wrapping_sub(ended)
    }

    #[test]
    fn one_that_ends_at_once_starts_later_each_time_up_to_a_minute() {
        let restarts = Restarts::default();
        // Time may wrap around.
        let mut now = u32::MAX - 1000;
        let mut waits = Vec::new();
        for _ in 0..12 {
            restarts.begin(now);
            waits.push(wait(&restarts, &mut now));
        }
        let doubled = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200];
        assert_eq!(waits[..10], doubled);
        assert_eq!(waits[10..], [LONGEST, LONGEST]);
    }

    #[test]
    fn one_that_does_not_start_is_tried_again_later_each_time() {
        let restarts = Restarts::default();
        restarts.begin(0);
        let mut now = 5;
        assert_eq!(wait(&restarts, &mut now), 100);
        assert_eq!(wait(&restarts, &mut now), 200);
        assert_eq!(wait(&restarts, &mut now), 400);
    }

    #[test]
    fn one_that_ran_for_long_starts_soon() {
        let restarts = Restarts::default();
        let mut now = 0;
        for _ in 0..5 {
            restarts.begin(now);
            let _ = wait(&restarts, &mut now);
        }
        restarts.begin(now);
        now += LONGEST;
        assert_eq!(wait(&restarts, &mut now), FIRST);
    }
}
