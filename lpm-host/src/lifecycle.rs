//! From standby to in charge and back: who may start and stop the LPMs, and how that goes.

use std::panic::resume_unwind;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lpm_api::{DeinitReason, LpmStatus};

use crate::admit::decide;
use crate::library::gate::{Gate, Reason, Retired};
use crate::library::{Instance, LoadedModule, Staging};
use crate::startup::Starting;
use crate::teardown;
use crate::{
    DeinitializedLpm, InitializedLpm, LpmFailure, PcmError, StartError, Startup, Teardown,
};
use crate::{Event, EventId, EventLog, LpmConfig, PinReason, ReceivedMessage, Verdict};

/// The life of a PCM.
pub(crate) struct Lifecycle {
    active: Gate<Active>,
    phase: Mutex<Phase>,
    /// Notified when `phase` is no longer [`Phase::Changing`].
    changed: Condvar,
    configs: Vec<LpmConfig>,
    events: Arc<dyn EventLog>,
    staging: Staging,
    drain_limit: Duration,
}

/// The LPMs that are asked, in configured order.
struct Active {
    in_charge: bool,
    lpms: Vec<Instance>,
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
    running: Vec<InitializedLpm>,
    retired: Retired<Active>,
    modules: Vec<Arc<LoadedModule>>,
    reason: DeinitReason,
}

/// A stop that is under way on a thread of its own. Dropping it lets the stop go on unwatched.
#[derive(Debug)]
#[must_use = "`wait` tells what became of the LPMs and their libraries"]
pub struct PendingTeardown {
    /// `None` where there was nothing to stop.
    thread: Option<JoinHandle<Teardown>>,
}

impl PendingTeardown {
    /// Waits for the end. From inside a call into one of the LPMs that are being stopped, that end
    /// comes only when the drain limit is over: leave the call instead.
    ///
    /// # Panics
    ///
    /// With the panic of the [`EventLog`], if that panicked.
    pub fn wait(self) -> Teardown {
        let ended = self
            .thread
            .map(JoinHandle::join)
            .unwrap_or(Ok(Teardown::default()));
        ended.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Whether the stop is over, so that [`wait`](Self::wait) returns at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Lifecycle {
    pub(crate) fn new(
        configs: Vec<LpmConfig>,
        events: Arc<dyn EventLog>,
        staging: Staging,
        drain_limit: Duration,
    ) -> Self {
        Self {
            active: Gate::new(Box::new(Active::none())),
            phase: Mutex::new(Phase::Standby),
            changed: Condvar::new(),
            configs,
            events,
            staging,
            drain_limit,
        }
    }

    pub(crate) fn configs(&self) -> &[LpmConfig] {
        &self.configs
    }

    /// [`Pcm::admit`](crate::Pcm::admit).
    pub(crate) fn admit(&self, received: &ReceivedMessage<'_>) -> Result<Verdict, PcmError> {
        let active = self.active.enter();
        if !active.in_charge {
            return Err(PcmError::NotDsbm);
        }
        Ok(decide(&active.lpms, received, &*self.events))
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
        let active = Active {
            in_charge: true,
            lpms: starting.lpms,
        };
        // What it replaces is empty; whoever still looks at it sees that at once.
        let _ = self
            .active
            .replace(Box::new(active))
            .drain(self.drain_limit);
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
                return Ok(PendingTeardown { thread: None });
            }
        }
        let (hand_over, handed_over) = mpsc::channel();
        let lifecycle = Arc::clone(self);
        let reaper = move || match handed_over.recv() {
            Ok(stopping) => lifecycle.reap(stopping),
            Err(mpsc::RecvError) => Teardown::default(),
        };
        let thread = thread::Builder::new()
            .name(String::from("lpm-reaper"))
            .spawn(reaper)
            .map_err(|error| PcmError::NoThread(error.kind()))?;

        let running = self
            .active
            .enter()
            .lpms
            .iter()
            .map(InitializedLpm::of)
            .collect();
        let retired = self.active.replace(Box::new(Active::none()));
        if let Phase::InCharge { modules } = std::mem::replace(&mut *phase, Phase::Changing) {
            // The reaper waits for nothing else.
            let _ = hand_over.send(Stopping {
                running,
                retired,
                modules,
                reason,
            });
        }
        Ok(PendingTeardown {
            thread: Some(thread),
        })
    }

    /// Waits for the calls under way, and takes the LPMs down.
    fn reap(&self, stopping: Stopping) -> Teardown {
        let Stopping {
            running,
            retired,
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
        let teardown = match retired.drain(self.drain_limit) {
            Ok(active) => self.take_down(active.lpms, modules, reason),
            Err(still_inside) => {
                let why = match still_inside.reason() {
                    Reason::Threads(threads) => PinReason::CallsInside {
                        count: threads.len(),
                        waited: self.drain_limit,
                    },
                    other => PinReason::CannotVerify {
                        what: other.to_string(),
                    },
                };
                teardown::abandon(running, modules, reason, &why, &*self.events)
            }
        };
        drop(change);
        self.events.record(&stopped(reason));
        teardown
    }

    /// Deinitializes and unloads, the last started first.
    fn take_down(
        &self,
        lpms: Vec<Instance>,
        modules: Vec<Arc<LoadedModule>>,
        reason: DeinitReason,
    ) -> Teardown {
        let mut teardown = Teardown::default();
        for instance in lpms.into_iter().rev() {
            let limit = self.deinitialize_limit(&instance.name);
            let lpm = teardown::deinitialize(instance, reason, limit, &*self.events);
            teardown.lpms.push(lpm);
        }
        for module in modules.into_iter().rev() {
            let overdue = self.overdue(&teardown.lpms, &module);
            let library = teardown::unload(module, overdue, &*self.events);
            teardown.libraries.push(library);
        }
        teardown
    }

    /// The limit that an LPM of this library exceeded when it was deinitialized.
    fn overdue(&self, lpms: &[DeinitializedLpm], module: &LoadedModule) -> Option<Duration> {
        let is_overdue = |lpm: &&DeinitializedLpm| {
            lpm.status == LpmStatus::DEADLINE && lpm.library == module.path()
        };
        lpms.iter()
            .find(is_overdue)
            .map(|lpm| self.deinitialize_limit(&lpm.name))
    }

    fn deinitialize_limit(&self, name: &str) -> Duration {
        let config = self.configs.iter().find(|config| &*config.name == name);
        config.map_or(Duration::ZERO, |config| config.deinitialize_limit)
    }

    /// Waits until no thread starts or stops the LPMs.
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

impl Active {
    const fn none() -> Self {
        Self {
            in_charge: false,
            lpms: Vec::new(),
        }
    }
}

fn stopped(reason: DeinitReason) -> Event {
    match reason {
        DeinitReason::Shutdown => Event::new(EventId::ShutDown, "the PCM is shut down"),
        _ => Event::new(EventId::Demoted, "the LPMs are deinitialized"),
    }
}
