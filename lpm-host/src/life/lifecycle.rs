//! From standby to in charge and back: who may start and stop the LPMs, and how that goes.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libunload::Copies;
use libunload::gate::{Retired, inside_any_pass};
use lpm_api::{AddressRow, DeinitReason};

use super::deadline::{self, on_lifecycle_thread};
use super::pinned::Pinned;
use super::startup::{Starting, Startup};
use super::stopping::Stopping;
use super::teardown::Teardown;
use super::watch::Watchdog;
use crate::config::LpmConfig;
use crate::error::{LpmFailure, PcmError, StartError};
use crate::event::{Event, EventId, EventLog};
use crate::lock::lock;
use crate::lpm::loaded::Module;
use crate::lpm::trace::TraceLimit;
use crate::lpm::visits::VisitLimit;
use crate::requests::registry::{self, Registered};
use crate::roster::Roster;
use crate::seat::closed::ClosedSeat;
use crate::seat::seated::Seat;
use crate::serving::{LEAVING, Serving};

/// The life of a PCM.
pub(crate) struct Lifecycle {
    pub(super) serving: Arc<Serving>,
    pub(super) phase: Mutex<Phase>,
    /// Notified when `phase` is no longer [`Phase::Changing`].
    pub(super) changed: Condvar,
    pub(super) configs: Mutex<Vec<LpmConfig>>,
    pub(super) addresses: Mutex<Arc<[AddressRow]>>,
    pub(super) staging: Copies,
    /// The program that runs LPMs in processes of their own, if not this one.
    pub(super) runner: Option<PathBuf>,
    pub(super) trace_limit: TraceLimit,
    pub(super) visit_limit: VisitLimit,
    pub(super) drain_limit: Duration,
    /// Counts the lists of LPMs that were to be put in force later.
    pub(super) newest_list: AtomicU64,
    pub(super) pinned: Pinned,
}

/// Where the PCM is in its life.
pub(super) enum Phase {
    Standby,
    /// A thread starts or stops LPMs.
    Changing,
    /// The PCM itself initializes an LPM anew, which whoever wants to change something waits for.
    Renewing,
    InCharge(Running),
    ShutDown,
}

/// What runs besides the LPMs.
pub(super) struct Running {
    pub(super) modules: Vec<Module>,
    pub(super) _watchdog: Option<Watchdog>,
}

/// LPMs that no new call goes into, on their way stopping.
pub(super) struct Closed {
    roster: Retired<Roster>,
    /// In configured order.
    lpms: Vec<ClosedSeat>,
    running: Running,
    reason: DeinitReason,
}

impl Lifecycle {
    pub(crate) fn new(
        serving: Arc<Serving>,
        configs: Vec<LpmConfig>,
        staging: Copies,
        runner: Option<PathBuf>,
        trace_limit: TraceLimit,
        visit_limit: VisitLimit,
        drain_limit: Duration,
    ) -> Self {
        Self {
            serving,
            phase: Mutex::new(Phase::Standby),
            changed: Condvar::new(),
            configs: Mutex::new(configs),
            addresses: Mutex::new(Arc::default()),
            staging,
            runner,
            trace_limit,
            visit_limit,
            drain_limit,
            newest_list: AtomicU64::new(0),
            pinned: Pinned::default(),
        }
    }

    pub(crate) fn lpm_names(&self) -> Vec<Arc<str>> {
        let configs = lock(&self.configs);
        configs
            .iter()
            .map(|config| Arc::clone(&config.name))
            .collect()
    }

    /// [`Pcm::become_dsbm`](crate::Pcm::become_dsbm).
    pub(crate) fn start(self: &Arc<Self>) -> Result<Startup, StartError> {
        match &mut *self.settled()? {
            phase @ Phase::Standby => *phase = Phase::Changing,
            Phase::Changing | Phase::Renewing => return Err(PcmError::Busy.into()),
            Phase::InCharge(_) => return Err(PcmError::AlreadyDsbm.into()),
            Phase::ShutDown => return Err(PcmError::ShutDown.into()),
        }
        let mut change = Change {
            lifecycle: self,
            to: Phase::Standby,
        };
        let configs = lock(&self.configs).clone();
        let watchdog = self.watchdog(&configs)?;
        let mut starting = self.starting(configs.len());
        let failed = self.start_each(&mut starting, configs.iter(), false)?;
        let (seats, modules) = (starting.seats, starting.modules);
        let (modules, unused) = in_use(modules, &seats);
        let stopping = Stopping::new(
            DeinitReason::Shutdown,
            self.drain_limit,
            &self.serving.events,
        );
        self.pinned.note(stopping.unload(unused));
        self.open(&seats);
        let lpms = seats.iter().map(|seat| (*seat.about).clone()).collect();
        self.serving.publish(Roster {
            seats: seats.into(),
            in_charge: true,
        });
        change.to = Phase::InCharge(Running {
            modules,
            _watchdog: watchdog,
        });
        drop(change);
        self.serving
            .events
            .record(&Event::new(EventId::BecameDsbm, "the LPMs are initialized"));
        Ok(Startup { lpms, failed })
    }

