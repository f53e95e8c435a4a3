//! Threads of one LPM's own, so that a call that hangs holds no caller longer than its limit.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use lpm_api::LpmStatus;

use super::worker::{NotTaken, Worker};
use super::{Seat, Slot};
use crate::answers::faults::{self, Function};
use crate::config::CallMode;
use crate::event::{EventId, EventLog};
use crate::lpm::instance::Instance;

impl Seat {
    /// Starts the LPM's threads, where it is to have some.
    pub(crate) fn start_workers(self: &Arc<Self>) -> io::Result<()> {
        let (CallMode::Worker { threads }, Some(worker)) = (self.config.call_mode, &self.worker)
        else {
            return Ok(());
        };
        for _ in 0..threads.get() {
            let seat = Arc::clone(self);
            let started = thread::Builder::new()
                .name(String::from("lpm-worker"))
                .spawn(move || seat.work());
            if let Err(error) = started {
                worker.close(NotTaken::NoThread);
                return Err(error);
            }
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

    /// Has a thread of the LPM's own make the call that asks for `request`; its answer comes as a
    /// deferred one does. Where it is not made the request is over, and that is an event, but for an LPM
    /// that was stopped: then the result is `false`.
    pub(crate) fn ask_on_worker(
        &self,
        function: Function,
        request: u64,
        call: impl FnOnce(&Instance) + Send + 'static,
        events: &dyn EventLog,
    ) -> bool {
        let Some(worker) = &self.worker else {
            return false;
        };
        let Err(why) = worker.run(Box::new(call)) else {
            return true;
        };
        if why != NotTaken::Stopped {
            let (name, consequence) = (function.name(), function.without_answer());
            let detail = format!("{name} failed ({}): {consequence}", explain(why));
            events.record(&self.about.about(EventId::LpmCallFailed, detail));
        }
        self.fail(request, LpmStatus::DEADLINE);
        why != NotTaken::Stopped
    }

    /// Makes a call on a thread of the LPM's, and waits for it no longer than the result time limit.
    pub(crate) fn tell_on_worker(
        &self,
        function: &str,
        call: Box<dyn FnOnce(&Instance) -> LpmStatus + Send>,
        events: &dyn EventLog,
    ) -> LpmStatus {
        let Some(worker) = &self.worker else {
            return LpmStatus::OK;
        };
        let (tell, told) = mpsc::sync_channel(1);
        let job = move |lpm: &Instance| {
            // Nobody listens once the limit is over.
            let _ = tell.send(call(lpm));
        };
        let status = match worker.run(Box::new(job)) {
            Ok(()) => match told.recv_timeout(self.config.result_time_limit) {
                Ok(status) => status,
                Err(RecvTimeoutError::Timeout) => LpmStatus::DEADLINE,
                // Stopped before its turn came.
                Err(RecvTimeoutError::Disconnected) => LpmStatus::OK,
            },
            Err(NotTaken::Stopped) => LpmStatus::OK,
            Err(why) => {
                let detail = format!("{function} failed ({})", explain(why));
                events.record(&self.about.about(EventId::LpmCallFailed, detail));
                return LpmStatus::OK;
            }
        };
        if !status.is_ok() {
            events.record(&faults::telling_failed(&self.about, function, status));
        }
        status
    }
}

fn explain(why: NotTaken) -> &'static str {
    match why {
        NotTaken::Stopped => "the LPM was stopped",
        NotTaken::Full => "too many calls wait for the LPM's threads",
        NotTaken::NoThread => "the LPM has no thread",
    }
}
