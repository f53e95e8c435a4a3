//! The calls that wait for a thread of the LPM's own.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::backlog::MOST_KEPT;
use crate::lpm::instance::Instance;
use crate::lpm::isolated::batch::{Batch, Query, Waiting};
use crate::lpm::isolated::copied::Copied;

/// Requests that may wait for a thread; with more, the LPM is too slow for what is asked of it.
const MOST_WAITING: usize = 4096;

/// Requests for decisions that a thread takes at once.
const MOST_AT_ONCE: usize = 256;

pub(crate) type Call = Box<dyn FnOnce(&Instance) + Send>;

/// What waits for a thread.
enum Job {
    Call(Call),
    Admit(Query),
}

/// What a thread is to do.
pub(crate) enum Work {
    Call(Call),
    /// To see to the requests for decisions that it was given.
    Admit,
}

/// The calls that wait for a thread.
pub(crate) struct Worker {
    queue: Mutex<Queue>,
    ready: Condvar,
    /// How many threads share what waits, where each takes several requests at once; else one is
    /// taken at a time.
    share: Option<NonZeroUsize>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Those of the requests among them.
    words: Waiting,
    /// How many threads wait for a call.
    idle: usize,
    /// How many of them were woken, and have not looked yet.
    woken: usize,
    closed: Option<NotTaken>,
}

/// Why a call was not taken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// The LPM was stopped: it has nothing to be asked or told any more.
    Stopped,
    /// As many wait as may.
    Full,
    /// The system had no thread for the LPM.
    NoThread,
}

impl Worker {
    /// For so many threads, each of which takes several requests at once; or for threads that take
    /// one at a time.
    pub(crate) fn new(share: Option<NonZeroUsize>) -> Self {
        Self {
            queue: Mutex::default(),
            ready: Condvar::new(),
            share,
        }
    }

    /// Has a thread make a call that asks the LPM.
    pub(crate) fn ask(&self, call: Call) -> Result<(), NotTaken> {
        self.run(MOST_WAITING, |_| Job::Call(call))
    }

    /// Has a thread ask the LPM to decide on a message with so many flows.
    pub(crate) fn ask_to_decide(
        &self,
        request: u64,
        flow_count: usize,
        message: &Copied,
    ) -> Result<(), NotTaken> {
        self.run(MOST_WAITING, |words| {
            Job::Admit(words.push(request, flow_count, message))
        })
    }

    /// Has a thread make a call that tells the LPM something. There is room for those after there
    /// is none for requests any more: a request that is not made is rejected, and no more.
    pub(crate) fn tell(&self, call: Call) -> Result<(), NotTaken> {
        self.run(MOST_WAITING + MOST_KEPT, |_| Job::Call(call))
    }

    fn run(
        &self,
        most_waiting: usize,
        job: impl FnOnce(&mut Waiting) -> Job,
    ) -> Result<(), NotTaken> {
        let mut queue = self.lock();
        if let Some(why) = queue.closed {
            return Err(why);
        }
        if queue.jobs.len() >= most_waiting {
            return Err(NotTaken::Full);
        }
        let job = job(&mut queue.words);
        queue.jobs.push_back(job);
        // Waking is a system call.
        let wakes = queue.idle > queue.woken;
        queue.woken += usize::from(wakes);
        drop(queue);
        if wakes {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Ends the threads, each after the call it is in; calls that wait are not made.
    pub(crate) fn close(&self, why: NotTaken) {
        let jobs = {
            let mut queue = self.lock();
            queue.closed = Some(why);
            queue.words = Waiting::default();
            std::mem::take(&mut queue.jobs)
        };
        self.ready.notify_all();
        drop(jobs);
    }

    /// Waits for a call, which the caller is to make; requests for decisions are put into `asked`,
    /// several where that many wait and are taken at once. `None`: the thread is to end.
    pub(crate) fn next(&self, asked: &mut Batch) -> Option<Work> {
        let mut queue = self.lock();
        while queue.jobs.is_empty() && queue.closed.is_none() {
            queue.idle += 1;
            let waited = self.ready.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
            queue.woken = queue.woken.saturating_sub(1);
        }
        let share = |threads: NonZeroUsize| queue.jobs.len().div_ceil(threads.get());
        let most = self.share.map_or(1, share).min(MOST_AT_ONCE);
        let Queue { jobs, words, .. } = &mut *queue;
        if let Job::Call(_) = jobs.front()? {
            return match jobs.pop_front()? {
                Job::Call(call) => Some(Work::Call(call)),
                Job::Admit(_) => None,
            };
        }
        let is_query = |job: &Job| match job {
            Job::Admit(query) => Some(*query),
            Job::Call(_) => None,
        };
        asked.take(words, jobs.iter().take(most).map_while(is_query));
        drop(jobs.drain(..asked.queries().len()));
        Some(Work::Admit)
    }

    /// Takes back requests that were not made, to be made before all others.
    pub(crate) fn take_back(&self, asked: &mut Batch) {
        if asked.is_empty() {
            return;
        }
        let mut queue = self.lock();
        if queue.closed.is_none() {
            let Queue { jobs, words, .. } = &mut *queue;
            asked.give_back(words, |query| jobs.push_front(Job::Admit(query)));
        }
        queue.woken = queue.idle;
        drop(queue);
        asked.clear();
        self.ready.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
