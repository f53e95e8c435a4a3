//! The Policy Control Module.

use std::fmt;
use std::sync::Arc;

use libunload::gate::inside_any_pass;
use lpm_api::{AddressRow, DeinitReason, LpmHandle};

use crate::answers::objects::OutgoingVerdict;
use crate::ask::admission::Admission;
use crate::ask::tell::{CommittedResv, StateGone};
use crate::ask::{decide, explain, outgoing, statistics};
use crate::config::LpmConfig;
use crate::error::{PcmError, StartError};
use crate::life::deadline::on_lifecycle_thread;
use crate::life::lifecycle::Lifecycle;
use crate::life::pending_change::PendingChange;
use crate::life::reconfigure::Reconfiguration;
use crate::life::startup::Startup;
use crate::life::teardown::Teardown;
use crate::message::{OutgoingMessage, ReceivedMessage};
use crate::metrics::LpmMetrics;
use crate::serving::Serving;
use crate::status::{LpmStatistics, Status};
use crate::verdict::Verdict;

/// A Policy Control Module: runs LPMs and combines their decisions.
///
/// Shared by reference between threads: any number of them may [`admit`](Self::admit) while
/// another starts or stops the LPMs. Dropping it shuts it down.
pub struct Pcm {
    serving: Arc<Serving>,
    lifecycle: Arc<Lifecycle>,
}

impl Pcm {
    /// The part of it that answers requests.
    #[cfg(feature = "testing")]
    pub(crate) const fn serving(&self) -> &Arc<Serving> {
        &self.serving
    }

