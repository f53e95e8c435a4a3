//! From standby to in charge and back: who may start and stop the LPMs, and how that goes.

use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lpm_api::abi::AbiAddressRow;
use lpm_api::{AddressRow, DeinitReason, LpmStatus};

pub use super::reconfigure::Reconfiguration;

use crate::LpmStatistics;
use crate::Teardown;
use crate::ask::admit::{self, StateGone};
use crate::ask::outgoing;
use crate::ask::tell;
use crate::clock::{Clock, ManualClock};
use crate::dispatch::Dispatcher;
use crate::event::{Careful, Limited};
use crate::life::deadline::{self, Begun, NoThread};
use crate::life::startup::{Module, Starting};
use crate::life::stopping::{ClosedSeat, Down};
use crate::life::watch::Watchdog;
use crate::lpm::TraceLimit;
use crate::requests::{self, Registered};
use crate::roster::Roster;
use crate::seat::{Route, Seat, Slot};
use crate::{CommittedResv, Event, EventId, EventLog, LpmConfig, LpmFailure};
use crate::{OutgoingMessage, OutgoingVerdict, PcmError, StartError, Startup};
use libunload::Copies;
use libunload::gate::{Gate, Retired, inside_any_pass};

/// The life of a PCM.
pub(crate) struct Lifecycle {
    pub(super) roster: Gate<Roster>,
    pub(super) phase: Mutex<Phase>,
    /// Notified when `phase` is no longer [`Phase::Changing`].
    pub(super) changed: Condvar,
    pub(super) configs: Mutex<Vec<LpmConfig>>,
    pub(super) addresses: Mutex<Arc<[AddressRow]>>,
    pub(super) events: Arc<dyn EventLog>,
    pub(super) staging: Copies,
    pub(super) trace_limit: TraceLimit,
    pub(super) drain_limit: Duration,
    pub(super) clock: Arc<Clock>,
    pub(super) is_clock_manual: bool,
    pub(super) dispatcher: Arc<Dispatcher>,
}

/// How long a list of LPMs that was replaced is waited for.
pub(super) const LEAVING: Duration = Duration::from_secs(1);

/// Where the PCM is in its life.
pub(super) enum Phase {
    Standby,
    /// A thread starts or stops LPMs.
    Changing,
    InCharge(Running),
    ShutDown,
}

/// What runs besides the LPMs.
pub(super) struct Running {
    pub(super) modules: Vec<Module>,
    pub(super) _watchdog: Option<Watchdog>,
}

/// LPMs that no new call goes into, on their way down.
struct Stopping {
    roster: Retired<Roster>,
    /// In configured order.
    lpms: Vec<ClosedSeat>,
    running: Running,
    reason: DeinitReason,
}

/// A stop that is under way on a thread of its own. Dropping it lets the stop go on unwatched.
#[derive(Debug)]
#[must_use = "`wait` tells what became of the LPMs and their libraries"]
pub struct PendingTeardown(Progress);

#[derive(Debug)]
enum Progress {
    Done(Teardown),
    Running(Begun<Teardown>),
}

impl PendingTeardown {
    /// Waits for the end. From inside a call into one of the LPMs that are being stopped, that end
    /// comes only when the drain limit is over: leave the call instead.
    pub fn wait(self) -> Teardown {
        match self.0 {
            Progress::Done(teardown) => teardown,
            Progress::Running(reaper) => reaper.wait(),
        }
    }

    /// Whether the stop is over, so that [`wait`](Self::wait) returns at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.0 {
            Progress::Done(_) => true,
            Progress::Running(reaper) => reaper.is_finished(),
        }
    }
}

