//! The layer that the PCM calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use lpm_api::lpm_rsvp::{FlowDescriptor, Message, MessageType, ResvStyle};
use lpm_api::{AdmitRequest, Answer, DeleteReason, DeleteState, InitError, InitInfo, Lpm, PeType};

use crate::consider::{Consideration, Facts};
use crate::flow::FlowKey;
use crate::ledger::{Ledger, SubnetId};
use crate::policy::Policy;

/// The identity LPM.
#[derive(Debug)]
pub struct IdentityLpm {
    in_force: RwLock<Arc<InForce>>,
    ledger: Mutex<Ledger>,
}

/// A policy, and what the ledger calls its subnets.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) policy: Policy,
    pub(crate) subnets: Vec<SubnetId>,
}

impl Lpm for IdentityLpm {
    fn initialize(init: InitInfo<'_>) -> Result<IdentityLpm, InitError> {
        Policy::load(init.config(), init.config_source(), init.config_dir())
            .map(IdentityLpm::new)
            .map_err(|error| InitError::config(error.to_string()))
    }

    /// All types: two of them, AUTH_USER and AUTH_APP, say who asks, and a message with neither
    /// is decided too.
    fn pe_type(&self) -> PeType {
        PeType::ALL
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        let facts = Facts {
            interface: request.interface(),
            received: request.received(),
            integrity_verified: request.integrity_verified(),
        };
        let consideration = self.consider(request.message(), facts);
        request.decide(|flow| consideration.decide(&flow))
    }

    fn delete_state(&self, request: DeleteState<'_>) {
        for flow in request.flows() {
            self.release(request.reason(), &request.message(), &flow);
        }
    }

    // `deinitialize` is the trait's own: policy and ledger are dropped with the LPM, and it holds
    // no connection, thread or file.
}

impl IdentityLpm {
    /// An LPM with this policy, in which nobody has a flow yet.
    pub fn new(policy: Policy) -> IdentityLpm {
        let mut ledger = Ledger::new();
        IdentityLpm {
            in_force: RwLock::new(Arc::new(InForce::new(policy, &mut ledger))),
            ledger: Mutex::new(ledger),
        }
    }

    /// Puts another policy in force, for all messages that are considered from now on. Flows stay
    /// with their subjects, who are known by name.
    pub fn set_policy(&self, policy: Policy) {
        let new = Arc::new(InForce::new(policy, &mut self.ledger()));
        *self
            .in_force
            .write()
            .unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// Finds out who asks with a message, and where and when, to decide on its flows.
    pub fn consider<'a>(&'a self, message: Message<'a>, facts: Facts) -> Consideration<'a> {
        let in_force = self.in_force.read();
        let in_force = in_force.unwrap_or_else(PoisonError::into_inner);
        Consideration::new(self, in_force, message, facts)
    }

    /// Releases what the end of a flow releases; a flow that is not counted is passed over.
    pub fn release(&self, reason: DeleteReason, message: &Message<'_>, flow: &FlowDescriptor<'_>) {
        let Some(key) = FlowKey::of(message, flow) else {
            return;
        };
        let mut ledger = self.ledger();
        match (reason, message.message_type(), message.style()) {
            // Only what was asked for with this message is not to be.
            (DeleteReason::AdmissionControlFailed, ..) => ledger.refuse(&key),
            (DeleteReason::FlowDuration, ..) => ledger.expire(&key),
            // A Path that ends takes its reservations with it.
            (_, MessageType::Path | MessageType::PathTear, _) => ledger.release_path(&key),
            // A tear may name some of the senders.
            (_, _, Some(ResvStyle::SharedExplicit)) => {
                ledger.release_senders(&key, flow.filters());
            }
            _ => ledger.release(&key),
        }
    }

    /// The ledger, also after a panic elsewhere: each of its changes is complete or was not begun,
    /// and one failed request must not fail all others.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InForce {
    fn new(policy: Policy, ledger: &mut Ledger) -> InForce {
        let subnets = ledger.subnet_ids(&policy);
        InForce { policy, subnets }
    }
}
