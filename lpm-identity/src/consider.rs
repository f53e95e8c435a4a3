//! From a message to its decisions.

use std::sync::RwLockReadGuard;
use std::time::SystemTime;

use lpm_api::lpm_rsvp::{FilterSpec, FlowDescriptor, Message, MessageType};
use lpm_api::{Decision, Direction, FlowKey, Interface, LpmPolicyError, Metric, Priority, Rate};
use lpm_sample::identity::{Malformed, UserName};
use lpm_sample::rule::{Outcome, asked};

use crate::desk::{Desk, InForce};
use crate::directory::Directory;
use crate::ledger::{Claim, Held, Reservation, Ticket, Traffic, Wording};
use crate::policy::{Here, Limits, Policy, Rule};
use crate::profile::Found;
use crate::request::{Ask, Asking, Request, Senders};
use crate::subject::Subject;
use crate::usage::{Reserved, WhenUnreachable};

/// What the PCM says of a message beside what is in it.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The interface it came in on.
    pub interface: Interface,
    /// When it was received.
    pub received: SystemTime,
    /// Whether it bore an INTEGRITY object that the PCM verified.
    pub integrity_verified: bool,
}

/// A message that is to be decided on: who asks, where and when, and the policy in force.
///
/// A policy that is put in force meanwhile waits until the consideration is dropped.
#[derive(Debug)]
pub struct Consideration<'a> {
    desk: &'a Desk,
    directory: Option<&'a Directory>,
    in_force: RwLockReadGuard<'a, InForce>,
    message: Message<'a>,
    asking: Asking<'a>,
    facts: Facts,
    here: Here,
}

/// What is said of a flow.
#[derive(Debug)]
pub enum Verdict {
    /// This is decided.
    Decided(Decision),
    /// Somebody must be looked up first, or room be reserved on a server.
    Later(Box<Question>),
}

impl Verdict {
    /// The decision, if there is one already.
    #[must_use]
    pub fn decision(&self) -> Option<Decision> {
        match self {
            Self::Decided(decision) => Some(*decision),
            Self::Later(_) => None,
        }
    }

    pub(crate) fn is_decided(&self) -> bool {
        self.decision().is_some()
    }
}

/// A flow that cannot be decided on yet, apart from its message and the policy.
#[derive(Debug)]
pub struct Question {
    pub(crate) waits_for: WaitsFor,
    senders: Senders,
    ticket: Ticket,
}

/// What has to be known first.
#[derive(Debug)]
pub(crate) enum WaitsFor {
    /// Who this is.
    User(Box<UserName>, Ask, Facts),
    /// Whether there is room for it where usage is shared.
    Room(Granted),
}

/// What is decided once there is room.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) reservation: Reservation,
    pub(crate) limits: Limits,
    priority: Priority,
}

/// What comes of a claim.
enum Admission {
    Admitted(Priority),
    /// If there is room.
    Room(Box<Granted>),
}

impl<'a> Consideration<'a> {
    pub(crate) fn new(
        desk: &'a Desk,
        directory: Option<&'a Directory>,
        message: Message<'a>,
        facts: Facts,
    ) -> Self {
        let in_force = desk.in_force();
        let policy = &in_force.policy;
        Consideration {
            desk,
            directory,
            message,
            asking: in_force
                .recent
                .who(&message, facts.integrity_verified, policy),
            here: policy.here(facts.interface, facts.received),
            facts,
            in_force,
        }
    }

    /// Decides on one flow of the message, and counts it if it is admitted; or says whom to look up
    /// first, where there is a directory that remembers nothing of the user.
    ///
    /// Errors on their way back ask for nothing, and pass with the lowest priority: with no opinion
    /// of any LPM, the PCM would refuse them.
    pub fn decide(&self, flow: &FlowDescriptor<'_>) -> Verdict {
        if !matches!(
            self.message.message_type(),
            MessageType::Path | MessageType::Resv
        ) {
            return Verdict::Decided(Decision::accept(Priority::MIN));
        }
        let verdict = self
            .considered(flow)
            .unwrap_or_else(|reason| Verdict::Decided(Decision::reject(reason)));
        if let Verdict::Decided(decision) = &verdict {
            self.desk.counters.count(self.direction(), *decision);
        }
        verdict
    }

