//! The news that state is gone.

use lpm_rsvp::{FlowDescriptor, Message};

use crate::interface::Interface;

/// Flows whose state is gone (lpmapi `LPM_DeleteState`).
///
/// Every LPM is told, also one that never kept state for these flows.
///
/// ```
/// use std::collections::HashMap;
///
/// use lpm_api::{DeleteState, FlowKey};
///
/// fn delete_state(gone: DeleteState<'_>, rates: &mut HashMap<FlowKey, f32>) {
///     for flow in gone.flows() {
///         if let Some(key) = FlowKey::of(&gone.message(), &flow) {
///             rates.remove(&key);
///         }
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DeleteState<'a> {
    pub(crate) reason: DeleteReason,
    pub(crate) interface: Option<Interface>,
    pub(crate) message: Message<'a>,
    pub(crate) flow: Option<u16>,
}

impl<'a> DeleteState<'a> {
    /// Why the state is gone.
    #[must_use]
    pub const fn reason(&self) -> DeleteReason {
        self.reason
    }

    /// The interface the message came in on; always there for teardown messages.
    #[must_use]
    pub const fn interface(&self) -> Option<Interface> {
        self.interface
    }

    /// The message that names session and flows: the teardown, or the Path or Resv that was
    /// refused.
    #[must_use]
    pub const fn message(&self) -> Message<'a> {
        self.message
    }

    /// The flows concerned: all of the message's, or the one that was refused.
    pub fn flows(&self) -> impl Iterator<Item = FlowDescriptor<'a>> + use<'a> {
        let concerned = self.flow;
        self.message
            .flow_descriptors()
            .filter(move |flow| concerned.is_none_or(|index| index == flow.index()))
    }
}

/// Why state is gone, with the numbers of lpmapi.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeleteReason {
    /// A PathTear was received (`RCVD_PATH_TEAR`).
    ReceivedPathTear = 1,
    /// A ResvTear was received (`RCVD_RESV_TEAR`).
    ReceivedResvTear = 2,
    /// The flow was refused, by policy or for want of resources (`ADM_CTRL_FAILED`).
    AdmissionControlFailed = 3,
    /// No refresh came in time (`STATE_TIMEOUT`).
    StateTimeout = 4,
    /// The flow lasted as long as it may (`FLOW_DURATION`).
    FlowDuration = 5,
}

impl DeleteReason {
    /// The reason with this number of lpmapi.h.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::ReceivedPathTear,
            2 => Self::ReceivedResvTear,
            3 => Self::AdmissionControlFailed,
            4 => Self::StateTimeout,
            5 => Self::FlowDuration,
            _ => return None,
        })
    }
}
