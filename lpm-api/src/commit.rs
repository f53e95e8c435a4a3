//! The news that resources were reserved.

use lpm_rsvp::{FlowDescriptor, FlowSpec, Message, RawObject};

use crate::flow_key::FlowKey;
use crate::interface::Interface;

/// A reservation that the SBM made or changed (lpmapi `LPM_CommitResv`).
#[derive(Clone, Copy, Debug)]
pub struct CommitResv<'a> {
    pub(crate) decision: CommitDecision,
    pub(crate) interface: Interface,
    pub(crate) message: Message<'a>,
    pub(crate) flow: u16,
    pub(crate) merged: Option<RawObject<'a>>,
}

impl<'a> CommitResv<'a> {
    /// What the SBM did.
    #[must_use]
    pub const fn decision(&self) -> CommitDecision {
        self.decision
    }

    /// The interface on which the resources are.
    #[must_use]
    pub const fn interface(&self) -> Interface {
        self.interface
    }

    /// The Resv message with session, style and filters.
    #[must_use]
    pub const fn message(&self) -> Message<'a> {
        self.message
    }

    /// The flow descriptor of the message whose reservation it is; `None` where the message has
    /// no such descriptor.
    #[must_use]
    pub fn flow(&self) -> Option<FlowDescriptor<'a>> {
        self.message.flow_descriptors().nth(usize::from(self.flow))
    }

    /// What tells the flow from every other; see [`FlowKey::of`].
    #[must_use]
    pub fn flow_key(&self) -> Option<FlowKey> {
        FlowKey::of(&self.message, &self.flow()?)
    }

    /// What is reserved: the merged FLOWSPEC of all reservations that share the resources, or the
    /// flow's own where the SBM merged nothing.
    #[must_use]
    pub fn flow_spec(&self) -> Option<FlowSpec<'a>> {
        match self.merged {
            Some(merged) => merged.read().ok(),
            None => self.flow()?.flow_spec(),
        }
    }
}

/// What the SBM did with resources, with the numbers of lpmapi.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommitDecision {
    /// A new reservation (`RESOURCES_ALLOCATED`).
    ResourcesAllocated = 1,
    /// A changed one (`RESOURCES_MODIFIED`).
    ResourcesModified = 2,
}

impl CommitDecision {
    /// The decision with this number of lpmapi.h.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::ResourcesAllocated,
            2 => Self::ResourcesModified,
            _ => return None,
        })
    }
}
