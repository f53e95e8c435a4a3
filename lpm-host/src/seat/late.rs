//! Decisions that came too late: nobody has the resources that they granted.

use lpm_abi::AbiDeleteState;
use lpm_api::DeleteReason;
use lpm_api::abi::abi_message;
use lpm_rsvp::MessageType;

use crate::lpm::instance::Instance;
use crate::message::ReceivedMessage;

/// Lets an LPM forget what it accepted too late: it was told that the flows are rejected when it
/// was not yet asked, or while it was being asked by another thread.
#[cold]
pub(super) fn forget_late(lpm: &Instance, received: &ReceivedMessage<'_>) {
    let has_state = matches!(
        received.message.message_type(),
        MessageType::Path | MessageType::Resv
    );
    if has_state {
        let _ = lpm.delete_state(&AbiDeleteState {
            reason: DeleteReason::AdmissionControlFailed as u32,
            flow: None.into(),
            interface: Some(received.interface.into()).into(),
            message: abi_message(received.message),
        });
    }
}
