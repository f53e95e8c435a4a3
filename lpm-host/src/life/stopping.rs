//! Stopping LPMs: in which order, and what then becomes of their libraries.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use libunload::gate::Reason;
use lpm_api::DeinitReason;

use super::deadline::{self, NoThread};
use super::teardown::{self, DeinitializedLpm, Teardown, UnloadedLibrary};
use crate::config::After;
use crate::event::EventLog;

use crate::lpm::isolated::ENDING;
use crate::lpm::loaded::Module;
use crate::lpm::module::LoadedModule;
use crate::pin_reason::PinReason;
use crate::seat::closed::{ClosedSeat, Leaving};
use crate::seat::seated::{Seat, Slot};

/// LPMs being stopped, and why some of their libraries have to stay.
pub(crate) struct Stopping<'a> {
    reason: DeinitReason,
    drain_limit: Duration,
    begun: Instant,
    events: &'a Arc<dyn EventLog>,
    teardown: Teardown,
    held: Vec<(*const LoadedModule, PinReason)>,
}

/// What became of one LPM.
struct Done {
    lpm: DeinitializedLpm,
    /// There for one in a process of its own, which has ended.
    library: Option<UnloadedLibrary>,
    holds: Option<PinReason>,
}

impl<'a> Stopping<'a> {
    /// The limit for calls that are under way counts from now.
    pub(crate) fn new(
        reason: DeinitReason,
        drain_limit: Duration,
        events: &'a Arc<dyn EventLog>,
    ) -> Self {
        Self {
            reason,
            drain_limit,
            begun: Instant::now(),
            events,
            teardown: Teardown::default(),
            held: Vec::new(),
        }
    }

    /// Deinitializes LPMs, given in configured order: each before those it comes after, and those
    /// that do not depend on each other at the same time.
    pub(crate) fn deinitialize(&mut self, lpms: Vec<ClosedSeat>) {
        let modules: Vec<_> = lpms.iter().map(|lpm| lpm.seat.module.as_ptr()).collect();
        let mut order = Order::new(lpms.iter().map(|lpm| &*lpm.seat));
        let mut lpms: Vec<_> = lpms.into_iter().map(Some).collect();
        let (tell, told) = mpsc::channel();
        let this = Step {
            reason: self.reason,
            drain_limit: self.drain_limit,
            begun: self.begun,
            events: Arc::clone(self.events),
        };
        let mut all_done = Vec::new();
        let mut under_way = 0_usize;
        loop {
            let ready = order.take_ready();
            let is_only_one = ready.len() == 1 && under_way == 0;
            for index in ready {
                let Some(lpm) = lpms.get_mut(index).and_then(Option::take) else {
                    continue;
                };
                under_way += 1;
                let (tell, this) = (tell.clone(), this.clone());
                let step = move || {
                    // The receiver is there until all have told.
                    let _ = tell.send((index, this.deinitialize(lpm)));
                };
                if is_only_one {
                    step();
                } else if let Err(NoThread { call, .. }) = deadline::begin("lpm-stop", step) {
                    call();
                }
            }
            if under_way == 0 {
                break;
            }
            let Ok((index, done)) = told.recv() else {
                break;
            };
            under_way -= 1;
            order.is_gone(index);
            all_done.push((index, done));
        }
        for (
            index,
            Done {
                lpm,
                library,
                holds,
            },
        ) in all_done
        {
            self.teardown.libraries.extend(library);
            self.held
                .extend(holds.map(|reason| (modules[index], reason)));
            self.teardown.lpms.push(lpm);
        }
    }

    /// Unloads libraries that no LPM uses any more, the one loaded last first.
    pub(crate) fn unload(mut self, modules: Vec<Module>) -> Teardown {
        for Module { loaded, .. } in modules.into_iter().rev() {
            let this: *const LoadedModule = Arc::as_ptr(&loaded);
            let held = self.held.iter().find(|(module, _)| *module == this);
            let held = held.map(|(_, reason)| reason.clone());
            let library = teardown::unload(loaded, held, &**self.events);
            self.teardown.libraries.push(library);
        }
        self.teardown
    }
}

