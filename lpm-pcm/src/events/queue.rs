//! What waits for a sink: bounded, and never a wait for the one who puts something in.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::entry::{Entry, What};

/// How many events wait for one sink at most; what comes while so many wait is lost, and counted.
pub const CAPACITY: usize = 1024;

/// How many bytes they may take together, if there are several.
pub(super) const MOST_BYTES: usize = 4 << 20;

/// Entries on their way from the threads that record events to the thread of the sink.
pub(super) struct Queue {
    capacity: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Arc<Entry>>,
    /// How many bytes these take.
    bytes: usize,
    counts: Counts,
    /// Set when nothing more comes: when to give up writing.
    deadline: Option<Instant>,
    /// The thread of the sink has ended.
    is_left: bool,
    /// The sink did not take what came last, or not in time.
    is_failing: bool,
    /// An entry was taken and is not written yet.
    is_under_way: bool,
}

/// How many events there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) recorded: u64,
    pub(super) written: u64,
}

impl Counts {
    pub(super) fn lost(self) -> u64 {
        self.recorded - self.written
    }
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Puts an entry in; when the queue is full or closed, only counts it, and leaves a gap in its
    /// place.
    pub(super) fn put(&self, entry: &Arc<Entry>) {
        let mut state = self.lock();
        state.counts.recorded += 1;
        if state.deadline.is_some() {
            return;
        }
        let bytes = state.bytes + entry.size();
        let has_room = state.entries.len() < self.capacity && bytes <= MOST_BYTES;
        if has_room || state.entries.is_empty() {
            state.push(Arc::clone(entry));
        } else {
            state.widen_gap();
        }
        self.changed.notify_all();
    }

    /// Takes the next entry, and waits for one; `None` when the queue is closed, and either empty
    /// or past its deadline.
    pub(super) fn take(&self) -> Option<Arc<Entry>> {
        let mut state = self.lock();
        loop {
            match state.deadline {
                Some(deadline) if Instant::now() >= deadline => return None,
                closed => match state.entries.pop_front() {
                    None if closed.is_none() => state = self.wait(state),
                    entry => {
                        state.bytes -= entry.as_ref().map_or(0, |entry| entry.size());
                        state.is_under_way = entry.is_some();
                        return entry;
                    }
                },
            }
        }
    }

    /// Counts an entry that [`take`](Self::take) gave as written.
    pub(super) fn written(&self, entry: &Entry) {
        let mut state = self.lock();
        state.counts.written += u64::from(!matches!(entry.what, What::Gap(_)));
        state.is_under_way = false;
        state.is_failing = false;
        drop(state);
        self.changed.notify_all();
    }

    /// Notes that the sink does not take an entry.
    pub(super) fn fails(&self) {
        self.lock().is_failing = true;
        self.changed.notify_all();
    }

    /// Whether everything that came is written. Waits for what is on its way, so long at most; a
    /// sink that takes longer is one that fails.
    pub(super) fn is_written(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            if state.is_failing || state.is_left {
                return false;
            }
            if state.entries.is_empty() && !state.is_under_way {
                return true;
            }
            let now = Instant::now();
            if now >= deadline {
                state.is_failing = true;
                return false;
            }
            state = self.wait_until(state, deadline - now);
        }
    }

    /// Waits before another try; `false` when there is no time for one.
    pub(super) fn pause(&self, delay: Duration) -> bool {
        let end = Instant::now() + delay;
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            match state.deadline {
                Some(deadline) if now >= deadline => return false,
                deadline => {
                    let end = deadline.map_or(end, |deadline| end.min(deadline));
                    if now >= end {
                        return true;
                    }
                    state = self.wait_until(state, end - now);
                }
            }
        }
    }

    /// Lets nothing more in; what is in there may be written until `deadline`.
    pub(super) fn close(&self, deadline: Instant) {
        self.lock().deadline.get_or_insert(deadline);
        self.changed.notify_all();
    }

    /// The thread of the sink ends.
    pub(super) fn leave(&self) {
        self.lock().is_left = true;
        self.changed.notify_all();
    }

    /// Waits, at most until `deadline`, for the thread of the sink to end.
    pub(super) fn wait_until_left(&self, deadline: Instant) -> Counts {
        let mut state = self.lock();
        while !state.is_left {
            let now = Instant::now();
            if now >= deadline {
                break;
            }
            state = self.wait_until(state, deadline - now);
        }
        state.counts
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until<'a>(
        &self,
        state: MutexGuard<'a, State>,
        limit: Duration,
    ) -> MutexGuard<'a, State> {
        self.changed
            .wait_timeout(state, limit)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

