//! What is counted of LPMs, as it is told.

use std::sync::Arc;
use std::time::Duration;

/// What is counted of all LPMs of one name; what an earlier one of that name has done is in it.
///
/// Counters only grow. Those of requests and decisions are about `admit`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LpmMetrics {
    /// The configured name of the LPM, which may be gone.
    pub name: Arc<str>,
    /// Messages that it was to be asked about.
    pub requests: u64,
    /// Flows that it accepted.
    pub accepted: u64,
    /// Flows that it rejected.
    pub rejected: u64,
    /// Flows whose message it wanted dropped.
    pub dropped: u64,
    /// Flows that it had no opinion on.
    pub dont_care: u64,
    /// Requests that it put off.
    pub deferred: u64,
    /// Requests that it gave no answer to, for whatever reason: their flows are rejected.
    pub failed: u64,
    /// Of those, requests that were not answered in time.
    pub timed_out: u64,
    /// Answers that came after that, and count no more.
    pub late: u64,
    /// Times that the process which runs it ended unasked: it crashed, or was killed.
    pub ended: u64,
    /// How long it took to answer, of some of the requests.
    pub latencies: Latencies,
}

/// How long answers took, of some of them: the first request after each look of the watchdog is
/// timed, that is one every 2 to 100 ms (a tenth of the shortest result time limit). What an LPM
/// puts off is timed until its answer; what is not answered in time is not in here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latencies {
    /// How many took no longer than the [bound](Self::BOUNDS) in the same place, and longer than
    /// the one before it; the last: longer than all bounds.
    pub buckets: [u64; Self::BOUNDS.len() + 1],
    /// How long all of them took together.
    pub sum: Duration,
}

impl Latencies {
    /// The longest time of each bucket but the last: 1, 2.5 and 5 of each power of ten, from 1 µs
    /// to 10 s.
    pub const BOUNDS: [Duration; 22] = [
        Duration::from_nanos(1_000),
        Duration::from_nanos(2_500),
        Duration::from_nanos(5_000),
        Duration::from_micros(10),
        Duration::from_micros(25),
        Duration::from_micros(50),
        Duration::from_micros(100),
        Duration::from_micros(250),
        Duration::from_micros(500),
        Duration::from_micros(1_000),
        Duration::from_micros(2_500),
        Duration::from_micros(5_000),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_millis(1_000),
        Duration::from_millis(2_500),
        Duration::from_millis(5_000),
        Duration::from_secs(10),
    ];

    /// How many were timed.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Adds one that took so long.
    pub fn add(&mut self, took: Duration) {
        self.buckets[Self::place(took)] += 1;
        self.sum += took;
    }

    /// The bucket that so long a time is in.
    pub(crate) fn place(took: Duration) -> usize {
        Self::BOUNDS.partition_point(|bound| *bound < took)
    }
}
