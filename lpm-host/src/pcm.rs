//! The Policy Control Module.

use std::fmt;
use std::sync::Arc;

use lpm_api::DeinitReason;

use crate::deadline::on_lifecycle_thread;
use crate::library::gate::inside_any_pass;
use crate::lifecycle::{Lifecycle, PendingTeardown};
use crate::{LpmConfig, PcmBuilder, PcmError, ReceivedMessage, StartError, Startup};
use crate::{Teardown, Verdict};

/// A Policy Control Module: runs LPMs and combines their decisions.
///
/// Shared by reference between threads: any number of them may [`admit`](Self::admit) while
/// another starts or stops the LPMs. Dropping it shuts it down.
pub struct Pcm {
    lifecycle: Arc<Lifecycle>,
}

impl Pcm {
    /// Starts to configure a PCM.
    pub fn builder() -> PcmBuilder {
        PcmBuilder::new()
    }

    pub(crate) fn new(lifecycle: Lifecycle) -> Self {
        Self {
            lifecycle: Arc::new(lifecycle),
        }
    }

    /// Loads and initializes the LPMs, in configured order: the node became the Designated SBM.
    ///
    /// # Errors
    ///
    /// An LPM that is not optional does not load or initialize; then none is left running, and
    /// every one that failed is named. Or the PCM is in the wrong state.
    pub fn become_dsbm(&self) -> Result<Startup, StartError> {
        self.lifecycle.start()
    }

    /// Decides on a message: asks every LPM and combines what they say.
    ///
    /// Path, Resv, PathErr and ResvErr messages are decided on, flow by flow; after a refusal of a
    /// flow of a Path or Resv, every LPM is told to forget it. PathTear and ResvTear make every
    /// LPM delete its state; their verdict, and that of any other message, is empty.
    ///
    /// # Errors
    ///
    /// [`PcmError::NotDsbm`]: the LPMs are not initialized, or were stopped before all of them were
    /// asked.
    pub fn admit(&self, received: &ReceivedMessage<'_>) -> Result<Verdict, PcmError> {
        self.lifecycle.admit(received)
    }

    /// Tells the LPMs that run what the program's `tracing` subscriber now wants of their events and
    /// spans; to be called after its filter has changed. An LPM that is started later knows anyway.
    ///
    /// Where nothing has changed, this costs a comparison per callsite.
    pub fn refresh_trace_filters(&self) {
        self.lifecycle.refresh_trace_filters();
    }

    /// Deinitializes the LPMs, in reverse of the configured order, and unloads their libraries:
    /// the node is no longer the Designated SBM. [`become_dsbm`](Self::become_dsbm) starts them
    /// again.
    ///
    /// # Errors
    ///
    /// The PCM is in the wrong state, or this is called from inside a call into an LPM, where
    /// [`demote_later`](Self::demote_later) is the way. That an LPM failed to deinitialize, or that
    /// a library stays mapped, is no error but in the result.
    pub fn demote(&self) -> Result<Teardown, PcmError> {
        self.stop(DeinitReason::Demotion)
    }

    /// Like [`demote`](Self::demote), but returns as soon as no further call goes into the LPMs;
    /// the rest happens on a thread of its own. May be called from inside a call into an LPM.
    ///
    /// # Errors
    ///
    /// The PCM is in the wrong state.
    pub fn demote_later(&self) -> Result<PendingTeardown, PcmError> {
        self.lifecycle.stop(DeinitReason::Demotion)
    }

    /// Deinitializes the LPMs, if they are initialized, and unloads their libraries, for good.
    ///
    /// # Errors
    ///
    /// As [`demote`](Self::demote), but a PCM that is not in charge shuts down too.
    pub fn shutdown(&self) -> Result<Teardown, PcmError> {
        self.stop(DeinitReason::Shutdown)
    }

    fn stop(&self, reason: DeinitReason) -> Result<Teardown, PcmError> {
        if inside_any_pass() {
            return Err(PcmError::CalledFromLpm);
        }
        Ok(self.lifecycle.stop(reason)?.wait())
    }
}

impl Drop for Pcm {
    fn drop(&mut self) {
        // `become_dsbm` borrows the PCM, so what is under way can only be a stop.
        let stopping = self.lifecycle.stop(DeinitReason::Shutdown);
        // These threads would wait for themselves. The stop goes on without this value.
        if inside_any_pass() || on_lifecycle_thread() {
            return;
        }
        match stopping {
            Ok(pending) => drop(pending.wait()),
            Err(PcmError::Busy) => {
                self.lifecycle.wait_while_changing();
                drop(
                    self.lifecycle
                        .stop(DeinitReason::Shutdown)
                        .map(PendingTeardown::wait),
                );
            }
            Err(_) => {}
        }
    }
}

impl fmt::Debug for Pcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self
            .lifecycle
            .configs()
            .iter()
            .map(LpmConfig::name)
            .collect::<Vec<_>>();
        f.debug_struct("Pcm")
            .field("lpms", &names)
            .finish_non_exhaustive()
    }
}
