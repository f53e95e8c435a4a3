//! What is counted of an LPM: how often it was asked, what came of it, and how long it took.
//!
//! All counters are relaxed: each is right by itself, and who reads several may see one request
//! half counted. So there is nothing for the model checker to look at. What happens with nearly
//! every message, an acceptance at once, is counted by each thread for itself, without a locked
//! instruction: only one thread writes in a [lane](libunload::gate::Look::lane).
//!
//! To read the clock takes longer than to ask an LPM. So only some calls are timed: the next one
//! after each look of the watchdog, which takes it off the [usual way](crate::ask) for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libunload::gate::LANE;
use lpm_api::{Decision, LpmStatus};

use crate::metrics::{Latencies, LpmMetrics};

/// Threads that count for themselves; those with higher lanes share a counter.
const THREADS: usize = 32;

/// Counts.
#[derive(Default)]
pub(crate) struct Tally {
    of_threads: Lanes,
    at_once_elsewhere: AtomicU64,
    requests: AtomicU64,
    accepted: AtomicU64,
    rejected: AtomicU64,
    dropped: AtomicU64,
    dont_care: AtomicU64,
    deferred: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
    late: AtomicU64,
    ended: AtomicU64,
    buckets: [AtomicU64; Latencies::BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// What was decided on several flows: how many are rejected, dropped, left to others, accepted.
#[derive(Default)]
pub(crate) struct Decided([u64; 4]);

impl Decided {
    pub(crate) fn add(&mut self, lpv: u32) {
        self.0[Self::place(lpv)] += 1;
    }

    const fn place(lpv: u32) -> usize {
        match lpv {
            Decision::LPV_REJECT => 0,
            Decision::LPV_DROP_MSG => 1,
            Decision::LPV_DONT_CARE => 2,
            _ => 3,
        }
    }
}

/// Two counters for each thread, the first words in its lane, so that no two write into one cache
/// line: of [messages accepted at once](Tally::count_at_once), and of [others](Tally::count_asked).
#[repr(align(128))]
struct Lanes([AtomicU64; THREADS * LANE]);

impl Default for Lanes {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; THREADS * LANE])
    }
}

impl Tally {
    /// A message about one flow was accepted at once, on the thread with this lane.
    #[inline]
    pub(crate) fn count_at_once(&self, lane: u32) {
        match self.of_threads.0.get(lane as usize) {
            Some(count) => count_alone(count),
            None => count(&self.at_once_elsewhere, 1),
        }
    }

    /// The LPM is to be asked about a message, and the thread with this lane does not wait for it.
    pub(crate) fn count_asked(&self, lane: u32) {
        match self.of_threads.0.get(lane as usize + 1) {
            Some(count) => count_alone(count),
            None => self.count_request(),
        }
    }

    /// The LPM is to be asked about a message.
    pub(crate) fn count_request(&self) {
        count(&self.requests, 1);
    }

    /// It put its answer off.
    pub(crate) fn count_deferred(&self) {
        count(&self.deferred, 1);
    }

    /// It decided so on a flow.
    pub(crate) fn count_decision(&self, lpv: u32) {
        count(self.decisions()[Decided::place(lpv)], 1);
    }

    /// It decided so on several flows.
    pub(crate) fn count_decisions(&self, decided: &Decided) {
        for (counter, number) in self.decisions().into_iter().zip(decided.0) {
            if number > 0 {
                count(counter, number);
            }
        }
    }

    /// By [place](Decided::place).
    fn decisions(&self) -> [&AtomicU64; 4] {
        let (rejected, dropped) = (&self.rejected, &self.dropped);
        [rejected, dropped, &self.dont_care, &self.accepted]
    }

    /// It gave no answer.
    pub(crate) fn count_failure(&self, why: LpmStatus) {
        count(&self.failed, 1);
        if why == LpmStatus::TIME_OUT {
            count(&self.timed_out, 1);
        }
    }

    /// It gave an answer after its time was over.
    pub(crate) fn count_late(&self) {
        count(&self.late, 1);
    }

    /// The process that runs it ended, and nobody had told it to.
    pub(crate) fn count_end(&self) {
        count(&self.ended, 1);
    }

    /// An answer took so long.
    pub(crate) fn time(&self, took: Duration) {
        count(&self.buckets[Latencies::place(took)], 1);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        count(&self.nanos, nanos);
    }

    /// What it came to, of the LPMs of this name.
    pub(crate) fn metrics(&self, name: Arc<str>) -> LpmMetrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let of_threads = |word| {
            let lanes = self.of_threads.0.chunks_exact(LANE);
            lanes.map(|lane| read(&lane[word])).sum::<u64>()
        };
        let at_once = of_threads(0) + read(&self.at_once_elsewhere);
        LpmMetrics {
            name,
            requests: read(&self.requests) + at_once + of_threads(1),
            accepted: read(&self.accepted) + at_once,
            rejected: read(&self.rejected),
            dropped: read(&self.dropped),
            dont_care: read(&self.dont_care),
            deferred: read(&self.deferred),
            failed: read(&self.failed),
            timed_out: read(&self.timed_out),
            late: read(&self.late),
            ended: read(&self.ended),
            latencies: Latencies {
                buckets: std::array::from_fn(|place| read(&self.buckets[place])),
                sum: Duration::from_nanos(read(&self.nanos)),
            },
        }
    }
}

/// Counts where nobody else writes.
#[inline]
fn count_alone(counter: &AtomicU64) {
    let next = counter.load(Ordering::Relaxed).wrapping_add(1);
    counter.store(next, Ordering::Relaxed);
}

fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn threads_count_for_themselves_and_nothing_is_lost() {
        let tally = Tally::default();
        thread::scope(|scope| {
            // The last two have no place of their own.
            for thread in 0..THREADS + 2 {
                let (tally, lane) = (&tally, u32::try_from(thread * LANE).unwrap());
                scope.spawn(move || {
                    for _ in 0..1_000 {
                        tally.count_at_once(lane);
                        tally.count_asked(lane);
                    }
                });
            }
        });
        let counts = tally.metrics("some".into());
        assert_eq!(counts.accepted, 34_000);
        assert_eq!(counts.requests, 68_000);
    }

    #[test]
    fn a_time_is_in_the_first_bucket_whose_bound_it_does_not_pass() {
        let tally = Tally::default();
        let mut latencies = Latencies::default();
        for (nanos, place) in [
            (0, 0),
            (1_000, 0),
            (1_001, 1),
            (10_000_000_000, 21),
            (10_000_000_001, 22),
        ] {
            let took = Duration::from_nanos(nanos);
            assert_eq!(Latencies::place(took), place, "{nanos} ns");
            tally.time(took);
            latencies.add(took);
        }
        assert!(Latencies::BOUNDS.is_sorted());
        assert_eq!(tally.metrics("some".into()).latencies, latencies);
        assert_eq!(latencies.count(), 5);
        assert_eq!(latencies.sum, Duration::from_nanos(20_000_002_002));
    }
}