    /// The message.
    pub(crate) fn message(&self) -> &Message<'a> {
        &self.message
    }

    /// What one of its flows asks for.
    pub(crate) fn request(&self, flow: &FlowDescriptor<'_>) -> Request {
        self.asking.request(&self.message, flow)
    }

    pub(crate) fn directory(&self) -> Option<&'a Directory> {
        self.directory
    }

    /// The policy in force.
    pub(crate) fn policy(&self) -> &Policy {
        &self.in_force.policy
    }

    pub(crate) fn here(&self) -> &Here {
        &self.here
    }

    /// What a subject has: on the subnet of the request, or everywhere.
    pub(crate) fn held(&self, subject: &Subject, on_subnet: bool, direction: Direction) -> Held {
        let in_force = &*self.in_force;
        let subnet = self.here.subnet().filter(|_| on_subnet);
        let subnet = subnet.map(|place| in_force.subnets[place]);
        self.desk
            .ledger(|ledger| ledger.held(subject, &in_force.policy, subnet, direction))
    }

    fn considered(&self, flow: &FlowDescriptor<'_>) -> Result<Verdict, LpmPolicyError> {
        let Request { who, ask, senders } = self.request(flow);
        let who = who.map_err(|Malformed| {
            self.desk.counters.count_bad_identity(self.direction());
            LpmPolicyError::UnknownUser
        })?;
        let (desk, in_force) = (self.desk, &*self.in_force);
        let admission = match (&who.unlisted_user, self.directory) {
            (Some(user), Some(directory)) => match directory.remembered(user) {
                Some(found) => {
                    let subject = subject(found)?;
                    let rule = in_force.policy.rule(&subject, &self.here);
                    desk.admit(in_force, &subject, &rule, &self.here, ask, &senders, None)?
                }
                None => {
                    let ask = ask.ok_or(LpmPolicyError::CrazyFlowSpec)?;
                    let waits_for = WaitsFor::User(user.clone(), ask, self.facts);
                    return Ok(self.later(waits_for, ask.flow, senders));
                }
            },
            _ => {
                let (here, wording) = (&self.here, self.wording());
                let admit =
                    |rule| desk.admit(in_force, &who.subject, rule, here, ask, &senders, wording);
                match self.asking.rule() {
                    Some(rule) => admit(rule)?,
                    None => admit(&in_force.policy.rule(&who.subject, &self.here))?,
                }
            }
        };
        Ok(match admission {
            Admission::Admitted(priority) => Verdict::Decided(Decision::accept(priority)),
            Admission::Room(granted) => {
                let key = granted.reservation.flow;
                self.later(WaitsFor::Room(*granted), key, senders)
            }
        })
    }

    /// The message as it came in, if it is about one flow, and one like it is decided likewise as
    /// long as the policy is in force.
    fn wording(&self) -> Option<Wording<'_>> {
        let (bytes, facts) = (self.message.bytes(), &self.facts);
        let is_about_one = self.message.flow_descriptors().nth(1).is_none();
        if !is_about_one || self.in_force.policy.has_conditions() {
            return None;
        }
        let wording = Wording::of(bytes, facts.interface, facts.integrity_verified)?;
        Some(Wording {
            common: self.asking.common(),
            ..wording
        })
    }

    fn direction(&self) -> Direction {
        match self.message.message_type() {
            MessageType::Resv => Direction::Receives,
            _ => Direction::Sends,
        }
    }

    fn later(&self, waits_for: WaitsFor, key: FlowKey, senders: Senders) -> Verdict {
        Verdict::Later(Box::new(Question {
            waits_for,
            senders,
            ticket: self.desk.ledger(|ledger| ledger.expect(key)),
        }))
    }
}

/// What comes of a question.
pub(crate) enum Next {
    Decided(Decision),
    Question(Box<Question>),
}

impl Question {
    /// The flow that it is about.
    pub(crate) fn flow(&self) -> FlowKey {
        match &self.waits_for {
            WaitsFor::User(_, ask, _) => ask.flow,
            WaitsFor::Room(granted) => granted.reservation.flow,
        }
    }

    /// Goes on with a question about a user, now that this is known.
    pub(crate) fn go_on(mut self: Box<Self>, desk: &Desk, found: Found) -> Next {
        let WaitsFor::User(_, ask, facts) = self.waits_for else {
            return Next::Question(self);
        };
        let wanted = desk.ledger(|ledger| ledger.is_still_wanted(self.ticket));
        if !wanted {
            return Next::Decided(NOT_WANTED);
        }
        let in_force = desk.in_force();
        let here = in_force.policy.here(facts.interface, facts.received);
        let admission = subject(found).and_then(|subject| {
            let rule = in_force.policy.rule(&subject, &here);
            let (ask, senders) = (Some(ask), &self.senders);
            desk.admit(&in_force, &subject, &rule, &here, ask, senders, None)
        });
        match admission {
            Ok(Admission::Admitted(priority)) => Next::Decided(Decision::accept(priority)),
            Ok(Admission::Room(granted)) => {
                self.ticket = desk.ledger(|ledger| ledger.expect(ask.flow));
                self.waits_for = WaitsFor::Room(*granted);
                Next::Question(self)
            }
            Err(reason) => Next::Decided(Decision::reject(reason)),
        }
    }

