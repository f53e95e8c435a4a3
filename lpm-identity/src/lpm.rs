//! The layer that the PCM calls.

use std::sync::Arc;
use std::time::SystemTime;

use lpm_api::lpm_rsvp::{FlowDescriptor, Message, MessageType, ResvStyle};
use lpm_api::{
    AdmitRequest, Answer, CommitResv, Decision, DeinitError, DeinitReason, DeleteReason,
    DeleteState, HandOver, InitError, InitInfo, Interface, Lpm, ObjectsAnswer, ObjectsRequest,
    PeType, Statistics, TakeOverRefused,
};

use crate::config::Config;
use crate::consider::{Consideration, Facts, Verdict};
use crate::desk::{Desk, Shared};
use crate::directory::Directory;
use crate::ledger::{self, Wording};
use crate::no_thread::NoThread;
use crate::objects;
use crate::policy::{self, Policy};
use crate::reread::Rereading;
use crate::usage::SharedUsage;
use crate::waiting::{self, Verdicts};
use lpm_api::FlowKey;

/// The identity LPM.
#[derive(Debug)]
pub struct IdentityLpm {
    /// The thread that rereads the policy file, if there is one.
    rereading: Option<Rereading>,
    directory: Option<Directory>,
    /// The thread that counts together with other PCMs, if it does.
    usage: Option<SharedUsage>,
    desk: Arc<Desk>,
}

impl Lpm for IdentityLpm {
    fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
        let fault = |error: &dyn std::error::Error| InitError::config(error.to_string());
        let mut config = Config::read(init.config(), init.config_source(), init.config_dir())
            .map_err(|error| fault(&error))?;
        config.directory = config
            .directory
            .map(|directory| directory.within(init.result_time_limit()));
        Self::start(config).map_err(|error| fault(&error))
    }

    /// All types: two of them, AUTH_USER and AUTH_APP, say who asks, and a message with neither
    /// is decided too.
    fn pe_type(&self) -> PeType {
        PeType::ALL
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        let message = request.message();
        let (interface, integrity_verified) = (request.interface(), request.integrity_verified());
        if request.flow_count() == 1 {
            let received = || request.received();
            if let Some(decision) = self.again(&message, interface, integrity_verified, received) {
                return request.decide_all(decision);
            }
        }
        let facts = Facts {
            interface,
            received: request.received(),
            integrity_verified,
        };
        let consideration = self.consider(message, facts);
        let mut verdicts = Verdicts::new();
        for flow in message.flow_descriptors() {
            verdicts.push(consideration.decide(&flow));
        }
        drop(consideration);
        if let ([Verdict::Decided(decision)], 1) = (&verdicts[..], request.flow_count()) {
            return request.decide_all(*decision);
        }
        if verdicts.iter().all(Verdict::is_decided) {
            let mut decided = verdicts.iter().filter_map(Verdict::decision);
            return request.decide(|_| decided.next().unwrap_or(Decision::DontCare));
        }
        let (deferral, answer) = request.defer();
        self.decide_later(verdicts, move |decisions| {
            // Past the time limit nobody wants the answer: the PCM has rejected the flows, and told
            // so with `delete_state`.
            let _ = deferral.complete(decisions);
        });
        answer
    }

    fn explain(
        &self,
        request: &AdmitRequest<'_>,
        flow: &FlowDescriptor<'_>,
        decision: Decision,
    ) -> Option<String> {
        let facts = Facts {
            interface: request.interface(),
            received: request.received(),
            integrity_verified: request.integrity_verified(),
        };
        self.consider(request.message(), facts)
            .reason(flow, decision)
    }

    fn commit_resv(&self, commit: CommitResv<'_>) {
        if let Some(flow) = commit.flow_key() {
            // Of a merged reservation the subject has what it asked for, not what others add.
            self.desk.ledger(|ledger| ledger.commit(&flow, None));
        }
    }

    fn rsvp_objects(&self, request: ObjectsRequest<'_>) -> ObjectsAnswer {
        let objects = objects::policy_data(&self.desk, &request.message());
        if objects.len() > request.max_policy_data_size() {
            return request.none();
        }
        request.supply(&objects)
    }

    fn delete_state(&self, request: DeleteState<'_>) {
        for flow in request.flows() {
            self.release(request.reason(), &request.message(), &flow);
        }
    }

    fn hand_over(&self) -> Option<HandOver> {
        let bytes = self.desk.ledger(|ledger| ledger.handed_over())?;
        Some(HandOver {
            format: ledger::FORMAT,
            bytes,
        })
    }

    fn take_over(&self, state: HandOver) -> Result<(), TakeOverRefused> {
        if state.format != ledger::FORMAT {
            return Err(TakeOverRefused::unknown_format(state.format));
        }
        self.desk
            .ledger(|ledger| ledger.take_over(&state.bytes))
            .map_err(|error| TakeOverRefused::new(error.to_string()))
    }

    /// Threads have ended, and connections are closed, when it returns.
    fn deinitialize(self, _: DeinitReason) -> Result<(), DeinitError> {
        drop(self.rereading);
        drop(self.directory);
        drop(self.usage);
        policy::forget_list();
        Ok(())
    }
}