    pub(super) fn starting(&self, lpm_count: usize) -> Starting<'_> {
        Starting {
            staging: &self.staging,
            runner: self.runner.as_deref(),
            trace_limit: self.trace_limit,
            visit_limit: self.visit_limit,
            events: &self.serving.events,
            known: &self.serving.known,
            pinned: &self.pinned,
            lpm_count,
            present: Vec::new(),
            seats: Vec::new(),
            modules: Vec::new(),
        }
    }

    /// Starts every LPM, or none: then those that did start are taken down again. Returns the
    /// optional ones that failed.
    pub(super) fn start_each<'c>(
        &self,
        starting: &mut Starting<'_>,
        configs: impl Iterator<Item = &'c LpmConfig>,
        must_all_start: bool,
    ) -> Result<Vec<LpmFailure>, StartError> {
        let mut failures = Vec::new();
        let mut is_required = false;
        for config in configs {
            match starting.start(config) {
                Ok(started) => {
                    self.serving.events.record(&started.event());
                    if let Some(event) = started.shares_pe_type(&starting.seats) {
                        self.serving.events.record(&event);
                    }
                }
                Err(error) => {
                    let failure = LpmFailure::new(config, error);
                    self.serving.events.record(&failure.event());
                    failures.push(failure);
                    is_required |= must_all_start || !config.optional;
                }
            }
        }
        if is_required {
            let seats = std::mem::take(&mut starting.seats);
            let mut stopping = Stopping::new(
                DeinitReason::Shutdown,
                self.drain_limit,
                &self.serving.events,
            );
            stopping.deinitialize(seats.iter().map(ClosedSeat::new).collect());
            let modules = std::mem::take(&mut starting.modules);
            self.pinned.note(stopping.unload(modules));
            return Err(StartError::Lpms { failures });
        }
        Ok(failures)
    }

    /// Makes new LPMs ready to be asked.
    pub(super) fn open(&self, seats: &[Arc<Seat>]) {
        for seat in seats {
            if let Some(restarts) = &seat.restarts {
                restarts.begin(self.serving.clock.now());
            }
            registry::register(Registered {
                requests: Arc::clone(&seat.requests),
                about: Arc::clone(&seat.about),
                events: Arc::clone(&self.serving.events),
                clock: Arc::clone(&self.serving.clock),
            });
            if let Err(error) = seat.start_workers() {
                let detail = format!(
                    "no thread for the LPM: {error}; calls into it fail, and its flows are rejected"
                );
                self.serving
                    .events
                    .record(&seat.about.about(EventId::LpmCallFailed, detail));
            }
        }
        let addresses = Arc::clone(&lock(&self.addresses));
        self.serving
            .while_opening(seats, || self.tell_addresses(seats, &addresses));
    }

    /// Closes the gate to the LPMs, and does the rest on this thread, which must not be inside a
    /// call into one of them.
    pub(crate) fn stop(&self, reason: DeinitReason) -> Result<Teardown, PcmError> {
        let Some((phase, running)) = self.leave_charge(reason)? else {
            return Ok(Teardown::default());
        };
        let closed = self.close(phase, running, reason);
        Ok(deadline::as_lifecycle_thread(|| self.reap(closed)))
    }

    /// Begins a change out of charge; returns what runs, or `None` where there is nothing to stop.
    pub(super) fn leave_charge(
        &self,
        reason: DeinitReason,
    ) -> Result<Option<(MutexGuard<'_, Phase>, Running)>, PcmError> {
        let mut phase = self.settled()?;
        match std::mem::replace(&mut *phase, Phase::Changing) {
            Phase::InCharge(running) => Ok(Some((phase, running))),
            Phase::Standby if reason == DeinitReason::Shutdown => {
                *phase = Phase::ShutDown;
                drop(phase);
                self.serving.events.record(&stopped(reason));
                Ok(None)
            }
            other => {
                let error = match other {
                    Phase::Changing | Phase::Renewing => PcmError::Busy,
                    Phase::ShutDown => PcmError::ShutDown,
                    _ => PcmError::NotDsbm,
                };
                *phase = other;
                Err(error)
            }
        }
    }

    /// Lets no further call into the LPMs, and rejects what they have not answered.
    pub(super) fn close(
        &self,
        phase: MutexGuard<'_, Phase>,
        running: Running,
        reason: DeinitReason,
    ) -> Closed {
        let seats = self.serving.seats();
        let roster = self.serving.replace(Roster::standby());
        let lpms: Vec<_> = seats.iter().map(ClosedSeat::new).collect();
        drop(phase);
        for lpm in &lpms {
            lpm.reject_outstanding();
        }
        Closed {
            roster,
            lpms,
            running,
            reason,
        }
    }

    /// Waits for the calls under way, and takes the LPMs down, the last one first.
    pub(super) fn reap(&self, closed: Closed) -> Teardown {
        let Closed {
            roster,
            lpms,
            running,
            reason,
        } = closed;
        let to = match reason {
            DeinitReason::Shutdown => Phase::ShutDown,
            _ => Phase::Standby,
        };
        let change = Change {
            lifecycle: self,
            to,
        };
        let mut stopping = Stopping::new(reason, self.drain_limit, &self.serving.events);
        stopping.deinitialize(lpms);
        let teardown = self.pinned.note(stopping.unload(running.modules));
        // The calls into its LPMs were waited for; whoever is still inside the list leaves it soon,
        // or hangs.
        let _ = roster.drain(LEAVING);
        drop(change);
        self.serving.events.record(&stopped(reason));
        teardown
    }

    pub(super) fn watchdog(
        self: &Arc<Self>,
        configs: &[LpmConfig],
    ) -> Result<Option<Watchdog>, PcmError> {
        if self.serving.clock.is_manual() {
            return Ok(None);
        }
        self.serving.clock.update();
        let limits = configs.iter().map(|config| config.result_time_limit);
        Watchdog::start(&self.serving, Watchdog::period(limits))
            .map(Some)
            .map_err(|error| PcmError::NoThread(error.kind()))
    }

    /// Stops the LPMs for good, once no other thread starts or stops them.
    pub(crate) fn shut_down(&self) -> Result<Teardown, PcmError> {
        loop {
            match self.stop(DeinitReason::Shutdown) {
                Err(PcmError::Busy) => self.wait_while_changing(),
                done => return done,
            }
        }
    }

    /// Waits until no other thread starts or stops the LPMs.
    pub(crate) fn wait_while_changing(&self) {
        let phase = self.lock_phase();
        let is_changing = |phase: &mut Phase| matches!(phase, Phase::Changing | Phase::Renewing);
        drop(self.changed.wait_while(phase, is_changing));
    }

    /// The phase, once the PCM does not change it by itself any more. Not to be waited for where
    /// that waits for this very call.
    pub(super) fn settled(&self) -> Result<MutexGuard<'_, Phase>, PcmError> {
        let phase = self.lock_phase();
        if !matches!(*phase, Phase::Renewing) {
            return Ok(phase);
        }
        if inside_any_pass() || on_lifecycle_thread() {
            return Err(PcmError::Busy);
        }
        let is_renewing = |phase: &mut Phase| matches!(phase, Phase::Renewing);
        let settled = self.changed.wait_while(phase, is_renewing);
        Ok(settled.unwrap_or_else(PoisonError::into_inner))
    }

    /// Held for moments only; no foreign code runs meanwhile.
    pub(super) fn lock_phase(&self) -> MutexGuard<'_, Phase> {
        lock(&self.phase)
    }
}

/// A change of phase under way, which ends when this is dropped, also by a panic.
pub(super) struct Change<'a> {
    pub(super) lifecycle: &'a Lifecycle,
    pub(super) to: Phase,
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let to = std::mem::replace(&mut self.to, Phase::ShutDown);
        *self.lifecycle.lock_phase() = to;
        self.lifecycle.changed.notify_all();
    }
}

/// Splits off the libraries that none of these LPMs is from.
pub(super) fn in_use(modules: Vec<Module>, seats: &[Arc<Seat>]) -> (Vec<Module>, Vec<Module>) {
    modules.into_iter().partition(|module| {
        let this = Arc::as_ptr(&module.loaded);
        seats.iter().any(|seat| seat.module.as_ptr() == this)
    })
}

fn stopped(reason: DeinitReason) -> Event {
    match reason {
        DeinitReason::Shutdown => Event::new(EventId::ShutDown, "the PCM is shut down"),
        _ => Event::new(EventId::Demoted, "the LPMs are deinitialized"),
    }
}
