//! Telling LPMs what became of what they decided on: resources were reserved, or state is gone.

use lpm_abi::{AbiCommit, AbiDeleteState};
use lpm_api::abi::abi_message;
use lpm_api::{CommitDecision, DeleteReason, Interface};
use lpm_rsvp::{Message, MessageType};

use crate::answers::faults::Telling;
use crate::lpm::instance::Instance;
use crate::message::{OwnedMessage, ReceivedMessage};
use crate::roster::Roster;
use crate::serving::Serving;
use crate::verdict::{FlowVerdict, Verdict};

/// State that is gone, and that the PCM was not told of by a teardown message.
#[derive(Clone, Copy, Debug)]
pub struct StateGone<'a> {
    /// Why.
    pub reason: DeleteReason,
    /// The message that names the session and the flows: the last Path or Resv of them.
    pub message: Message<'a>,
    /// The flow descriptor of the message that is concerned; `None`: all of them.
    pub flow: Option<u16>,
    /// The interface the message came in on.
    pub interface: Option<Interface>,
}

/// A reservation that the SBM made or changed.
#[derive(Clone, Copy, Debug)]
pub struct CommittedResv<'a> {
    /// What it did.
    pub decision: CommitDecision,
    /// The Resv message with session, style and filters.
    pub message: Message<'a>,
    /// The flow descriptor of the message whose reservation it is.
    pub flow: u16,
    /// The interface on which the resources are.
    pub interface: Interface,
    /// The merged FLOWSPEC object, its header included, in network byte order; `None` where the
    /// flow's own is what is reserved.
    pub merged: Option<&'a [u8]>,
}

impl StateGone<'_> {
    /// Tells every LPM.
    pub(crate) fn tell(&self, roster: &Roster, serving: &Serving) {
        let (reason, flow, interface) = (self.reason, self.flow, self.interface);
        let call = move |lpm: &Instance, message: Message<'_>| {
            lpm.delete_state(&AbiDeleteState {
                reason: reason as u32,
                flow: flow.into(),
                interface: interface.map(Into::into).into(),
                message: abi_message(message),
            })
        };
        roster.tell(
            Telling::DeleteState,
            serving.clock.now(),
            &*serving.events,
            |lpm| call(lpm, self.message),
            || {
                let message = OwnedMessage::from(self.message);
                Box::new(move |lpm| call(lpm, message.view()))
            },
        );
    }
}

impl CommittedResv<'_> {
    /// Tells every LPM.
    pub(crate) fn tell(&self, roster: &Roster, serving: &Serving) {
        let (decision, flow, interface) = (self.decision, self.flow, self.interface);
        let call = move |lpm: &Instance, message: Message<'_>, merged: &[u8]| {
            lpm.commit_resv(&AbiCommit {
                decision: decision as u32,
                flow,
                interface: interface.into(),
                message: abi_message(message),
                merged: merged.into(),
            })
        };
        let merged = self.merged.unwrap_or_default();
        roster.tell(
            Telling::CommitResv,
            serving.clock.now(),
            &*serving.events,
            |lpm| call(lpm, self.message, merged),
            || {
                let (message, merged) = (OwnedMessage::from(self.message), merged.to_vec());
                Box::new(move |lpm| call(lpm, message.view(), &merged))
            },
        );
    }
}

/// Lets every LPM drop what it kept for flows that are not admitted after all, where there is state
/// to forget: of a Path or Resv.
#[inline]
pub(crate) fn forget(
    roster: &Roster,
    received: &ReceivedMessage<'_>,
    flows: &[FlowVerdict],
    serving: &Serving,
) {
    if !flows.iter().all(FlowVerdict::is_accepted) {
        forget_some(roster, received, flows, serving);
    }
}

#[cold]
#[inline(never)]
fn forget_some(
    roster: &Roster,
    received: &ReceivedMessage<'_>,
    flows: &[FlowVerdict],
    serving: &Serving,
) {
    if !matches!(
        received.message.message_type(),
        MessageType::Path | MessageType::Resv
    ) {
        return;
    }
    for (index, flow) in (0..).zip(flows) {
        if !flow.is_accepted() {
            let gone = StateGone {
                reason: DeleteReason::AdmissionControlFailed,
                message: received.message,
                flow: Some(index),
                interface: Some(received.interface),
            };
            gone.tell(roster, serving);
        }
    }
}

/// Lets the LPMs forget what is refused, once the last of them answered.
#[inline]
pub(crate) fn forget_refused<'a>(
    serving: &Serving,
    received: impl FnOnce() -> ReceivedMessage<'a>,
    verdict: &Verdict,
) {
    if verdict.flows().iter().all(FlowVerdict::is_accepted) {
        return;
    }
    if let Ok(roster) = serving.in_charge() {
        forget(&roster, &received(), verdict.flows(), serving);
    }
}
