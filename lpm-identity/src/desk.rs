//! What every decision is made with: the policy in force, and the ledger.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use crate::ledger::{Ledger, SubnetId};
use crate::policy::Policy;
use crate::recent::RecentIdentities;
use crate::statistics::Counters;
use crate::usage::{UsageQueue, WhenUnreachable};

/// Where decisions are made; the LPM and its threads share it.
#[derive(Debug)]
pub(crate) struct Desk {
    in_force: RwLock<InForce>,
    ledger: Mutex<Ledger>,
    /// Where limits that hold everywhere are counted, if not here.
    pub(crate) shared: Option<Shared>,
    pub(crate) counters: Counters,
}

/// Usage that is shared with other PCMs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) queue: UsageQueue,
    pub(crate) when_unreachable: WhenUnreachable,
}

/// A policy, and what the ledger calls its subnets.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) policy: Policy,
    pub(crate) subnets: Vec<SubnetId>,
    /// Who asked lately, in the terms of this policy.
    pub(crate) recent: RecentIdentities,
}

impl InForce {
    fn new(policy: Policy, subnets: Vec<SubnetId>) -> Self {
        Self {
            recent: RecentIdentities::new(&policy),
            policy,
            subnets,
        }
    }
}

impl Desk {
    pub(crate) fn new(policy: Policy, shared: Option<Shared>) -> Arc<Self> {
        let mut ledger = Ledger::new();
        if shared.is_some() {
            ledger.keep_changes();
        }
        let subnets = ledger.subnet_ids(&policy);
        Arc::new(Self {
            in_force: RwLock::new(InForce::new(policy, subnets)),
            ledger: Mutex::new(ledger),
            shared,
            counters: Counters::default(),
        })
    }

    pub(crate) fn set_policy(&self, policy: Policy) {
        let subnets = self.ledger(|ledger| ledger.subnet_ids(&policy));
        let new = InForce::new(policy, subnets);
        let mut in_force = self
            .in_force
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *in_force, new);
        // No consideration is under way: each holds what is in force.
        self.ledger(Ledger::forget_wordings);
        drop(in_force);
        // A large policy takes a while to drop; nobody waits for that.
        drop(old);
    }

    /// The policy in force. Another one waits until the guard is dropped.
    pub(crate) fn in_force(&self) -> RwLockReadGuard<'_, InForce> {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads or changes the ledger, and has changes counted where usage is shared, in their order.
    pub(crate) fn ledger<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        // Also after a panic elsewhere: each of its changes is complete or was not begun, and one
        // failed request must not fail all others.
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut ledger);
        if let Some(shared) = &self.shared {
            for flow in ledger.take_changes() {
                shared.queue.count(flow, ledger.counted(&flow));
            }
        }
        result
    }
}
