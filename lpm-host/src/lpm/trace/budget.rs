//! How much a library may say.

use std::mem;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::lock::lock;

/// How many `tracing` events and spans of one library are passed on to the host's subscriber; the
/// rest is dropped and counted. By default 1 000 a second, after up to 10 000 at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceLimit {
    per_second: u32,
    burst: u32,
}

impl TraceLimit {
    /// So many every second, and `burst` at once after the library was quiet. With 0 and 0 none is
    /// passed on.
    #[must_use]
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst }
    }
}

impl Default for TraceLimit {
    fn default() -> Self {
        Self {
            per_second: 1_000,
            burst: 10_000,
        }
    }
}

/// What a library has left of its [`TraceLimit`]. The clock is read only when nothing is left: then
/// what the time since the last refill is worth comes on top, but not before a second has passed,
/// so that a library that goes on and on is reported once a second.
#[derive(Debug)]
pub(super) struct Budget {
    limit: TraceLimit,
    left: AtomicU32,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    refilled: Instant,
    /// What was dropped since.
    dropped: u64,
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// It is passed on.
    Granted,
    /// It is passed on, after so many that were dropped.
    GrantedAfter(u64),
    /// It is dropped.
    Denied,
}

impl Budget {
    pub(super) fn new(limit: TraceLimit, now: Instant) -> Self {
        Self {
            limit,
            left: AtomicU32::new(limit.burst),
            account: Mutex::new(Account {
                refilled: now,
                dropped: 0,
            }),
        }
    }

    /// Asks for the passage of one record.
    pub(super) fn spend(&self, now: impl FnOnce() -> Instant) -> Passage {
        if self.spend_one() {
            return Passage::Granted;
        }
        let mut account = lock(&self.account);
        // Another thread may have refilled it meanwhile.
        if self.spend_one() {
            return Passage::Granted;
        }
        let now = now();
        let worth = self.worth(now.saturating_duration_since(account.refilled));
        let Some(rest) = worth.checked_sub(1) else {
            account.dropped += 1;
            return Passage::Denied;
        };
        account.refilled = now;
        self.left.store(rest, Ordering::Relaxed);
        match mem::take(&mut account.dropped) {
            0 => Passage::Granted,
            dropped => Passage::GrantedAfter(dropped),
        }
    }

    /// Counts a record that is dropped for another reason.
    pub(super) fn drop_one(&self) {
        lock(&self.account).dropped += 1;
    }

    /// How many were dropped and have not been reported; they count as reported now.
    pub(super) fn take_dropped(&self) -> u64 {
        mem::take(&mut lock(&self.account).dropped)
    }

    fn spend_one(&self) -> bool {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok()
    }

    /// What so much time is worth.
    fn worth(&self, time: Duration) -> u32 {
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let worth = self.limit.per_second.saturating_mul(seconds);
        worth.min(self.limit.burst.max(self.limit.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: TraceLimit = TraceLimit {
        per_second: 10,
        burst: 100,
    };

    /// How many of so many records pass at this time; none of them after dropped ones.
    fn passed(budget: &Budget, count: u64, now: Instant) -> u64 {
        let granted = |_: &u64| budget.spend(|| now) == Passage::Granted;
        (0..count).filter(granted).count() as u64
    }

    #[test]
    fn a_burst_passes_without_a_look_at_the_clock() {
        let budget = Budget::new(LIMIT, Instant::now());
        for _ in 0..100 {
            let passage = budget.spend(|| panic!("the clock is read"));
            assert_eq!(passage, Passage::Granted);
        }
    }

    #[test]
    fn what_is_too_much_is_dropped_and_told_once_a_second() {
        let start = Instant::now();
        let budget = Budget::new(LIMIT, start);
        assert_eq!(passed(&budget, 150, start), 100);
        let almost = start + Duration::from_millis(999);
        assert_eq!(passed(&budget, 5, almost), 0);
        let second = start + Duration::from_secs(1);
        assert_eq!(budget.spend(|| second), Passage::GrantedAfter(55));
        assert_eq!(passed(&budget, 20, second), 9);
        assert_eq!(budget.take_dropped(), 11);
        assert_eq!(budget.take_dropped(), 0);
    }

    #[test]
    fn quiet_time_is_worth_a_burst_at_most() {
        let start = Instant::now();
        let budget = Budget::new(LIMIT, start);
        assert_eq!(passed(&budget, 100, start), 100);
        let next_day = start + Duration::from_secs(86_400);
        assert_eq!(passed(&budget, 1_000, next_day), 100);
    }

    #[test]
    fn a_limit_of_nothing_passes_nothing() {
        let none = TraceLimit {
            per_second: 0,
            burst: 0,
        };
        let start = Instant::now();
        let budget = Budget::new(none, start);
        assert_eq!(passed(&budget, 10, start + Duration::from_secs(9)), 0);
        assert_eq!(budget.take_dropped(), 10);
    }
}