/// What deinitializing one LPM takes.
#[derive(Clone)]
struct Step {
    reason: DeinitReason,
    drain_limit: Duration,
    begun: Instant,
    events: Arc<dyn EventLog>,
}

impl Step {
    /// Waits for the calls into an LPM, and deinitializes it.
    fn deinitialize(&self, closed: ClosedSeat) -> Done {
        let ClosedSeat { seat, slot } = closed;
        let limit = self.drain_limit.saturating_sub(self.begun.elapsed());
        let mut left = match slot {
            Leaving::Retired(slot) => slot.drain(limit),
            Leaving::Left(slot) => Ok(Box::new(slot)),
            Leaving::Lost(why) => return self.abandon(&seat, why),
        };
        if let (Err(_), Some(process)) = (&left, &seat.process) {
            process.kill(format!(
                "calls into it did not return within {:?}",
                self.drain_limit
            ));
            // They do now.
            left = left.or_else(|inside| inside.drain(ENDING));
        }
        match left.map(|slot| *slot) {
            Ok(Slot::Running(instance)) => {
                let limit = seat.config.deinitialize_limit;
                let (lpm, holds) =
                    teardown::deinitialize(instance, self.reason, limit, &*self.events);
                // One that did not return from that is not waited for any longer.
                let limit = holds.as_ref().map_or(ENDING, |_| Duration::ZERO);
                let library = self.end(&seat, limit);
                Done {
                    lpm,
                    library,
                    holds,
                }
            }
            Ok(Slot::Closed) => self.abandon(&seat, libunload::PinReason::AskedFromInside.into()),
            Err(still_inside) => {
                let why = match still_inside.reason() {
                    Reason::Threads(threads) => PinReason::CallsInside {
                        count: threads.len(),
                        waited: self.drain_limit,
                    },
                    other => libunload::PinReason::CannotVerify {
                        what: other.to_string(),
                    }
                    .into(),
                };
                self.abandon(&seat, why)
            }
        }
    }

    /// Ends the process of an LPM, if it has one, at the latest after that time.
    fn end(&self, seat: &Seat, limit: Duration) -> Option<UnloadedLibrary> {
        let process = seat.process.as_ref()?;
        let library = seat.config.source.path()?;
        Some(teardown::end(process, library, limit, &*self.events))
    }

    fn abandon(&self, seat: &Seat, why: PinReason) -> Done {
        let lpm = (*seat.about).clone();
        Done {
            lpm: teardown::abandon(lpm, self.reason, &why, &*self.events),
            library: self.end(seat, Duration::ZERO),
            holds: Some(why),
        }
    }
}

/// Which LPMs wait for which others to be gone.
struct Order {
    lpms: Vec<Turn>,
}

struct Turn {
    is_started: bool,
    is_gone: bool,
    /// Those that must go before it.
    dependents: Vec<usize>,
}

impl Order {
    fn new<'s>(seats: impl Iterator<Item = &'s Seat>) -> Self {
        let seats: Vec<_> = seats.collect();
        let lpms = seats
            .iter()
            .enumerate()
            .map(|(index, seat)| Turn {
                is_started: false,
                is_gone: false,
                dependents: (index + 1..seats.len())
                    .filter(|later| match &seats[*later].config.after {
                        After::Earlier => true,
                        After::Named(names) => names.contains(&seat.config.name),
                    })
                    .collect(),
            })
            .collect();
        Self { lpms }
    }

    /// Those whose turn it is, the last configured first. They are under way then.
    fn take_ready(&mut self) -> Vec<usize> {
        let is_ready = |lpm: &Turn| {
            !lpm.is_started && lpm.dependents.iter().all(|index| self.lpms[*index].is_gone)
        };
        let mut ready: Vec<_> = (0..self.lpms.len())
            .filter(|index| is_ready(&self.lpms[*index]))
            .collect();
        ready.reverse();
        for index in &ready {
            self.lpms[*index].is_started = true;
        }
        ready
    }

    fn is_gone(&mut self, index: usize) {
        self.lpms[index].is_gone = true;
    }
}
