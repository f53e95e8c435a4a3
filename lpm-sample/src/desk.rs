//! What every decision is made with: the policy in force, and the ledger.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use crate::ledger::{Ledger, SubnetId};
use crate::policy::Policy;

/// Where decisions are made; the LPM and its threads share it.
#[derive(Debug)]
pub(crate) struct Desk {
    in_force: RwLock<InForce>,
    ledger: Mutex<Ledger>,
}

/// A policy, and what the ledger calls its subnets.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) policy: Policy,
    pub(crate) subnets: Vec<SubnetId>,
}

impl Desk {
    pub(crate) fn new(policy: Policy) -> Arc<Desk> {
        let mut ledger = Ledger::new();
        let subnets = ledger.subnet_ids(&policy);
        Arc::new(Desk {
            in_force: RwLock::new(InForce { policy, subnets }),
            ledger: Mutex::new(ledger),
        })
    }

    pub(crate) fn set_policy(&self, policy: Policy) {
        let subnets = self.ledger().subnet_ids(&policy);
        let new = InForce { policy, subnets };
        let mut in_force = self
            .in_force
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *in_force, new);
        drop(in_force);
        // A large policy takes a while to drop; nobody waits for that.
        drop(old);
    }

    /// The policy in force. Another one waits until the guard is dropped.
    pub(crate) fn in_force(&self) -> RwLockReadGuard<'_, InForce> {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ledger, also after a panic elsewhere: each of its changes is complete or was not begun,
    /// and one failed request must not fail all others.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
