//! Another list of LPMs, while the PCM is in charge.

use std::sync::Arc;

use libunload::gate::inside_any_pass;
use lpm_api::DeinitReason;

use super::hand_over::Succession;
use super::lifecycle::{Change, Lifecycle, Phase, Running, in_use};
use super::startup::Startup;
use super::stopping::Stopping;
use super::teardown::Teardown;
use crate::config::{self, LpmConfig};
use crate::error::{PcmError, StartError};
use crate::event::{Event, EventId};
use crate::initialized::InitializedLpm;
use crate::lock::lock;

use crate::lpm::loaded::{Module, Stamp};
use crate::roster::Roster;
use crate::seat::closed::ClosedSeat;
use crate::seat::seated::Seat;
use crate::serving::LEAVING;

/// What a change of the list of LPMs came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Reconfiguration {
    /// LPMs that went on running, with their handles.
    pub kept: Vec<InitializedLpm>,
    /// LPMs that were initialized, and optional ones that failed.
    pub started: Startup,
    /// LPMs that were deinitialized, and the libraries that were unloaded.
    pub stopped: Teardown,
}

impl Lifecycle {
    /// [`Pcm::reconfigure`](crate::Pcm::reconfigure).
    pub(crate) fn reconfigure(
        self: &Arc<Self>,
        configs: Vec<LpmConfig>,
    ) -> Result<Reconfiguration, StartError> {
        config::check(&configs)?;
        if inside_any_pass() {
            return Err(PcmError::CalledFromLpm.into());
        }
        let running = {
            let mut phase = self.settled()?;
            match std::mem::replace(&mut *phase, Phase::Changing) {
                Phase::InCharge(running) => running,
                Phase::Changing | Phase::Renewing => return Err(PcmError::Busy.into()),
                Phase::ShutDown => {
                    *phase = Phase::ShutDown;
                    return Err(PcmError::ShutDown.into());
                }
                Phase::Standby => {
                    *phase = Phase::Standby;
                    *lock(&self.configs) = configs;
                    return Ok(Reconfiguration::default());
                }
            }
        };
        let mut change = Change {
            lifecycle: self,
            to: Phase::InCharge(running),
        };
        let is_current = |module: &Module| module.stamp == Stamp::of(module.loaded.path());
        let done = self.change_lpms(
            &mut change.to,
            configs,
            Seat::still_serves,
            is_current,
            false,
        )?;
        drop(change);
        let detail = format!(
            "LPMs: {} went on, {} initialized, {} deinitialized",
            done.kept.len(),
            done.started.lpms.len(),
            done.stopped.lpms.len()
        );
        self.serving
            .events
            .record(&Event::new(EventId::Reconfigured, detail));
        Ok(done)
    }

