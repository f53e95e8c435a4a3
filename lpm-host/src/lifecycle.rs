//! From standby to in charge and back: who may start and stop the LPMs, and how that goes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lpm_api::DeinitReason;

use crate::admit::{Closed, Slot, decide};
use crate::deadline::{self, Begun, NoThread};
use crate::event::Careful;
use crate::library::gate::{Gate, Reason, Retired, inside_any_pass};
use crate::library::{Instance, LoadedModule, Staging};
use crate::startup::Starting;
use crate::teardown;
use crate::{Event, EventId, EventLog, LpmConfig, PinReason, ReceivedMessage, Verdict};
use crate::{InitializedLpm, LpmFailure, PcmError, StartError, Startup, Teardown};

/// The life of a PCM.
pub(crate) struct Lifecycle {
    /// One per configured LPM, in configured order.
    slots: Box<[Gate<Slot>]>,
    /// Whether the LPMs may be asked.
    in_charge: AtomicBool,
    phase: Mutex<Phase>,
    /// Notified when `phase` is no longer [`Phase::Changing`].
    changed: Condvar,
    configs: Vec<LpmConfig>,
    events: Arc<dyn EventLog>,
    staging: Staging,
    drain_limit: Duration,
}

/// Where the PCM is in its life.
enum Phase {
    Standby,
    /// A thread starts or stops the LPMs.
    Changing,
    InCharge {
        modules: Vec<Arc<LoadedModule>>,
    },
    ShutDown,
}

/// LPMs that no new call goes into, on their way down.
struct Stopping {
    /// In configured order.
    lpms: Vec<ClosedLpm>,
    modules: Vec<Arc<LoadedModule>>,
    reason: DeinitReason,
}

/// An LPM that calls may still be inside.
struct ClosedLpm {
    lpm: InitializedLpm,
    slot: Retired<Slot>,
}

/// A stop that is under way on a thread of its own. Dropping it lets the stop go on unwatched.
#[derive(Debug)]
#[must_use = "`wait` tells what became of the LPMs and their libraries"]
pub struct PendingTeardown(Pending);

#[derive(Debug)]
enum Pending {
    Done(Teardown),
    Running(Begun<Teardown>),
}

impl PendingTeardown {
    /// Waits for the end. From inside a call into one of the LPMs that are being stopped, that end
    /// comes only when the drain limit is over: leave the call instead.
    pub fn wait(self) -> Teardown {
        match self.0 {
            Pending::Done(teardown) => teardown,
            Pending::Running(reaper) => reaper.wait(),
        }
    }

    /// Whether the stop is over, so that [`wait`](Self::wait) returns at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.0 {
            Pending::Done(_) => true,
            Pending::Running(reaper) => reaper.is_finished(),
        }
    }
}

impl Lifecycle {
    pub(crate) fn new(
        configs: Vec<LpmConfig>,
        events: Arc<dyn EventLog>,
        staging: Staging,
        drain_limit: Duration,
    ) -> Self {
        let vacant = |_: &LpmConfig| Gate::new(Box::new(Slot::Vacant));
        Self {
            slots: configs.iter().map(vacant).collect(),
            in_charge: AtomicBool::new(false),
            phase: Mutex::new(Phase::Standby),
            changed: Condvar::new(),
            configs,
            events: Arc::new(Careful(events)),
            staging,
            drain_limit,
        }
    }

    pub(crate) fn configs(&self) -> &[LpmConfig] {
        &self.configs
    }

    /// [`Pcm::admit`](crate::Pcm::admit).
    pub(crate) fn admit(&self, received: &ReceivedMessage<'_>) -> Result<Verdict, PcmError> {
        if !self.in_charge.load(Ordering::Acquire) {
            return Err(PcmError::NotDsbm);
        }
        decide(&self.slots, received, &*self.events).map_err(|Closed| PcmError::NotDsbm)
    }