    /// Decides on a question about room, now that there is some or not.
    pub(crate) fn decide(self: Box<Self>, desk: &Desk, reserved: Reserved) -> Decision {
        let WaitsFor::Room(granted) = &self.waits_for else {
            return Decision::reject(LpmPolicyError::NoResources);
        };
        let alone = desk
            .shared
            .as_ref()
            .is_some_and(|shared| shared.when_unreachable == WhenUnreachable::CountAlone);
        let limits = match reserved {
            Reserved::Granted => Ok(granted.limits.of_subnets()),
            Reserved::Exceeds(limit) => Err(granted.limits.exceeded(limit)),
            Reserved::Unreachable if alone => Ok(granted.limits),
            Reserved::Unreachable => Err(LpmPolicyError::NoResources),
        };
        desk.ledger(|ledger| {
            let wanted = ledger.is_still_wanted(self.ticket);
            let limits = match limits {
                Ok(limits) if wanted => limits,
                Ok(_) => {
                    ledger.give_up(&granted.reservation);
                    return NOT_WANTED;
                }
                Err(reason) => {
                    ledger.give_up(&granted.reservation);
                    return Decision::reject(reason);
                }
            };
            let senders = self.senders.iter().copied();
            match ledger.admit_reserved(&granted.reservation, senders, &limits) {
                Ok(()) => Decision::accept(granted.priority),
                Err(reason) => Decision::reject(reason),
            }
        })
    }
}

/// The state of the flow was deleted before it was decided on: nobody waits for this.
const NOT_WANTED: Decision = Decision::reject(LpmPolicyError::NoResources);

/// Whose flow it is to be, with what the directory knows.
fn subject(found: Found) -> Result<Subject, LpmPolicyError> {
    match found {
        Found::User(profile) => Ok(Subject::Directory(profile)),
        Found::Nobody => Ok(Subject::Unauthenticated),
        Found::Unusable | Found::Unreachable => Err(LpmPolicyError::NoResources),
    }
}

impl Desk {
    /// The decision on a message about one flow, if its flow is counted for the last one like it,
    /// byte for byte, and nothing that its decision depends on has changed since.
    pub(crate) fn again(
        &self,
        wording: &Wording<'_>,
        received: impl FnOnce() -> SystemTime,
    ) -> Option<Decision> {
        let (direction, priority) = self.ledger(|ledger| ledger.again(wording, received))?;
        let decision = Decision::accept(priority);
        self.counters.count(direction, decision);
        Some(decision)
    }

    /// The priority a flow is admitted with, if there is room; or the reason why it is not. `None`
    /// is asked for by what makes no sense.
    #[expect(clippy::too_many_arguments, reason = "what a decision depends on")]
    fn admit(
        &self,
        in_force: &InForce,
        subject: &Subject,
        rule: &Rule,
        here: &Here,
        ask: Option<Ask>,
        senders: &[FilterSpec],
        wording: Option<Wording<'_>>,
    ) -> Result<Admission, LpmPolicyError> {
        let highest = match rule.outcome {
            Outcome::Admit(priority) => priority,
            Outcome::Reject(reason) => return Err(reason),
        };
        let ask = ask.ok_or(LpmPolicyError::CrazyFlowSpec)?;
        let limits = &rule.limits;
        check_rates(ask.traffic, limits)?;
        let priority = asked(ask.preemption_priority, highest);
        let claim = Claim {
            flow: ask.flow,
            subject,
            policy: &in_force.policy,
            subnet: here.subnet().map(|place| in_force.subnets[place]),
            traffic: ask.traffic,
            priority,
            received: here.received(),
        };
        let reservation = self.ledger(|ledger| {
            if self.shared.is_some() && limits.are_shared() {
                ledger.check_duration(&claim.flow, claim.received, limits)?;
                let reservation = ledger.reserve(&claim);
                if reservation.is_some() {
                    return Ok(reservation);
                }
            }
            ledger
                .admit_said(&claim, senders.iter().copied(), limits, wording)
                .map(|()| None)
        })?;
        Ok(match reservation {
            None => Admission::Admitted(priority),
            Some(reservation) => Admission::Room(Box::new(Granted {
                reservation,
                limits: rule.limits,
                priority,
            })),
        })
    }
}

/// The limits on each flow alone.
pub(crate) fn check_rates(traffic: Traffic, limits: &Limits) -> Result<(), LpmPolicyError> {
    for (metric, limit, rate) in [
        (Metric::FlowRate, limits.flow_rate, traffic.rate),
        (Metric::PeakRate, limits.peak_rate, traffic.peak_rate),
    ] {
        if let Some(scope) = limit.map(Rate::bytes_per_second).exceeded_by(rate) {
            return Err(LpmPolicyError::Limit(metric, scope));
        }
    }
    Ok(())
}
