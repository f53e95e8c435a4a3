//! What is said of the flows of a message that was decided.

use std::iter;
use std::sync::Arc;

use lpm_api::{Decision, LpmHandle, LpmPolicyError};
use lpm_host::{FlowVerdict, Outcome, Startup};
use lpm_rsvp::{FlowDescriptor, Message};
use lpm_sbm::{Answer, FlowAnswer, PathState, Refusal, TimedVerdict};
use smallvec::SmallVec;

use crate::output::asked::Asked;
use crate::output::flow::{FlowRecord, Reason, RefusedBy};

/// One for each flow of a message.
pub(super) type FlowRecords<'a> = SmallVec<[FlowRecord<'a>; 1]>;

/// The LPMs' reasons, one for each flow of a message; `None` where they have none, or are not
/// asked; none at all where nobody is asked.
pub(super) type Reasons = SmallVec<[Option<String>; 1]>;

/// The LPMs' names, for records.
pub(super) struct Names(Vec<(LpmHandle, Arc<str>)>);

impl Names {
    /// Those of the LPMs that were initialized.
    pub(super) fn new(startup: &Startup) -> Self {
        let lpms = startup.lpms.iter();
        Self(
            lpms.map(|lpm| (lpm.handle, Arc::clone(&lpm.name)))
                .collect(),
        )
    }

    /// One record for each flow of a message that was decided.
    pub(super) fn flows<'a>(
        &'a self,
        message: &Message<'a>,
        answer: &Answer<TimedVerdict>,
        reasons: Reasons,
    ) -> FlowRecords<'a> {
        let mut records = FlowRecords::new();
        let verdicts = answer
            .verdict
            .verdict
            .flows()
            .iter()
            .zip(reasons.into_iter().chain(iter::repeat(None)));
        let flows = message.flow_descriptors().zip(verdicts);
        for (index, (flow, (verdict, reason))) in flows.enumerate() {
            let nothing = FlowAnswer::default();
            let sbm = answer.flows.get(index).unwrap_or(&nothing);
            let mut record = self.flow(flow, verdict, sbm);
            record.why = reason;
            records.push(record);
        }
        records
    }

    fn flow<'a>(
        &'a self,
        descriptor: FlowDescriptor<'a>,
        verdict: &FlowVerdict,
        sbm: &FlowAnswer,
    ) -> FlowRecord<'a> {
        let decision = verdict.decision;
        let (outcome, refused_by) = match (verdict.outcome(), sbm.refusal) {
            (_, Some(_)) => (Outcome::Reject, Some(RefusedBy::Sbm)),
            (Outcome::Reject, None) => (Outcome::Reject, Some(RefusedBy::Policy)),
            (outcome, None) => (outcome, None),
        };
        FlowRecord {
            index: descriptor.index(),
            senders: descriptor.filters().collect(),
            asked: Some(Asked::of(descriptor)),
            lpv: decision.lpv(),
            outcome,
            error_code: sbm
                .refusal
                .map_or(decision.error_code(), Refusal::error_code),
            error_value: sbm
                .refusal
                .map_or(decision.error_value(), Refusal::error_value),
            by: verdict.by.and_then(|handle| self.of(handle)),
            refused_by,
            resources: sbm.resources,
            path: sbm.path,
            reason: reason(decision, sbm),
            why: None,
        }
    }

    fn of(&self, handle: LpmHandle) -> Option<&str> {
        let mut lpms = self.0.iter();
        let (_, name) = lpms.find(|(known, _)| *known == handle)?;
        Some(name)
    }
}

/// Why a flow is rejected, or what is missing.
fn reason(decision: Decision, sbm: &FlowAnswer) -> Option<Reason> {
    /// The error code for "policy control failure" (RFC 2205, appendix B).
    const POLICY: u16 = 2;
    let missing = match sbm.path {
        Some(PathState::NoPath) => Some(Refusal::NoPath),
        Some(PathState::NoSender) => Some(Refusal::NoSender),
        Some(PathState::Known) | None => None,
    };
    let by_policy = || {
        let is_by_policy = decision.error_code() == POLICY;
        let error = is_by_policy.then(|| LpmPolicyError::from_value(decision.error_value()));
        error.flatten().map(Reason::Policy)
    };
    let by_sbm = sbm.refusal.or(missing).map(Reason::Sbm);
    by_sbm.or_else(by_policy)
}
