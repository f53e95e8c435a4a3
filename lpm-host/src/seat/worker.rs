//! The calls that wait for a thread of the LPM's own.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::backlog::MOST_KEPT;
use crate::lpm::instance::Instance;

/// Requests that may wait for a thread; with more, the LPM is too slow for what is asked of it.
const MOST_WAITING: usize = 4096;

type Job = Box<dyn FnOnce(&Instance) + Send>;

/// The calls that wait for a thread.
#[derive(Default)]
pub(crate) struct Worker {
    queue: Mutex<Queue>,
    ready: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
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
    /// Has a thread make a call that asks the LPM.
    pub(crate) fn ask(&self, job: Job) -> Result<(), NotTaken> {
        self.run(job, MOST_WAITING)
    }

    /// Has a thread make a call that tells the LPM something. There is room for those after there is none for
    /// requests any more: a request that is not made is rejected, and no more.
    pub(crate) fn tell(&self, job: Job) -> Result<(), NotTaken> {
        self.run(job, MOST_WAITING + MOST_KEPT)
    }

    fn run(&self, job: Job, most_waiting: usize) -> Result<(), NotTaken> {
        let mut queue = self.lock();
        if let Some(why) = queue.closed {
            return Err(why);
        }
        if queue.jobs.len() >= most_waiting {
            return Err(NotTaken::Full);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.ready.notify_one();
        Ok(())
    }

    /// Ends the threads, each after the call it is in; calls that wait are not made.
    pub(crate) fn close(&self, why: NotTaken) {
        let jobs = {
            let mut queue = self.lock();
            queue.closed = Some(why);
            std::mem::take(&mut queue.jobs)
        };
        self.ready.notify_all();
        drop(jobs);
    }

    pub(crate) fn next(&self) -> Option<Job> {
        let nothing_to_do = |queue: &mut Queue| queue.jobs.is_empty() && queue.closed.is_none();
        let queue = self.ready.wait_while(self.lock(), nothing_to_do);
        queue
            .unwrap_or_else(PoisonError::into_inner)
            .jobs
            .pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
