//! Who decides: the PCM, as the SBM sees it.

use lpm_api::{CommitDecision, Decision, Interface};
use lpm_host::error::PcmError;
use lpm_host::{ReceivedMessage, StateGone};
use lpm_rsvp::{Message, ServiceRequest};

/// What the SBM asks and tells a PCM.
pub trait Policy {
    /// The word on a message.
    type Verdict;

    /// Decides on a message. Whatever is about flows that are not accepted, or torn down, LPMs have
    /// been told when this returns.
    ///
    /// # Errors
    /// As `Pcm::admit`.
    fn admit(&self, received: &ReceivedMessage<'_>) -> Result<Self::Verdict, PcmError>;

    /// The decision on the flow descriptor with this index.
    fn decision(verdict: &Self::Verdict, flow: u16) -> Decision;

    /// Whether anything may be granted at all. If not, what the policy accepts is refused; what was
    /// granted before goes on.
    fn may_grant(&self) -> bool {
        true
    }

    /// Tells that state is gone.
    ///
    /// # Errors
    /// As `Pcm::admit`.
    fn delete_state(&self, gone: &StateGone<'_>) -> Result<(), PcmError>;

    /// Tells what became of resources.
    ///
    /// # Errors
    /// As `Pcm::admit`.
    fn commit_resv(&self, committed: &Committed<'_>) -> Result<(), PcmError>;
}

/// Resources that were reserved.
#[derive(Clone, Copy, Debug)]
pub struct Committed<'a> {
    /// A Resv whose only flow descriptor is that of the flow. Of the Resv that came in it has only
    /// what names the flow and its traffic.
    pub message: Message<'a>,
    /// The interface on which the resources are.
    pub interface: Interface,
    /// What is reserved: the merged requests of all next hops.
    pub merged: ServiceRequest,
    /// New or changed.
    pub decision: CommitDecision,
}
