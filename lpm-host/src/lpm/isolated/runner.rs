//! The child process: it loads the library, initializes its LPM, and serves the PCM's calls until
//! that has enough of it, or is gone.
//!
//! The main thread listens to the PCM. Calls run on threads of their own: one more than are under
//! way, so that none waits for another.

use std::convert::Infallible;
use std::io::{self, BufReader};
use std::process;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, PoisonError};
use std::thread;

use lpm_api::LpmStatus;

use super::child;
use super::frames::{Frame, Kind, LONGEST};
use super::load::{self, Prepared, Unfit};
use super::logs::{self, Logs};
use super::runs::Runner;
use super::serve::{self, Words};
use super::task::Description;
use super::turns::PLACES;
use super::up::{EventsUp, Up};
use super::watch::Watch;
use crate::event::{Event, EventId, EventLog};
use crate::requests::relay;

/// What calls into LPMs have elsewhere, too.
const STACK: usize = 8 << 20;

/// Runs an LPM, and does not return while its PCM is there.
///
/// # Errors
///
/// There is no wire, or it cannot be used: whoever started this process is no PCM, or is gone.
pub(super) fn run() -> io::Result<Infallible> {
    let (memory, from, to) = child::own_ends()?;
    let mut from = BufReader::new(from);
    let up = Up::new(to);
    let runner = Arc::new(Runner::new(memory, Arc::clone(&up)));
    relay::set(Arc::clone(&up) as Arc<dyn relay::Relay>);
    let logs = OnceLock::new();
    loop {
        let frame = Frame::receive(&mut from, LONGEST)?;
        runner.hear(frame, &logs)?;
    }
}

impl Runner {
    fn hear(self: &Arc<Self>, frame: Frame, logs: &OnceLock<Arc<Logs>>) -> io::Result<()> {
        let nonsense = |_| io::Error::from(io::ErrorKind::InvalidData);
        let mut take = frame.words();
        match frame.kind {
            Kind::Start => {
                // On this thread, so that all others are confined, too.
                let prepared = match load::prepare(take) {
                    Ok(prepared) => prepared,
                    Err(unfit) => {
                        self.is_unfit(unfit);
                        return Ok(());
                    }
                };
                let _ = logs.set(logs::start(&self.up, prepared.level));
                let events = Arc::new(EventsUp(Arc::clone(&self.up)));
                for missing in &prepared.missing {
                    events.record(&Event::new(EventId::LpmNotConfined, missing.as_str()));
                }
                let runner = Arc::clone(self);
                // Results and the PCM's end are heard meanwhile.
                spawn(move || runner.start(prepared, &frame, events))
            }
            Kind::Taken => {
                let number = take.number().map_err(nonsense)?;
                let status = LpmStatus(take.narrow().map_err(nonsense)?);
                self.up.is_told(number, status);
                Ok(())
            }
            Kind::Level => {
                let level = take.narrow().map_err(nonsense)?;
                if let Some(logs) = logs.get() {
                    logs.set_level(level);
                }
                let lpm = self.lpm.read().unwrap_or_else(PoisonError::into_inner);
                if let Some(lpm) = &*lpm {
                    lpm.refresh_level();
                }
                Ok(())
            }
            // What the library does at the end of a process it does now.
            Kind::End => process::exit(0),
            _ => self.memory.hear(&frame).map_err(nonsense),
        }
    }

    /// Loads and initializes the LPM, and serves.
    fn start(self: Arc<Self>, prepared: Prepared, task: &Frame, events: Arc<dyn EventLog>) {
        match load::initialize(prepared, task.words(), events) {
            Ok((lpm, description)) => {
                *self.lpm.write().unwrap_or_else(PoisonError::into_inner) = Some(lpm);
                self.up.send(Kind::Started, |put| description.put(put));
                self.threads.fetch_add(1, Ordering::Relaxed);
                self.idle.fetch_add(1, Ordering::Relaxed);
                self.work(true);
            }
            Err(unfit) => self.is_unfit(unfit),
        }
    }

    /// Says why there is no LPM.
    fn is_unfit(&self, unfit: Unfit) {
        match unfit {
            Unfit::NotLoaded(why) => self.up.send(Kind::NotLoaded, |put| {
                put.text(&why);
            }),
            Unfit::NotInitialized(status, why) => self.up.send(Kind::NotInitialized, |put| {
                put.number(status.0).text(&why);
            }),
            // The PCM knows that this is none.
            Unfit::PeType(found) => self
                .up
                .send(Kind::Started, |put| Description::of_type(found).put(put)),
        }
    }

    fn work(self: Arc<Self>, is_first: bool) {
        let mut watch = Watch::on(self.processors);
        let mut words = Words::default();
        self.memory.look();
        loop {
            let place = self.memory.next(is_first, &mut watch);
            if self.idle.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.add_a_thread();
            }
            serve::serve(&self, place, &mut words);
            self.idle.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Where the system gives none, calls wait for each other.
    fn add_a_thread(self: &Arc<Self>) {
        if self.threads.load(Ordering::Relaxed) >= PLACES {
            return;
        }
        self.idle.fetch_add(1, Ordering::AcqRel);
        let runner = Arc::clone(self);
        match spawn(move || runner.work(false)) {
            Ok(()) => self.threads.fetch_add(1, Ordering::Relaxed),
            Err(_) => self.idle.fetch_sub(1, Ordering::AcqRel),
        };
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new()
        .name(String::from("lpm-runner"))
        .stack_size(STACK);
    thread.spawn(work).map(drop)
}