impl Lifecycle {
    pub(crate) fn new(
        configs: Vec<LpmConfig>,
        events: Arc<dyn EventLog>,
        staging: Copies,
        trace_limit: TraceLimit,
        drain_limit: Duration,
        clock: Option<&ManualClock>,
    ) -> Self {
        let events: Arc<dyn EventLog> = Arc::new(Careful(events));
        Self {
            roster: Gate::new(Box::new(Roster::standby())),
            phase: Mutex::new(Phase::Standby),
            changed: Condvar::new(),
            configs: Mutex::new(configs),
            addresses: Mutex::new(Arc::default()),
            events: Arc::new(Limited::new(events)),
            staging,
            trace_limit,
            drain_limit,
            clock: clock.map_or_else(|| Arc::new(Clock::new()), ManualClock::clock),
            is_clock_manual: clock.is_some(),
            dispatcher: Arc::default(),
        }
    }

    pub(crate) fn lpm_names(&self) -> Vec<Arc<str>> {
        let configs = lock(&self.configs);
        configs
            .iter()
            .map(|config| Arc::clone(&config.name))
            .collect()
    }

    pub(crate) fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn events(&self) -> &Arc<dyn EventLog> {
        &self.events
    }

    /// [`Pcm::delete_state`](crate::Pcm::delete_state).
    pub(crate) fn delete_state(&self, gone: &StateGone<'_>) -> Result<(), PcmError> {
        admit::delete_state(&*self.in_charge()?, gone, &*self.events);
        Ok(())
    }

    /// [`Pcm::commit_resv`](crate::Pcm::commit_resv).
    pub(crate) fn commit_resv(&self, commit: &CommittedResv<'_>) -> Result<(), PcmError> {
        tell::commit_resv(&*self.in_charge()?, commit, &*self.events);
        Ok(())
    }

    /// [`Pcm::rsvp_objects`](crate::Pcm::rsvp_objects).
    pub(crate) fn rsvp_objects(
        &self,
        outgoing: &OutgoingMessage<'_>,
    ) -> Result<OutgoingVerdict, PcmError> {
        let roster = self.in_charge()?;
        let pending = outgoing::rsvp_objects(&roster, outgoing, &self.clock, &self.events);
        drop(roster);
        Ok(pending.wait())
    }

    /// [`Pcm::statistics`](crate::Pcm::statistics).
    pub(crate) fn statistics(&self) -> Result<Vec<LpmStatistics>, PcmError> {
        let roster = self.in_charge()?;
        Ok(roster
            .seats
            .iter()
            .map(|seat| LpmStatistics::of(seat, &*self.events))
            .collect())
    }

