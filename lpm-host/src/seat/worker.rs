//! Threads of one LPM's own, so that a call that hangs holds no caller longer than its limit.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use lpm_api::LpmStatus;

use crate::CallMode;
use crate::lpm::Instance;
use crate::seat::{Seat, Slot};

/// Calls that may wait for a thread; with more, the LPM is too slow for what is asked of it.
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
    is_closed: bool,
}

/// The call was not taken on.
#[derive(Debug)]
pub(crate) struct Refused;

impl Worker {
    /// Has a thread make the call.
    pub(crate) fn run(&self, job: Job) -> Result<(), Refused> {
        let mut queue = self.lock();
        if queue.is_closed || queue.jobs.len() >= MOST_WAITING {
            return Err(Refused);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.ready.notify_one();
        Ok(())
    }

    /// Ends the threads, each after the call it is in; calls that wait are not made.
    pub(crate) fn close(&self) {
        let jobs = {
            let mut queue = self.lock();
            queue.is_closed = true;
            std::mem::take(&mut queue.jobs)
        };
        self.ready.notify_all();
        drop(jobs);
    }

    fn next(&self) -> Option<Job> {
        let nothing_to_do = |queue: &mut Queue| queue.jobs.is_empty() && !queue.is_closed;
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

impl Seat {
    /// Starts the LPM's threads, where it is to have some.
    pub(crate) fn start_workers(self: &Arc<Self>) -> io::Result<()> {
        let CallMode::Worker { threads } = self.config.call_mode else {
            return Ok(());
        };
        for _ in 0..threads.get() {
            let seat = Arc::clone(self);
            thread::Builder::new()
                .name(String::from("lpm-worker"))
                .spawn(move || seat.work())?;
        }
        Ok(())
    }

    fn work(&self) {
        while let Some(job) = self.worker.as_ref().and_then(Worker::next) {
            match &*self.gate.enter() {
                Slot::Running(lpm) => job(lpm),
                Slot::Closed => return,
            }
        }
    }

    /// Makes a call on a thread of the LPM's, and waits for it no longer than the result time limit.
    pub(crate) fn call_on_worker(
        &self,
        call: Box<dyn FnOnce(&Instance) -> LpmStatus + Send>,
    ) -> LpmStatus {
        let Some(worker) = &self.worker else {
            return LpmStatus::OK;
        };
        let (tell, told) = mpsc::sync_channel(1);
        let job = move |lpm: &Instance| {
            // Nobody listens once the limit is over.
            let _ = tell.send(call(lpm));
        };
        if worker.run(Box::new(job)).is_err() {
            return LpmStatus::QUARANTINED;
        }
        match told.recv_timeout(self.config.result_time_limit) {
            Ok(status) => status,
            Err(RecvTimeoutError::Timeout) => LpmStatus::DEADLINE,
            // Stopped before its turn came.
            Err(RecvTimeoutError::Disconnected) => LpmStatus::OK,
        }
    }
}
