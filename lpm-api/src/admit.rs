//! The request for a decision, and its answer.

use std::time::SystemTime;

use lpm_rsvp::{FlowDescriptor, Message};

use crate::abi::AbiDecision;
use crate::{Decision, Interface, RequestHandle};

/// One RSVP message to decide on (lpmapi `LPM_AdmitRsvpMsg`).
///
/// Path, Resv, PathErr and ResvErr messages are decided on; teardowns come as
/// [`DeleteState`](crate::DeleteState). The PCM has checked the message's form and checksum.
#[derive(Debug)]
pub struct AdmitRequest<'a> {
    pub(crate) handle: RequestHandle,
    pub(crate) interface: Interface,
    pub(crate) received: SystemTime,
    pub(crate) integrity_verified: bool,
    pub(crate) message: Message<'a>,
    pub(crate) decisions: &'a mut [AbiDecision],
}

impl<'a> AdmitRequest<'a> {
    /// Names this request among all that the PCM puts to this LPM.
    #[must_use]
    pub const fn handle(&self) -> RequestHandle {
        self.handle
    }

    /// The interface the message came in on.
    #[must_use]
    pub const fn interface(&self) -> Interface {
        self.interface
    }

    /// The message, in network byte order behind typed views.
    #[must_use]
    pub const fn message(&self) -> Message<'a> {
        self.message
    }

    /// When the message was received; from the capture's clock where one is replayed.
    #[must_use]
    pub const fn received(&self) -> SystemTime {
        self.received
    }

    /// Whether the message bore an INTEGRITY object (RFC 2747) that the PCM verified.
    #[must_use]
    pub const fn integrity_verified(&self) -> bool {
        self.integrity_verified
    }

    /// How many decisions the answer takes: one per flow descriptor of the message.
    #[must_use]
    pub const fn flow_count(&self) -> usize {
        self.decisions.len()
    }

    /// Answers with one decision per flow descriptor, asked for in the message's order.
    ///
    /// The decisions are written where the PCM reads them; nothing is allocated.
    pub fn decide(self, mut decide: impl FnMut(FlowDescriptor<'a>) -> Decision) -> Answer {
        let mut flows = self.message.flow_descriptors();
        for slot in self.decisions.iter_mut() {
            *slot = match flows.next() {
                Some(flow) => decide(flow).into(),
                None => Decision::DontCare.into(),
            };
        }
        Answer {
            request: self.handle,
            immediate_refresh: false,
        }
    }

    /// Answers with the same decision for every flow descriptor.
    pub fn decide_all(self, decision: Decision) -> Answer {
        self.decisions.fill(decision.into());
        Answer {
            request: self.handle,
            immediate_refresh: false,
        }
    }
}

/// That a request was answered; only answering makes one.
#[derive(Debug)]
#[must_use = "return the answer from `admit`"]
pub struct Answer {
    pub(crate) request: RequestHandle,
    pub(crate) immediate_refresh: bool,
}

impl Answer {
    /// Asks for an RSVP refresh at once rather than at the next refresh time
    /// (lpmapi `FORCE_IMMEDIATE_REFRESH`).
    pub const fn with_immediate_refresh(mut self) -> Self {
        self.immediate_refresh = true;
        self
    }
}
