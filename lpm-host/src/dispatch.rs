//! Threads of the PCM's for what must not run on an LPM's: completion callbacks, and what follows
//! from answers that nobody waits for.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// So that a few jobs that hang do not hold up the others.
const MOST_THREADS: usize = 4;
/// How long a thread waits for its next job.
const IDLE: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs on threads that come and go with the work.
#[derive(Default)]
pub(crate) struct Dispatcher {
    queue: Mutex<Queue>,
    ready: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

impl Dispatcher {
    /// Has a thread run the job; jobs begin in the order they come.
    pub(crate) fn run(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) {
        let mut queue = self.lock();
        queue.jobs.push_back(Box::new(job));
        if queue.idle >= queue.jobs.len() || queue.threads == MOST_THREADS {
            drop(queue);
            self.ready.notify_one();
            return;
        }
        queue.threads += 1;
        drop(queue);
        let worker = Arc::clone(self);
        let spawned = thread::Builder::new()
            .name(String::from("lpm-callbacks"))
            .spawn(move || worker.work());
        if spawned.is_err() {
            // Without a thread, this one is better than none.
            self.lock().threads -= 1;
            let job = self.lock().jobs.pop_back();
            if let Some(job) = job {
                run(job);
            }
        }
    }

    fn work(&self) {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                run(job);
                queue = self.lock();
                continue;
            }
            queue.idle += 1;
            let waited = self.ready.wait_timeout(queue, IDLE);
            let (guard, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = guard;
            queue.idle -= 1;
            if waited.timed_out() && queue.jobs.is_empty() {
                queue.threads -= 1;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A callback is the embedder's code; its panic is told and ends nothing else.
fn run(job: Job) {
    if catch_unwind(AssertUnwindSafe(job)).is_err() {
        tracing::error!(target: "lpm_host", "a completion callback panicked");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_job_that_hangs_holds_up_no_other() {
        let dispatcher = Arc::new(Dispatcher::default());
        let (release, held) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        dispatcher.run(move || {
            let _ = held.recv();
        });
        dispatcher.run(|| panic!("a callback's"));
        for number in 0..100 {
            let tell = tell.clone();
            dispatcher.run(move || tell.send(number).unwrap());
        }
        let mut numbers: Vec<i32> = (0..100).map(|_| told.recv().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
        drop(release);
    }
}