    #[inline]
    pub(crate) fn in_charge(&self) -> Result<libunload::gate::Pass<'_, Roster>, PcmError> {
        let roster = self.roster.enter();
        if roster.in_charge {
            Ok(roster)
        } else {
            Err(PcmError::NotDsbm)
        }
    }

    /// [`Pcm::refresh_trace_filters`](crate::Pcm::refresh_trace_filters).
    pub(crate) fn refresh_trace_filters(&self) {
        let seats = self.roster.enter().seats.clone();
        for seat in seats
            .iter()
            .filter(|seat| seat.route() != Route::Quarantine)
        {
            if let Slot::Running(lpm) = &*seat.gate.enter() {
                lpm.module.refresh_level();
            }
        }
    }

    /// [`Pcm::become_dsbm`](crate::Pcm::become_dsbm).
    pub(crate) fn start(self: &Arc<Self>) -> Result<Startup, StartError> {
        match &mut *self.lock_phase() {
            phase @ Phase::Standby => *phase = Phase::Changing,
            Phase::Changing => return Err(PcmError::Busy.into()),
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
        let failed = self.start_each(&mut starting, configs.iter())?;
        let (seats, modules) = (starting.seats, starting.modules);
        let (modules, unused) = in_use(modules, &seats);
        Down::new(DeinitReason::Shutdown, self.drain_limit, &self.events).unload(unused);
        self.open(&seats);
        let lpms = seats.iter().map(|seat| (*seat.about).clone()).collect();
        self.publish(Roster {
            seats: seats.into(),
            in_charge: true,
        });
        change.to = Phase::InCharge(Running {
            modules,
            _watchdog: watchdog,
        });
        drop(change);
        self.events
            .record(&Event::new(EventId::BecameDsbm, "the LPMs are initialized"));
        Ok(Startup { lpms, failed })
    }

    pub(super) fn starting(&self, lpm_count: usize) -> Starting<'_> {
        Starting {
            staging: &self.staging,
            trace_limit: self.trace_limit,
            events: &self.events,
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
    ) -> Result<Vec<LpmFailure>, StartError> {
        let mut failures = Vec::new();
        let mut is_required = false;
        for config in configs {
            match starting.start(config) {
                Ok(started) => {
                    self.events.record(&started.event());
                    if let Some(event) = started.shares_pe_type(&starting.seats) {
                        self.events.record(&event);
                    }
                }
                Err(error) => {
                    let failure = LpmFailure::new(config, error);
                    self.events.record(&failure.event());
                    failures.push(failure);
                    is_required |= !config.optional;
                }
            }
        }
        if is_required {
            let seats = std::mem::take(&mut starting.seats);
            let mut down = Down::new(DeinitReason::Shutdown, self.drain_limit, &self.events);
            down.deinitialize(seats.iter().map(Seat::close).collect());
            down.unload(std::mem::take(&mut starting.modules));
            return Err(StartError::Lpms { failures });
        }
        Ok(failures)
    }

    /// Makes new LPMs ready to be asked.
    pub(super) fn open(&self, seats: &[Arc<Seat>]) {
        for seat in seats {
            requests::register(Registered {
                requests: Arc::clone(&seat.requests),
                about: Arc::clone(&seat.about),
                events: Arc::clone(&self.events),
            });
            if let Err(error) = seat.start_workers() {
                let detail = format!(
                    "no thread for the LPM: {error}; calls into it fail, and its flows are rejected"
                );
                self.events
                    .record(&seat.about.about(EventId::LpmCallFailed, detail));
                if let Some(worker) = &seat.worker {
                    worker.close();
                }
            }
        }
        let addresses = Arc::clone(&lock(&self.addresses));
        self.tell_addresses(seats, &addresses);
    }

    /// [`Pcm::set_ip_address_table`](crate::Pcm::set_ip_address_table).
    pub(crate) fn set_ip_address_table(&self, table: &[AddressRow]) {
        let table: Arc<[AddressRow]> = table.into();
        // Held during the calls, so that the last table that was set is the last one each LPM gets.
        let mut addresses = lock(&self.addresses);
        *addresses = Arc::clone(&table);
        let seats = self.roster.enter().seats.clone();
        self.tell_addresses(&seats, &table);
    }

    fn tell_addresses(&self, seats: &[Arc<Seat>], table: &Arc<[AddressRow]>) {
        for seat in seats {
            let limit = seat.config.result_time_limit;
            let call = {
                let (seat, table) = (Arc::clone(seat), Arc::clone(table));
                move || {
                    let rows: Vec<_> = table.iter().copied().map(AbiAddressRow::from).collect();
                    match &*seat.gate.enter() {
                        Slot::Running(lpm) => lpm.ip_address_table(&rows),
                        Slot::Closed => LpmStatus::OK,
                    }
                }
            };
            let told = deadline::call("lpm-addresses", limit, call);
            let status = told.unwrap_or(LpmStatus::DEADLINE);
            if !status.is_ok() {
                let detail =
                    format!("ip_address_table: {status}; the LPM goes on without the table");
                self.events.record(
                    &seat
                        .about
                        .about(EventId::LpmAddressTableRefused, detail)
                        .status(status),
                );
            }
        }
    }

    /// Closes the gate to the LPMs, and does the rest on this thread, which must not be inside a call into
    /// one of them.
    pub(crate) fn stop(&self, reason: DeinitReason) -> Result<Teardown, PcmError> {
        let Some((phase, running)) = self.leave_charge(reason)? else {
            return Ok(Teardown::default());
        };
        let stopping = self.close(phase, running, reason);
        Ok(deadline::as_lifecycle_thread(|| self.reap(stopping)))
    }

    /// Closes the gate to the LPMs, and has a thread of its own, the reaper, do the rest: it may
    /// wait for the end of this very call.
    pub(crate) fn stop_later(
        self: &Arc<Self>,
        reason: DeinitReason,
    ) -> Result<PendingTeardown, PcmError> {
        let Some((mut phase, running)) = self.leave_charge(reason)? else {
            return Ok(PendingTeardown(Progress::Done(Teardown::default())));
        };
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
                *phase = Phase::InCharge(running);
                return Err(PcmError::NoThread(error.kind()));
            }
            begun => begun.ok(),
        };
        let stopping = self.close(phase, running, reason);
        Ok(PendingTeardown(match reaper {
            Some(reaper) => {
                // The reaper waits for nothing else.
                let _ = hand_over.send(stopping);
                Progress::Running(reaper)
            }
            None => Progress::Done(self.reap(stopping)),
        }))
    }

    /// Begins a change out of charge; returns what runs, or `None` where there is nothing to stop.
    fn leave_charge(
        &self,
        reason: DeinitReason,
    ) -> Result<Option<(MutexGuard<'_, Phase>, Running)>, PcmError> {
        let mut phase = self.lock_phase();
        match std::mem::replace(&mut *phase, Phase::Changing) {
            Phase::InCharge(running) => Ok(Some((phase, running))),
            Phase::Standby if reason == DeinitReason::Shutdown => {
                *phase = Phase::ShutDown;
                drop(phase);
                self.events.record(&stopped(reason));
                Ok(None)
            }
            other => {
                let error = match other {
                    Phase::Changing => PcmError::Busy,
                    Phase::ShutDown => PcmError::ShutDown,
                    _ => PcmError::NotDsbm,
                };
                *phase = other;
                Err(error)
            }
        }
    }

    /// Lets no further call into the LPMs, and rejects what they have not answered.
    fn close(
        &self,
        phase: MutexGuard<'_, Phase>,
        running: Running,
        reason: DeinitReason,
    ) -> Stopping {
        let seats = self.roster.enter().seats.clone();
        let roster = self.roster.replace(Box::new(Roster::standby()));
        let lpms: Vec<_> = seats.iter().map(Seat::close).collect();
        drop(phase);
        for lpm in &lpms {
            lpm.reject_outstanding();
        }
        Stopping {
            roster,
            lpms,
            running,
            reason,
        }
    }

    /// Waits for the calls under way, and takes the LPMs down, the last one first.
    fn reap(&self, stopping: Stopping) -> Teardown {
        let Stopping {
            roster,
            lpms,
            running,
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
        let mut down = Down::new(reason, self.drain_limit, &self.events);
        down.deinitialize(lpms);
        let teardown = down.unload(running.modules);
        // The calls into its LPMs were waited for; whoever is still inside the list leaves it soon, or
        // hangs.
        let _ = roster.drain(LEAVING);
        drop(change);
        self.events.record(&stopped(reason));
        teardown
    }

    /// Publishes another list of LPMs.
    fn publish(&self, roster: Roster) {
        // A list that somebody is still inside stays: it is small.
        let _ = self.roster.replace(Box::new(roster)).drain(LEAVING);
    }

    pub(super) fn watchdog(
        self: &Arc<Self>,
        configs: &[LpmConfig],
    ) -> Result<Option<Watchdog>, PcmError> {
        if self.is_clock_manual {
            return Ok(None);
        }
        self.clock.update();
        let limits = configs.iter().map(|config| config.result_time_limit);
        Watchdog::start(self, Watchdog::period(limits))
            .map(Some)
            .map_err(|error| PcmError::NoThread(error.kind()))
    }

    pub(crate) fn watchdog_looks(&self) {
        self.clock.update();
        self.do_what_is_due();
    }

    /// Ends what is late, and looks for calls that hang.
    pub(crate) fn do_what_is_due(&self) {
        let seats = self.roster.enter().seats.clone();
        for seat in &seats {
            seat.do_what_is_due(self.clock.now(), &*self.events);
        }
    }

    /// Waits until no other thread starts or stops the LPMs.
    pub(crate) fn wait_while_changing(&self) {
        let phase = self.lock_phase();
        let is_changing = |phase: &mut Phase| matches!(phase, Phase::Changing);
        drop(self.changed.wait_while(phase, is_changing));
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

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