    pub(crate) const fn new(serving: Arc<Serving>, lifecycle: Arc<Lifecycle>) -> Self {
        Self { serving, lifecycle }
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

    /// Like [`become_dsbm`](Self::become_dsbm), as a future. What it does begins at once, on a
    /// thread of its own.
    pub fn become_dsbm_later(&self) -> PendingChange<Result<Startup, StartError>> {
        self.lifecycle.start_later()
    }

    /// Runs another list of LPMs: those whose configuration and library file are unchanged go on,
    /// new ones are initialized, and those that are no longer wanted deinitialized and unloaded.
    /// Requests are decided meanwhile, each by one list or the other. While the PCM is not in
    /// charge only the list is changed.
    ///
    /// An LPM whose configuration or file changed is initialized anew, with another handle, before
    /// its predecessor is deinitialized. In between the new one takes over what the old one [hands
    /// over](lpm_api::Lpm::hand_over), at most 256 MiB. That has the time that the old one has to
    /// deinitialize; if it is over before, the new one starts with nothing, and an event says so.
    /// Calls that are for the new one wait meanwhile, but no longer than its result time limit from
    /// the begin on; what it is asked after that is rejected.
    ///
    /// # Errors
    ///
    /// The list is none that a PCM can be [built](crate::PcmBuilder::build) from; a new LPM that is
    /// not optional does not load or initialize; or the PCM is in the wrong state. Then nothing has
    /// changed.
    pub fn reconfigure(
        &self,
        lpms: impl IntoIterator<Item = LpmConfig>,
    ) -> Result<Reconfiguration, StartError> {
        self.lifecycle.reconfigure(lpms.into_iter().collect())
    }

    /// Like [`reconfigure`](Self::reconfigure), as a future; what it does begins at once. It waits
    /// for a change that is under way. Of the lists that wait, the newest is put in force, and the
    /// others come to [`PcmError::Superseded`].
    pub fn reconfigure_later(
        &self,
        lpms: impl IntoIterator<Item = LpmConfig>,
    ) -> PendingChange<Result<Reconfiguration, StartError>> {
        self.lifecycle.reconfigure_later(lpms.into_iter().collect())
    }

    /// Tells every LPM the addresses of this host (lpmapi `LPM_IpAddressTable`), now and when it is
    /// initialized. Call it before [`become_dsbm`](Self::become_dsbm), and whenever the addresses
    /// change; the table is empty before. Each LPM has its result time limit to take it.
    pub fn set_ip_address_table(&self, table: &[AddressRow]) {
        self.lifecycle.set_ip_address_table(table);
    }

    /// Decides on a message: asks every LPM and combines what they say. Waits for LPMs that put off
    /// their answers, no longer than their result time limits.
    ///
    /// Path, Resv, PathErr and ResvErr messages are decided on, flow by flow; after a refusal of a
    /// flow of a Path or Resv, every LPM is told to forget it. PathTear and ResvTear make every
    /// LPM delete its state; their verdict, and that of any other message, is empty.
    ///
    /// # Errors
    ///
    /// [`PcmError::NotDsbm`]: the LPMs are not initialized, or were stopped before all of them were
    /// asked.
    #[inline]
    pub fn admit(&self, received: &ReceivedMessage<'_>) -> Result<Verdict, PcmError> {
        decide::now(&self.serving, received)
    }

    /// Why the LPM whose word the verdict on a flow is decided so, in a sentence of its own for the
    /// operator; the flow is its position in the message. `None` where the LPM has nothing to say,
    /// gave no answer or is gone, or where it is nobody's word.
    ///
    /// Asked for apart from [`admit`](Self::admit), with the same message, by whoever wants to
    /// know. What has changed since may show. The LPM has its result time limit for it; at most
    /// 1024 bytes are taken.
    #[must_use]
    pub fn explain(
        &self,
        received: &ReceivedMessage<'_>,
        verdict: &Verdict,
        flow: u16,
    ) -> Option<String> {
        explain::explain(&self.serving, received, verdict, flow)
    }

    /// Like [`admit`](Self::admit), but does not wait for LPMs that put off their answers: the
    /// [`Admission`] is a future of the verdict.
    ///
    /// # Errors
    ///
    /// As [`admit`](Self::admit).
    pub fn admit_later(&self, received: &ReceivedMessage<'_>) -> Result<Admission, PcmError> {
        decide::later(&self.serving, received)
    }

    /// Like [`admit`](Self::admit), but has `callback` called with the verdict: on this thread,
    /// before this returns, where every LPM answers at once; else later, on a thread of the PCM's.
    /// Such callbacks may run at the same time, on a few threads.
    ///
    /// # Errors
    ///
    /// As [`admit`](Self::admit); then `callback` is not called.
    pub fn admit_with(
        &self,
        received: &ReceivedMessage<'_>,
        callback: impl FnOnce(Verdict) + Send + 'static,
    ) -> Result<(), PcmError> {
        decide::later(&self.serving, received)?.then(callback);
        Ok(())
    }

    /// Asks the LPMs for the POLICY_DATA of a message that is to go out, or whether it may
    /// (lpmapi `LPM_GetRsvpObjects`). Waits for LPMs that put off their answers, no longer than
    /// their result time limits; the message goes out without the objects of those that are late.
    ///
    /// # Errors
    ///
    /// [`PcmError::NotDsbm`].
    pub fn rsvp_objects(
        &self,
        outgoing: &OutgoingMessage<'_>,
    ) -> Result<OutgoingVerdict, PcmError> {
        let roster = self.serving.in_charge()?;
        let pending = outgoing::rsvp_objects(&roster, outgoing, &self.serving);
        drop(roster);
        Ok(pending.wait())
    }

    /// Tells every LPM that the SBM reserved resources for a flow, or changed a reservation
    /// (lpmapi `LPM_CommitResv`).
    ///
    /// # Errors
    ///
    /// [`PcmError::NotDsbm`].
    pub fn commit_resv(&self, commit: &CommittedResv<'_>) -> Result<(), PcmError> {
        commit.tell(&*self.serving.in_charge()?, &self.serving);
        Ok(())
    }

    /// Tells every LPM that state is gone for a reason that no message told the PCM: no resources,
    /// a timeout, the end of a flow's time (lpmapi `LPM_DeleteState`).
    ///
    /// # Errors
    ///
    /// [`PcmError::NotDsbm`].
    pub fn delete_state(&self, gone: &StateGone<'_>) -> Result<(), PcmError> {
        gone.tell(&*self.serving.in_charge()?, &self.serving);
        Ok(())
    }

    /// The counters of each LPM, in configured order.
    ///
    /// # Errors
    ///
    /// [`PcmError::NotDsbm`].
    pub fn statistics(&self) -> Result<Vec<LpmStatistics>, PcmError> {
        let roster = self.serving.in_charge()?;
        let seats = roster.seats.iter();
        Ok(seats
            .map(|seat| statistics::of(seat, &self.serving))
            .collect())
    }

    /// How it is: its phase, its LPMs with their health and open requests, and the libraries that
    /// stay mapped. No LPM is called; may be asked for at any time, also while LPMs start or stop.
    #[must_use]
    pub fn status(&self) -> Status {
        self.lifecycle.status()
    }

    /// What is counted of each LPM, in the order in which they were first initialized: requests,
    /// decisions, failures, late answers, and how long some of the answers took. LPMs that are gone
    /// are among them; one that is initialized anew goes on with the counts of its name, so that
    /// they only grow. No LPM is called.
    #[must_use]
    pub fn metrics(&self) -> Vec<LpmMetrics> {
        let tallies = self.serving.known.tallies().into_iter();
        tallies.map(|(name, tally)| tally.metrics(name)).collect()
    }

    /// The name of an LPM, also of one that is gone, such as that a verdict is
    /// [by](crate::FlowVerdict::by). `None`: no LPM of this PCM, or one before its last 4096
    /// initializations.
    #[must_use]
    pub fn lpm_name(&self, lpm: LpmHandle) -> Option<Arc<str>> {
        self.serving.known.name(lpm)
    }

    /// Tells the LPMs that run what the program's `tracing` subscriber now wants of their events
    /// and spans; to be called after its filter has changed. An LPM that is started later knows
    /// anyway.
    ///
    /// Where nothing has changed, this costs a comparison per callsite.
    pub fn refresh_trace_filters(&self) {
        self.serving.refresh_trace_filters();
    }

    /// Deinitializes the LPMs, in reverse of the configured order or as they
    /// [depend](LpmConfig::after) on each other, and unloads their libraries: the node is no longer
    /// the Designated SBM. Requests that are not answered yet are rejected at once.
    /// [`become_dsbm`](Self::become_dsbm) starts them again.
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
    pub fn demote_later(&self) -> Result<PendingChange<Teardown>, PcmError> {
        self.lifecycle.stop_later(DeinitReason::Demotion)
    }

    /// Deinitializes the LPMs, if they are initialized, and unloads their libraries, for good.
    ///
    /// # Errors
    ///
    /// As [`demote`](Self::demote), but a PCM that is not in charge shuts down too.
    pub fn shutdown(&self) -> Result<Teardown, PcmError> {
        self.stop(DeinitReason::Shutdown)
    }

    /// Like [`shutdown`](Self::shutdown), as a future; what it does begins at once. It waits for a
    /// change that is under way, and lists of LPMs that wait are not put in force any more. To be
    /// awaited outside calls into LPMs.
    pub fn shutdown_later(&self) -> PendingChange<Result<Teardown, PcmError>> {
        self.lifecycle.shutdown_later()
    }

    pub(crate) fn stop(&self, reason: DeinitReason) -> Result<Teardown, PcmError> {
        if inside_any_pass() {
            return Err(PcmError::CalledFromLpm);
        }
        self.lifecycle.stop(reason)
    }
}

impl Drop for Pcm {
    fn drop(&mut self) {
        // These threads would wait for themselves. The stop goes on without this value.
        if inside_any_pass() || on_lifecycle_thread() {
            let _ = self.lifecycle.stop_later(DeinitReason::Shutdown);
            return;
        }
        // What is under way, a change whose future was dropped perhaps, comes to its end first.
        let _ = self.lifecycle.shut_down();
    }
}

impl fmt::Debug for Pcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pcm")
            .field("lpms", &self.lifecycle.lpm_names())
            .finish_non_exhaustive()
    }
}