    /// Starts what is new, then stops what is no longer wanted: when the new does not start,
    /// nothing has changed. An LPM that `is_kept` goes on; a library that `is_current` is used
    /// again. `must_all_start`: also those that are optional.
    pub(super) fn change_lpms(
        self: &Arc<Self>,
        phase: &mut Phase,
        configs: Vec<LpmConfig>,
        is_kept: impl Fn(&Seat, &LpmConfig) -> bool,
        is_current: impl Fn(&Module) -> bool,
        must_all_start: bool,
    ) -> Result<Reconfiguration, StartError> {
        let Phase::InCharge(running) = phase else {
            return Err(PcmError::NotDsbm.into());
        };
        let watchdog = self.watchdog(&configs)?;
        let before = self.serving.seats();
        let kept: Vec<Option<&Arc<Seat>>> = configs
            .iter()
            .map(|config| before.iter().find(|seat| is_kept(seat, config)))
            .collect();

        let mut starting = self.starting(configs.len());
        let present = running.modules.iter().filter(|module| is_current(module));
        starting.present = present.cloned().collect();
        let new = configs.iter().zip(&kept);
        let new = new.filter_map(|(config, kept)| kept.is_none().then_some(config));
        let failed = self.start_each(&mut starting, new, must_all_start)?;
        let (new_seats, new_modules) = (starting.seats, starting.modules);
        drop(starting.present);
        self.open(&new_seats);

        let mut new_ones = new_seats.iter().peekable();
        let seats: Vec<Arc<Seat>> = configs
            .iter()
            .zip(&kept)
            .filter_map(|(config, kept)| {
                let is_this = |seat: &&Arc<Seat>| seat.config.name == config.name;
                kept.or_else(|| new_ones.next_if(is_this)).cloned()
            })
            .collect();
        let gone: Vec<_> = before
            .iter()
            .filter(|seat| !seats.iter().any(|other| Arc::ptr_eq(seat, other)))
            .collect();
        let successions = Succession::of(&gone, &new_seats, &self.serving.events);
        let (all_seats, kept) = (seats.clone(), kept.into_iter().flatten());
        let kept = kept.map(|seat| (*seat.about).clone()).collect();
        let retired = self.serving.replace(Roster {
            seats: seats.into(),
            in_charge: true,
        });
        let closed: Vec<ClosedSeat> = gone.into_iter().map(ClosedSeat::new).collect();
        for lpm in &closed {
            lpm.reject_outstanding();
        }
        let mut stopping = Stopping::new(
            DeinitReason::Reconfiguration,
            self.drain_limit,
            &self.serving.events,
        );
        let (closed, spoilt) = hand_over(successions, closed);
        stopping.deinitialize(closed);
        let mut modules = std::mem::take(&mut running.modules);
        modules.extend(new_modules);
        let (modules, unused) = in_use(modules, &all_seats);
        let stopped = self.pinned.note(stopping.unload(unused));
        // Calls that hang in LPMs that go on may still be inside the list; it is small.
        let _ = retired.drain(LEAVING);
        *running = Running {
            modules,
            _watchdog: watchdog,
        };
        *lock(&self.configs) = configs;
        let lpms = new_seats.iter().map(|seat| (*seat.about).clone()).collect();
        let mut done = Reconfiguration {
            kept,
            started: Startup { lpms, failed },
            stopped,
        };
        for seat in spoilt {
            let detail = "it did not get through taking over state, and is initialized anew, with nothing and \
                          with another handle";
            let event = seat.about.about(EventId::LpmReinitialized, detail);
            self.serving.events.record(&event);
            // Where that fails it stays in quarantine, and is tried again.
            if let Ok(anew) = self.initialize_anew(phase, &seat) {
                done.add(anew);
            }
        }
        Ok(done)
    }

    /// Initializes an LPM once more, with another handle and nothing else, and stops the one that
    /// was.
    pub(super) fn initialize_anew(
        self: &Arc<Self>,
        phase: &mut Phase,
        seat: &Arc<Seat>,
    ) -> Result<Reconfiguration, StartError> {
        let configs = lock(&self.configs).clone();
        let is_kept = |other: &Seat, config: &LpmConfig| {
            other.handle != seat.handle && other.config.name == config.name
        };
        // An optional LPM may be missing from the start, but does not go missing. What failed is on
        // record.
        self.change_lpms(phase, configs, is_kept, |_| true, true)
    }
}

/// Has LPMs that are closed hand over to those in their place; returns also those of the latter
/// that have to be initialized once more.
fn hand_over(
    mut successions: Vec<Succession>,
    closed: Vec<ClosedSeat>,
) -> (Vec<ClosedSeat>, Vec<Arc<Seat>>) {
    let mut spoilt = Vec::new();
    let closed = closed.into_iter().map(|old| {
        let mut successors = successions.iter();
        let Some(place) = successors.position(|succession| succession.is_after(&old.seat)) else {
            return old;
        };
        let (old, to_renew) = successions.swap_remove(place).hand_over(old);
        spoilt.extend(to_renew);
        old
    });
    (closed.collect(), spoilt)
}

impl Reconfiguration {
    /// Adds what came of initializing some of the LPMs once more.
    fn add(&mut self, anew: Self) {
        for lpm in anew.started.lpms {
            let mut started = self.started.lpms.iter_mut();
            if let Some(before) = started.find(|before| before.name == lpm.name) {
                *before = lpm;
            }
        }
        self.stopped.lpms.extend(anew.stopped.lpms);
        self.stopped.libraries.extend(anew.stopped.libraries);
    }
}

impl Seat {
    /// Whether it is what this configuration asks for: the same in all parts, from the same file.
    fn still_serves(&self, config: &LpmConfig) -> bool {
        let stamp = config.source.path().map_or_else(Stamp::default, Stamp::of);
        self.config == *config && self.stamp == stamp
    }
}