impl State {
    fn push(&mut self, entry: Arc<Entry>) {
        self.bytes += entry.size();
        self.entries.push_back(entry);
    }

    /// Makes the gap at the end one event wider; there is room for one beyond the capacity.
    fn widen_gap(&mut self) {
        let count = match self.entries.back().map(|last| &last.what) {
            Some(What::Gap(count)) => {
                let count = *count;
                if let Some(gap) = self.entries.pop_back() {
                    self.bytes -= gap.size();
                }
                count
            }
            _ => 0,
        };
        self.push(Arc::new(Entry {
            time: SystemTime::now(),
            what: What::Gap(count + 1),
            about: None,
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use lpm_host::event::{Event, EventId};

    use super::*;

    fn entry(detail: &str) -> Arc<Entry> {
        Arc::new(Entry::now(Event::new(EventId::Demoted, detail), None))
    }

    fn details(queue: &Queue) -> Vec<String> {
        queue.close(Instant::now() + Duration::from_secs(600));
        std::iter::from_fn(|| queue.take())
            .map(|entry| entry.detail())
            .collect()
    }

    #[test]
    fn what_does_not_fit_leaves_a_gap_where_it_would_be() {
        let queue = Queue::new(2);
        for detail in ["a", "b", "c", "d"] {
            queue.put(&entry(detail));
        }
        let first = queue.take().unwrap();
        queue.written(&first);
        assert_eq!(first.detail(), "a");
        // Behind the gap, which takes a place of its own: full again.
        queue.put(&entry("e"));
        let rest = details(&queue);
        assert_eq!(rest[0], "b");
        assert!(rest[1].ends_with("too fast: 3"), "{rest:?}");
        assert_eq!(rest.len(), 2);
        assert_eq!(
            queue.wait_until_left(Instant::now()),
            Counts {
                recorded: 5,
                written: 1
            }
        );
    }

    #[test]
    fn a_gap_ends_where_there_is_room_again() {
        let queue = Queue::new(2);
        for detail in ["a", "b", "c"] {
            queue.put(&entry(detail));
        }
        queue.take();
        queue.take();
        queue.put(&entry("d"));
        let rest = details(&queue);
        assert!(rest[0].ends_with("too fast: 1"), "{rest:?}");
        assert_eq!(rest[1], "d");
    }

    /// What libraries say may be long; what waits is bounded by bytes, too.
    #[test]
    fn long_events_leave_gaps_before_there_are_many() {
        let queue = Queue::new(CAPACITY);
        let long = "x".repeat(MOST_BYTES / 4);
        for _ in 0..10 {
            queue.put(&entry(&long));
        }
        let waiting = |queue: &Queue| queue.lock().bytes;
        assert!(
            waiting(&queue) <= MOST_BYTES + size_of::<Entry>(),
            "{}",
            waiting(&queue)
        );
        let first = queue.take().unwrap();
        queue.written(&first);
        queue.put(&entry("short"));
        let rest = details(&queue);
        assert_eq!(rest[0..2], [&*long, &*long]);
        assert!(rest[2].ends_with("too fast: 7"), "{}", rest[2]);
        assert_eq!(rest[3..], ["short"]);
        assert_eq!(waiting(&queue), 0);

        // One that is longer than all may be together is not lost where nothing else waits.
        let queue = Queue::new(CAPACITY);
        let longest = "x".repeat(MOST_BYTES + 1);
        queue.put(&entry(&longest));
        queue.put(&entry("lost"));
        assert_eq!(details(&queue)[0], longest);
    }

    #[test]
    fn past_the_deadline_there_is_nothing_to_take_and_no_pause() {
        let queue = Queue::new(2);
        queue.put(&entry("a"));
        queue.close(Instant::now());
        assert!(queue.take().is_none());
        assert!(!queue.pause(Duration::from_secs(600)));
        assert_eq!(queue.wait_until_left(Instant::now()).lost(), 1);
    }

    #[test]
    fn closing_ends_a_wait_for_entries() {
        let queue = Queue::new(2);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.take().is_none());
            queue.close(Instant::now() + Duration::from_secs(600));
            assert!(waiting.join().unwrap());
        });
    }
}
