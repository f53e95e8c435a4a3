//! Who has how many flows.
//!
//! A flow counts for its subject from its admission on, apart for each direction: what a subject
//! sends (Path) and what it receives (Resv). A refresh counts nothing, a flow that somebody else
//! asks for moves. What ends a flow is told by
//! [`delete_state`](lpm_api::Lpm::delete_state), and undone here:
//!
//! - a new flow that is refused elsewhere is gone, while a change of one that the PCM
//!   [committed](lpm_api::Lpm::commit_resv) leaves it as it was (RFC 2205 section 3.1.8);
//! - a sender that is gone takes the reservations for it along (section 3.1.5);
//! - a shared explicit reservation ends with the last of its senders, a wildcard one with the last
//!   Path of the session.

use std::collections::{BTreeMap, HashMap};

use lpm_api::lpm_rsvp::FilterSpec;
use lpm_api::{Direction, FlowKey, Scope};

use crate::identity::Subject;
use crate::rule::Limit;

/// The flows that are admitted. Sorted by session, then sender: what ends with a sender stands
/// together.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    flows: BTreeMap<FlowKey, Flow>,
    counts: HashMap<(Subject, Direction), u32>,
}

#[derive(Debug)]
struct Flow {
    subject: Subject,
    /// The PCM said that its resources are allocated.
    committed: bool,
    /// Those of a shared explicit reservation.
    senders: Vec<FilterSpec>,
}

impl Ledger {
    /// Counts a flow for a subject, if that stays within the limit.
    ///
    /// # Errors
    /// Whose limit it would exceed. Nothing has changed then.
    pub(crate) fn admit(
        &mut self,
        key: FlowKey,
        subject: &Subject,
        senders: Vec<FilterSpec>,
        limit: Limit<u32>,
    ) -> Result<(), Scope> {
        if let Some(flow) = self.flows.get_mut(&key).filter(|it| it.subject == *subject) {
            flow.senders = senders;
            return Ok(());
        }
        let account = (subject.clone(), key.direction());
        let held = self.counts.get(&account).copied().unwrap_or(0);
        if let Some(scope) = limit.exceeded_by(held.saturating_add(1)) {
            return Err(scope);
        }
        self.release(&key);
        *self.counts.entry(account).or_default() += 1;
        let flow = Flow {
            subject: subject.clone(),
            committed: false,
            senders,
        };
        self.flows.insert(key, flow);
        Ok(())
    }

    /// How many flows a subject has in one direction.
    pub(crate) fn held(&self, subject: &Subject, direction: Direction) -> u32 {
        let account = (subject.clone(), direction);
        self.counts.get(&account).copied().unwrap_or(0)
    }

    /// The resources of a flow are allocated.
    pub(crate) fn commit(&mut self, key: &FlowKey) {
        if let Some(flow) = self.flows.get_mut(key) {
            flow.committed = true;
        }
    }

    /// What was last asked for is not to be.
    pub(crate) fn refuse(&mut self, key: &FlowKey) {
        if self.flows.get(key).is_some_and(|flow| !flow.committed) {
            self.release(key);
        }
    }

    /// A flow has ended; one that was never counted is passed over.
    pub(crate) fn release(&mut self, key: &FlowKey) {
        let Some(flow) = self.flows.remove(key) else {
            return;
        };
        let account = (flow.subject, key.direction());
        if let Some(held) = self.counts.get_mut(&account) {
            *held -= 1;
            if *held == 0 {
                self.counts.remove(&account);
            }
        }
    }

    /// These senders are gone from a shared explicit reservation.
    pub(crate) fn release_senders(&mut self, key: &FlowKey, gone: &[FilterSpec]) {
        // A wildcard reservation has no list of senders.
        let flow = self.flows.get_mut(key);
        if let Some(flow) = flow.filter(|flow| !flow.senders.is_empty()) {
            flow.senders.retain(|sender| !gone.contains(sender));
            if flow.senders.is_empty() {
                self.release(key);
            }
        }
    }

    /// A sender is gone.
    pub(crate) fn release_path(&mut self, path: &FlowKey) {
        let was_known = self.flows.contains_key(path);
        self.release(path);
        let session: Vec<FlowKey> = self
            .flows
            .range(path.start_of_session()..)
            .map(|(key, _)| *key)
            .take_while(|key| key.is_of_session(path))
            .collect();
        let others_send = session
            .iter()
            .any(|key| key.direction() == Direction::Sends);
        for key in session {
            let is_shared = key.sender().is_none();
            let senders = self.flows.get(&key).map_or(0, |flow| flow.senders.len());
            if is_shared && senders > 0 {
                self.release_senders(&key, &Vec::from_iter(path.sender()));
            } else if key.sender() == path.sender() || (is_shared && was_known && !others_send) {
                self.release(&key);
            }
        }
    }
}
