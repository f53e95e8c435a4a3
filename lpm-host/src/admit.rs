//! Deciding on a message.

mod admission;
mod asking;
mod decisions;

use lpm_api::abi::{AbiDeleteState, AbiMessage};
use lpm_api::{DeleteReason, Interface};
use lpm_rsvp::{Message, MessageType};

pub use self::admission::Admission;
pub(crate) use self::asking::{Asking, Question};
pub(crate) use self::decisions::Decisions;

use crate::library::Instance;
use crate::message::OwnedMessage;
use crate::roster::Roster;
use crate::{EventLog, FlowVerdict, ReceivedMessage};

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

/// What becomes of a message of this type.
pub(crate) enum Treatment {
    /// LPMs decide, and forget flows that are refused.
    Decide,
    /// LPMs decide; there is no state to forget.
    DecideOnly,
    /// LPMs delete their state.
    Delete(DeleteReason),
    /// Confirmations and the rest never reach an LPM.
    Pass,
}

impl Treatment {
    #[inline]
    pub(crate) fn of(message_type: MessageType) -> Self {
        match message_type {
            MessageType::Path | MessageType::Resv => Self::Decide,
            MessageType::PathErr | MessageType::ResvErr => Self::DecideOnly,
            MessageType::PathTear => Self::Delete(DeleteReason::ReceivedPathTear),
            MessageType::ResvTear => Self::Delete(DeleteReason::ReceivedResvTear),
            _ => Self::Pass,
        }
    }
}

/// Lets every LPM drop what it kept for flows that are not admitted after all, where there is state to
/// forget.
#[cold]
pub(crate) fn forget_refused(
    roster: &Roster,
    received: &ReceivedMessage<'_>,
    flows: &[FlowVerdict],
    events: &dyn EventLog,
) {
    if !matches!(
        Treatment::of(received.message.message_type()),
        Treatment::Decide
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
            delete_state(roster, &gone, events);
        }
    }
}

/// Tells every LPM that state is gone.
pub(crate) fn delete_state(roster: &Roster, gone: &StateGone<'_>, events: &dyn EventLog) {
    let call = |lpm: &Instance, message: Message<'_>, gone: &Gone| {
        lpm.delete_state(&AbiDeleteState {
            reason: gone.reason as u32,
            flow: gone.flow.into(),
            interface: gone.interface.map(Into::into).into(),
            message: AbiMessage::from(message),
        })
    };
    let about = Gone {
        reason: gone.reason,
        flow: gone.flow,
        interface: gone.interface,
    };
    roster.tell(
        "delete_state",
        events,
        |lpm| call(lpm, gone.message, &about),
        || {
            let message = OwnedMessage::from(gone.message);
            Box::new(move |lpm| call(lpm, message.view(), &about))
        },
    );
}

/// [`StateGone`] without its message.
#[derive(Clone, Copy)]
struct Gone {
    reason: DeleteReason,
    flow: Option<u16>,
    interface: Option<Interface>,
}
