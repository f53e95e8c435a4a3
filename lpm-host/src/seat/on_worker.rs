//! Threads of one LPM's own, so that a call that hangs holds no caller longer than its limit.

use std::io;
use std::sync::Arc;
use std::thread;

use lpm_api::LpmStatus;

use super::backlog::Kept;
use super::many::Many;
use super::seated::{Seat, Slot};
use super::told::{Heard, Told, Wait};
use super::worker::{NotTaken, Work, Worker};
use crate::answers::faults::Function;
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
        let Some(worker) = &self.worker else { return };
        let mut many = Many::default();
        while let Some(work) = worker.next(&mut many.asked) {
            match (work, &*self.gate.enter()) {
                (Work::Call(call), Slot::Running(lpm)) => call(lpm),
                (Work::Admit, Slot::Running(lpm)) => self.decide(lpm, &mut many),
                (_, Slot::Closed) => return,
            }
            worker.take_back(&mut many.asked);
        }
    }

    /// Has a thread of the LPM's own make the call that asks for `request`, which `ask` gives it;
    /// its answer comes as a deferred one does. Where it is not made the request is over, and that
    /// is an event, but for an LPM that was stopped: then the result is `false`.
    pub(crate) fn ask_on_worker(
        &self,
        function: Function,
        request: u64,
        ask: impl FnOnce(&Worker) -> Result<(), NotTaken>,
        events: &dyn EventLog,
    ) -> bool {
        let Some(worker) = &self.worker else {
            return false;
        };
        match ask(worker) {
            Ok(()) => true,
            Err(why) => self.is_not_asked(function, request, why, events),
        }
    }

    #[cold]
    fn is_not_asked(
        &self,
        function: Function,
        request: u64,
        why: NotTaken,
        events: &dyn EventLog,
    ) -> bool {
        if why != NotTaken::Stopped {
            let (name, consequence) = (function.name(), function.without_answer());
            let detail = format!("{name} failed ({}): {consequence}", explain(why));
            events.record(&self.about.about(EventId::LpmCallFailed, detail));
        }
        self.fail(request, LpmStatus::DEADLINE);
        why != NotTaken::Stopped
    }

    /// Makes a call on a thread of the LPM's, and waits for it no longer than the result time limit
    /// from `now` on. It is made all the same if it has to wait for longer.
    pub(crate) fn tell_on_worker(&self, kept: Kept, now: u32, events: &dyn EventLog) -> Heard {
        let Some(worker) = &self.worker else {
            return Heard::ByNobody;
        };
        let telling = kept.telling;
        let told = self.wait_for_told(now, |wait| {
            let (tellings, wait) = (Arc::clone(&self.tellings), Arc::clone(wait));
            let job = move |lpm: &Instance| tellings.end(&wait, Told(Some((kept.call)(lpm))));
            worker.tell(Box::new(job))
        });
        match told {
            Ok(Some(status)) if !status.is_ok() => {
                events.record(&telling.failed(&self.about, status));
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(NotTaken::Stopped) => return Heard::ByNobody,
            Err(NotTaken::Full) if telling.is_news() => self.backlog.lock().lose(),
            Err(why) => events.record(&telling.not_made(&self.about, explain(why))),
        }
        Heard::ByIt
    }

    /// Has `begin` begin a call that tells the LPM something, and waits for its end as for an
    /// answer. [`LpmStatus::DEADLINE`] where it takes too long; `None` where the LPM is stopped
    /// meanwhile.
    pub(crate) fn wait_for_told<E>(
        &self,
        now: u32,
        begin: impl FnOnce(&Wait) -> Result<(), E>,
    ) -> Result<Option<LpmStatus>, E> {
        let wait = self.tellings.begin(now.wrapping_add(self.limit));
        let begun = begin(&wait);
        if begun.is_err() {
            self.tellings.end(&wait, Told::default());
        }
        wait.answer(|_| {});
        let Told(status) = wait.wait();
        begun.map(|()| status)
    }

    /// Gives the LPM's threads a call that nobody waits for.
    pub(super) fn give_to(&self, worker: &Worker, kept: Kept) -> Result<(), NotTaken> {
        let (about, events) = (Arc::clone(&self.about), Arc::clone(&self.events));
        let job = move |lpm: &Instance| kept.tell(lpm, &about, &*events);
        match worker.tell(Box::new(job)) {
            // It has nothing to be told any more, or cannot be told anything anyway.
            Err(NotTaken::Stopped | NotTaken::NoThread) => Ok(()),
            given => given,
        }
    }
}

fn explain(why: NotTaken) -> &'static str {
    match why {
        NotTaken::Stopped => "the LPM was stopped",
        NotTaken::Full => "too many calls wait for the LPM's threads",
        NotTaken::NoThread => "the LPM has no thread",
    }
}
