//! Starting, exchanging and stopping LPMs without waiting for it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};

use libunload::gate::inside_any_pass;
use lpm_api::DeinitReason;

use super::deadline::{self, NoThread};
use super::lifecycle::{Lifecycle, Phase};
use super::pending_change::PendingChange;
use super::reconfigure::Reconfiguration;
use super::startup::Startup;
use super::teardown::Teardown;
use crate::config::LpmConfig;
use crate::error::{PcmError, StartError};

impl Lifecycle {
    /// [`Pcm::become_dsbm_later`](crate::Pcm::become_dsbm_later).
    pub(crate) fn start_later(self: &Arc<Self>) -> PendingChange<Result<Startup, StartError>> {
        let lifecycle = Arc::clone(self);
        PendingChange::begin(|error| Err(error.into()), move || lifecycle.start())
    }

    /// [`Pcm::reconfigure_later`](crate::Pcm::reconfigure_later).
    pub(crate) fn reconfigure_later(
        self: &Arc<Self>,
        configs: Vec<LpmConfig>,
    ) -> PendingChange<Result<Reconfiguration, StartError>> {
        let lifecycle = Arc::clone(self);
        let number = self.newest_list.fetch_add(1, Ordering::Relaxed) + 1;
        PendingChange::begin(
            |error| Err(error.into()),
            move || loop {
                if lifecycle.newest_list.load(Ordering::Relaxed) != number {
                    return Err(PcmError::Superseded.into());
                }
                match lifecycle.reconfigure(configs.clone()) {
                    Err(StartError::Pcm(PcmError::Busy)) => lifecycle.wait_while_changing(),
                    done => return done,
                }
            },
        )
    }

    /// [`Pcm::demote_later`](crate::Pcm::demote_later): closes the gate to the LPMs, and has a
    /// thread of its own, the reaper, do the rest: it may wait for the end of this very call.
    pub(crate) fn stop_later(
        self: &Arc<Self>,
        reason: DeinitReason,
    ) -> Result<PendingChange<Teardown>, PcmError> {
        let Some((mut phase, running)) = self.leave_charge(reason)? else {
            return Ok(PendingChange::over(Teardown::default()));
        };
        let (hand_over, handed_over) = mpsc::channel();
        let lifecycle = Arc::clone(self);
        let (pending, reaper) = PendingChange::begun(move || {
            handed_over
                .recv()
                .map_or_else(|_| Teardown::default(), |closed| lifecycle.reap(closed))
        });
        // Without a thread this one does it, unless it would wait for itself.
        let has_thread = match deadline::begin("lpm-reaper", reaper) {
            Err(NoThread { error, .. }) if inside_any_pass() => {
                *phase = Phase::InCharge(running);
                return Err(PcmError::NoThread(error.kind()));
            }
            begun => begun.is_ok(),
        };
        let closed = self.close(phase, running, reason);
        if !has_thread {
            return Ok(PendingChange::over(self.reap(closed)));
        }
        // The reaper waits for nothing else.
        let _ = hand_over.send(closed);
        Ok(pending)
    }

    /// [`Pcm::shutdown_later`](crate::Pcm::shutdown_later).
    pub(crate) fn shutdown_later(self: &Arc<Self>) -> PendingChange<Result<Teardown, PcmError>> {
        let lifecycle = Arc::clone(self);
        // Lists that wait are not wanted any more.
        self.newest_list.fetch_add(1, Ordering::Relaxed);
        PendingChange::begin(Err, move || lifecycle.shut_down())
    }
}