impl Statistics for IdentityLpm {
    fn statistics(&self, report: &mut dyn FnMut(&str, u64)) {
        self.desk.counters.report(report);
        if let Some(directory) = &self.directory {
            let (lookups, unreachable) = directory.lookups();
            report("directory_lookups", lookups);
            report("directory_unreachable", unreachable);
        }
    }
}

impl IdentityLpm {
    /// The POLICY_DATA objects for a message on its way out, one after the other, in network byte
    /// order.
    #[must_use]
    pub fn policy_data(&self, message: &Message<'_>) -> Vec<u8> {
        objects::policy_data(&self.desk, message)
    }

    /// An LPM with this policy, in which nobody has a flow yet.
    pub fn new(policy: Policy) -> Self {
        Self {
            rereading: None,
            directory: None,
            usage: None,
            desk: Desk::new(policy, None),
        }
    }

    /// An LPM with this configuration, and the threads that it takes.
    ///
    /// # Errors
    /// The system has no thread to spare.
    pub fn start(config: Config) -> Result<Self, NoThread> {
        let mut usage = None;
        let mut shared = None;
        if let Some(config) = config.shared_usage {
            let when_unreachable = config.when_unreachable;
            let started = usage.insert(SharedUsage::start(config)?);
            shared = Some(Shared {
                queue: started.queue(),
                when_unreachable,
            });
        }
        let desk = Desk::new(config.policy, shared);
        let reread = |file| {
            let desk = Arc::clone(&desk);
            Rereading::start(file, move |policy| desk.set_policy(policy))
        };
        Ok(Self {
            rereading: config.file.map(reread).transpose()?,
            directory: config.directory.map(Directory::start).transpose()?,
            usage,
            desk,
        })
    }

    /// Does what these verdicts wait for, and hands over all decisions when they are made, on a
    /// thread of the LPM. `complete` is dropped if the LPM is deinitialized first.
    pub fn decide_later(
        &self,
        verdicts: Verdicts,
        complete: impl FnOnce(&[Decision]) + Send + 'static,
    ) {
        waiting::settle(self.directory.as_ref(), &self.desk, verdicts, complete);
    }

    /// Puts another policy in force, for all messages that are considered from now on. Flows stay
    /// with their subjects, who are known by name.
    pub fn set_policy(&self, policy: Policy) {
        self.desk.set_policy(policy);
    }

    /// Finds out who asks with a message, and where and when, to decide on its flows.
    #[must_use]
    pub fn consider<'a>(&'a self, message: Message<'a>, facts: Facts) -> Consideration<'a> {
        Consideration::new(&self.desk, self.directory.as_ref(), message, facts)
    }

    /// Decides on a message about one flow that says, byte for byte, what was said of the flow
    /// last, and counts it, without reading it: most messages are refreshes. `None` if it must be
    /// [considered](Self::consider): it is another one, or came in elsewhere, or something that
    /// its decision depends on has changed since. When it was received is asked only where flows
    /// may last a limited time.
    #[must_use]
    pub fn again(
        &self,
        message: &Message<'_>,
        interface: Interface,
        integrity_verified: bool,
        received: impl FnOnce() -> SystemTime,
    ) -> Option<Decision> {
        let wording = Wording::of(message.bytes(), interface, integrity_verified)?;
        self.desk.again(&wording, received)
    }

    /// Releases what the end of a flow releases; a flow that is not counted is passed over.
    pub fn release(&self, reason: DeleteReason, message: &Message<'_>, flow: &FlowDescriptor<'_>) {
        let Some(key) = FlowKey::of(message, flow) else {
            return;
        };
        self.desk.ledger(
            |ledger| match (reason, message.message_type(), message.style()) {
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
            },
        );
    }
}
