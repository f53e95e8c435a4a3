//! How state goes: told to, run out, preempted; and what goes with it.

use std::time::SystemTime;

use lpm_api::{DeleteReason, FlowKey};
use lpm_host::StateGone;
use lpm_host::error::PcmError;
use lpm_rsvp::{FilterSpec, FlowDescriptor, Message, MessageType};

use super::Sbm;
use crate::answer::{RemovalReason, Removed};
use crate::flow_table::is_path;
use crate::lifetime::Time;
use crate::policy::Policy;
use crate::state::State;

impl<P: Policy> Sbm<P> {
    /// Sets the clock, and removes what has run out.
    pub(super) fn advance(&mut self, time: SystemTime) -> Result<Vec<Removed>, PcmError> {
        self.clock = self.clock.max(Time::from(time));
        let mut removed = Vec::new();
        while let Some((flow, deadline)) = self.table.expired(self.clock) {
            let reason = RemovalReason::Deleted(deadline.reason);
            self.remove(flow, deadline.time, reason, &mut removed)?;
        }
        Ok(removed)
    }

    /// Tells every LPM that state is gone, or does not come to be.
    pub(super) fn tell_deleted(
        &mut self,
        state: &State,
        reason: DeleteReason,
    ) -> Result<(), PcmError> {
        let Some(message) = state.message(&mut self.index) else {
            return Ok(());
        };
        self.policy.delete_state(&StateGone {
            message,
            flow: Some(0),
            interface: Some(state.interface),
            reason,
        })
    }

    /// What a teardown message is about is gone. The policy has told every LPM.
    pub(super) fn torn_down(
        &mut self,
        message: &Message<'_>,
        descriptor: &FlowDescriptor<'_>,
        after: &mut Vec<Removed>,
    ) -> Result<(), PcmError> {
        let Some(flow) = FlowKey::of(message, descriptor) else {
            return Ok(());
        };
        if message.message_type() == MessageType::PathTear {
            return self.forget(flow, DeleteReason::ReceivedPathTear, after);
        }
        // Of a reservation that senders share, only the senders that the message names
        // (RFC 2205 §3.1.6).
        let torn: Vec<_> = descriptor.filters().collect();
        if !torn.is_empty() && self.leave_out(flow, &torn)? {
            return Ok(());
        }
        self.forget(flow, DeleteReason::ReceivedResvTear, after)
    }

    /// Removes state that LPMs have been told of, and what depends on it.
    pub(super) fn forget(
        &mut self,
        flow: FlowKey,
        reason: DeleteReason,
        after: &mut Vec<Removed>,
    ) -> Result<(), PcmError> {
        if let Some(state) = self.table.remove(&flow) {
            self.release(flow, &state)?;
            let reason = RemovalReason::Deleted(reason);
            self.path_is_gone(flow, self.clock, reason, after)?;
        }
        Ok(())
    }

    /// Removes state, tells every LPM, and removes what depends on it.
    pub(super) fn remove(
        &mut self,
        flow: FlowKey,
        time: Time,
        reason: RemovalReason,
        removed: &mut Vec<Removed>,
    ) -> Result<(), PcmError> {
        let Some(state) = self.table.remove(&flow) else {
            return Ok(());
        };
        self.tell_deleted(&state, reason.told())?;
        self.release(flow, &state)?;
        removed.push(Removed {
            time: time.into(),
            flow,
            senders: state.senders.into_vec(),
            interface: state.interface,
            reason,
        });
        self.path_is_gone(flow, time, reason, removed)
    }

    /// After the state of a flow: if it was Path state, the reservations that answer it go, too
    /// (RFC 2205 §3.1.5).
    fn path_is_gone(
        &mut self,
        path: FlowKey,
        time: Time,
        reason: RemovalReason,
        removed: &mut Vec<Removed>,
    ) -> Result<(), PcmError> {
        let Some(sender) = path.sender().filter(|_| is_path(&path)) else {
            return Ok(());
        };
        let is_last = !self.table.has_path(&path);
        for (flow, senders) in self.table.reservations_of(&path) {
            let is_gone = if senders.is_empty() {
                is_last
            } else {
                senders.binary_search(&sender).is_ok() && !self.leave_out(flow, &[sender])?
            };
            if is_gone {
                self.remove(flow, time, reason, removed)?;
            }
        }
        Ok(())
    }

    /// Takes senders out of a reservation, and says whether others are left in it. If not, nothing
    /// is changed.
    fn leave_out(&mut self, flow: FlowKey, gone: &[FilterSpec]) -> Result<bool, PcmError> {
        let Some(state) = self.table.get(&flow) else {
            return Ok(false);
        };
        let mut left = state.senders.clone();
        left.retain(|sender| !gone.contains(sender));
        if left.is_empty() {
            return Ok(false);
        }
        let reservation = self.reservation_of(&flow, state);
        self.table.narrow(&flow, &left, &mut self.index);
        if let Some(key) = reservation {
            let change = self.reservations.narrow(&key, &flow, left);
            self.commit_remaining(&key, change)?;
        }
        Ok(true)
    }

    /// Gives the resources of a flow back.
    fn release(&mut self, flow: FlowKey, state: &State) -> Result<(), PcmError> {
        match self.reservation_of(&flow, state) {
            Some(key) => {
                let change = self.reservations.remove(&key, &flow);
                self.commit_remaining(&key, change)
            }
            None => Ok(()),
        }
    }
}