    /// [`Pcm::become_dsbm`](crate::Pcm::become_dsbm).
    pub(crate) fn start(&self) -> Result<Startup, StartError> {
        match &mut *self.lock_phase() {
            phase @ Phase::Standby => *phase = Phase::Changing,
            Phase::Changing => return Err(PcmError::Busy.into()),
            Phase::InCharge { .. } => return Err(PcmError::AlreadyDsbm.into()),
            Phase::ShutDown => return Err(PcmError::ShutDown.into()),
        }
        let mut change = Change {
            lifecycle: self,
            to: Phase::Standby,
        };
        let (starting, failed) = self.start_all()?;
        let lpms = starting.lpms.iter().map(InitializedLpm::of).collect();
        let mut instances = starting.lpms.into_iter().peekable();
        for (slot, config) in self.slots.iter().zip(&self.configs) {
            let started = instances.next_if(|instance| instance.name == config.name);
            let started = started.map_or(Slot::Vacant, Slot::Running);
            // No LPM is in what stood there; whoever still looks at it sees that at once.
            let _ = slot.replace(Box::new(started)).drain(self.drain_limit);
        }
        self.in_charge.store(true, Ordering::Release);
        change.to = Phase::InCharge {
            modules: starting.modules,
        };
        drop(change);
        self.events
            .record(&Event::new(EventId::BecameDsbm, "the LPMs are initialized"));
        Ok(Startup { lpms, failed })
    }

    /// Starts every LPM, or none: then those that did start are taken down again.
    fn start_all(&self) -> Result<(Starting, Vec<LpmFailure>), StartError> {
        let mut starting = Starting::default();
        let mut failures = Vec::new();
        let mut is_required = false;
        for config in &self.configs {
            let lpm_count = self.configs.len();
            match starting.start(config, lpm_count, &self.staging, &self.events) {
                Ok(started) => self.events.record(&started.event()),
                Err(error) => {
                    let failure = LpmFailure::new(config, error);
                    self.events.record(&failure.event());
                    failures.push(failure);
                    is_required |= !config.optional;
                }
            }
        }
        if is_required {
            self.take_down(starting.lpms, starting.modules, DeinitReason::Shutdown);
            return Err(StartError::Lpms { failures });
        }
        self.take_down(Vec::new(), starting.take_unused(), DeinitReason::Shutdown);
        Ok((starting, failures))
    }

    /// Closes the gate to the LPMs, and has a thread of its own, the reaper, do the rest: it may
    /// wait for the end of this very call.
    pub(crate) fn stop(
        self: &Arc<Self>,
        reason: DeinitReason,
    ) -> Result<PendingTeardown, PcmError> {
        let is_final = reason == DeinitReason::Shutdown;
        let mut phase = self.lock_phase();
        match &*phase {
            Phase::InCharge { .. } => {}
            Phase::Changing => return Err(PcmError::Busy),
            Phase::ShutDown => return Err(PcmError::ShutDown),
            Phase::Standby if !is_final => return Err(PcmError::NotDsbm),
            Phase::Standby => {
                *phase = Phase::ShutDown;
                drop(phase);
                self.events.record(&stopped(reason));
                return Ok(PendingTeardown(Pending::Done(Teardown::default())));
            }
        }
        let (hand_over, handed_over) = mpsc::channel();
        let lifecycle = Arc::clone(self);
        let reaper = move || {
            handed_over
                .recv()
                .map_or_else(|_| Teardown::default(), |stopping| lifecycle.reap(stopping))
        };
        // Without a thread this one does it, unless it would wait for itself.
        let reaper = match deadline::begin("lpm-reaper", reaper) {
            Err(NoThread { error, .. }) if inside_any_pass() => {
                return Err(PcmError::NoThread(error.kind()));
            }
            begun => begun.ok(),
        };

        self.in_charge.store(false, Ordering::Release);
        let lpms = self.slots.iter().filter_map(close).collect();
        let modules = match std::mem::replace(&mut *phase, Phase::Changing) {
            Phase::InCharge { modules } => modules,
            _ => Vec::new(),
        };
        drop(phase);
        let stopping = Stopping {
            lpms,
            modules,
            reason,
        };
        Ok(PendingTeardown(match reaper {
            Some(reaper) => {
                // The reaper waits for nothing else.
                let _ = hand_over.send(stopping);
                Pending::Running(reaper)
            }
            None => Pending::Done(self.reap(stopping)),
        }))
    }

    /// Waits for the calls under way, and takes the LPMs down, the last one first.
    fn reap(&self, stopping: Stopping) -> Teardown {
        let Stopping {
            lpms,
            modules,
            reason,
        } = stopping;
        let to = match reason {
            DeinitReason::Shutdown => Phase::ShutDown,
            _ => Phase::Standby,
        };
        let change = Change {
            lifecycle: self,
            to,
        };
        let begun = Instant::now();
        let mut down = Down::new(self, reason);
        for ClosedLpm { lpm, slot } in lpms.into_iter().rev() {
            match slot.drain(self.drain_limit.saturating_sub(begun.elapsed())) {
                Ok(slot) => {
                    if let Slot::Running(instance) = *slot {
                        down.deinitialize(instance);
                    }
                }
                Err(still_inside) => down.abandon(lpm, still_inside.reason()),
            }
        }
        let teardown = down.unload(modules);
        drop(change);
        self.events.record(&stopped(reason));
        teardown
    }

