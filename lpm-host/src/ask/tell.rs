//! Telling LPMs that resources were reserved.

use lpm_api::abi::{AbiCommit, abi_message};
use lpm_api::{CommitDecision, Interface};
use lpm_rsvp::Message;

use crate::EventLog;
use crate::lpm::Instance;
use crate::message::OwnedMessage;
use crate::roster::Roster;

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

/// Tells every LPM.
pub(crate) fn commit_resv(roster: &Roster, commit: &CommittedResv<'_>, events: &dyn EventLog) {
    let (decision, flow, interface) = (commit.decision, commit.flow, commit.interface);
    let call = move |lpm: &Instance, message: Message<'_>, merged: &[u8]| {
        lpm.commit_resv(&AbiCommit {
            decision: decision as u32,
            flow,
            interface: interface.into(),
            message: abi_message(message),
            merged: merged.into(),
        })
    };
    let merged = commit.merged.unwrap_or_default();
    roster.tell(
        "commit_resv",
        events,
        |lpm| call(lpm, commit.message, merged),
        || {
            let (message, merged) = (OwnedMessage::from(commit.message), merged.to_vec());
            Box::new(move |lpm| call(lpm, message.view(), &merged))
        },
    );
}