    /// Deinitializes and unloads LPMs that were never asked, the last started first.
    fn take_down(
        &self,
        lpms: Vec<Instance>,
        modules: Vec<Arc<LoadedModule>>,
        reason: DeinitReason,
    ) -> Teardown {
        let mut down = Down::new(self, reason);
        for instance in lpms.into_iter().rev() {
            down.deinitialize(instance);
        }
        down.unload(modules)
    }

    fn deinitialize_limit(&self, name: &str) -> Duration {
        let config = self.configs.iter().find(|config| &*config.name == name);
        config.map_or(Duration::ZERO, |config| config.deinitialize_limit)
    }

    /// Waits until no other thread starts or stops the LPMs.
    pub(crate) fn wait_while_changing(&self) {
        let phase = self.lock_phase();
        let is_changing = |phase: &mut Phase| matches!(phase, Phase::Changing);
        drop(self.changed.wait_while(phase, is_changing));
    }

    /// Held for moments only; no foreign code runs meanwhile.
    fn lock_phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change of phase under way, which ends when this is dropped, also by a panic.
struct Change<'a> {
    lifecycle: &'a Lifecycle,
    to: Phase,
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let to = std::mem::replace(&mut self.to, Phase::ShutDown);
        *self.lifecycle.lock_phase() = to;
        self.lifecycle.changed.notify_all();
    }
}

/// Closes the gate to a running LPM.
fn close(slot: &Gate<Slot>) -> Option<ClosedLpm> {
    let lpm = match &*slot.enter() {
        Slot::Running(instance) => InitializedLpm::of(instance),
        Slot::Vacant | Slot::Closed => return None,
    };
    let slot = slot.replace(Box::new(Slot::Closed));
    Some(ClosedLpm { lpm, slot })
}

/// LPMs being taken down, and why some of their libraries have to stay.
struct Down<'a> {
    lifecycle: &'a Lifecycle,
    reason: DeinitReason,
    teardown: Teardown,
    held: Vec<(PathBuf, PinReason)>,
}

impl<'a> Down<'a> {
    fn new(lifecycle: &'a Lifecycle, reason: DeinitReason) -> Self {
        Self {
            lifecycle,
            reason,
            teardown: Teardown::default(),
            held: Vec::new(),
        }
    }

    fn deinitialize(&mut self, instance: Instance) {
        let limit = self.lifecycle.deinitialize_limit(&instance.name);
        let events = &*self.lifecycle.events;
        let (lpm, holds) = teardown::deinitialize(instance, self.reason, limit, events);
        self.held
            .extend(holds.map(|reason| (lpm.library.clone(), reason)));
        self.teardown.lpms.push(lpm);
    }

    fn abandon(&mut self, lpm: InitializedLpm, inside: &Reason) {
        let why = match inside {
            Reason::Threads(threads) => PinReason::CallsInside {
                count: threads.len(),
                waited: self.lifecycle.drain_limit,
            },
            other => PinReason::CannotVerify {
                what: other.to_string(),
            },
        };
        self.held.push((lpm.library.clone(), why.clone()));
        let lpm = teardown::abandon(lpm, self.reason, &why, &*self.lifecycle.events);
        self.teardown.lpms.push(lpm);
    }

    fn unload(mut self, modules: Vec<Arc<LoadedModule>>) -> Teardown {
        for module in modules.into_iter().rev() {
            let mut held = self.held.iter();
            let held = held.find(|(library, _)| library == module.path());
            let held = held.map(|(_, reason)| reason.clone());
            let library = teardown::unload(module, held, &*self.lifecycle.events);
            self.teardown.libraries.push(library);
        }
        self.teardown
    }
}

fn stopped(reason: DeinitReason) -> Event {
    match reason {
        DeinitReason::Shutdown => Event::new(EventId::ShutDown, "the PCM is shut down"),
        _ => Event::new(EventId::Demoted, "the LPMs are deinitialized"),
    }
}
