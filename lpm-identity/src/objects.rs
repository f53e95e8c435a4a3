//! What goes out with messages: priorities with Path and Resv, reasons with their errors.

use lpm_api::lpm_rsvp::build;
use lpm_api::lpm_rsvp::policy::PolicyErrorValue;
use lpm_api::lpm_rsvp::{
    ErrorSpec, Message, MessageType, PolicyElement, PreemptionPriority, ResvStyle,
};
use lpm_api::{FlowKey, LpmPolicyError, Priority};

use crate::desk::Desk;

/// The error code of an ERROR_SPEC that says that policy refused (RFC 2205 appendix B).
const POLICY_CONTROL_FAILURE: u8 = 2;

/// The POLICY_DATA objects for a message on its way out, one after the other; none for a message
/// that this LPM has nothing to say with, or that has such an element already.
///
/// - Path and Resv: a PREEMPTION_PRI element (RFC 3181) with the priority that the flow was
///   admitted with; where senders have reservations of their own, one for each. A Resv has the
///   highest priority of the reservations that it stands for.
/// - PathErr and ResvErr with an error of policy: an AUTH_USER element with a POLICY_ERROR_OBJECT
///   (RFC 3182 section 3.3.4) that says why.
pub(crate) fn policy_data(desk: &Desk, message: &Message<'_>) -> Vec<u8> {
    let objects = match message.message_type() {
        MessageType::Path | MessageType::Resv if !has_priority(message) => {
            priorities(desk, message)
        }
        MessageType::PathErr | MessageType::ResvErr => message.error_spec().and_then(reason),
        _ => None,
    };
    let objects = objects.unwrap_or_default();
    let written: Result<Vec<_>, _> = objects.iter().map(build::policy_data_object).collect();
    written.unwrap_or_default().concat()
}

fn has_priority(message: &Message<'_>) -> bool {
    let mut elements = message.policy_elements().filter_map(Result::ok);
    elements.any(|element| matches!(element, PolicyElement::PreemptionPriority(_)))
}

fn priorities(desk: &Desk, message: &Message<'_>) -> Option<Vec<build::PolicyData>> {
    let session = message.session()?;
    let is_path = message.message_type() == MessageType::Path;
    let distinct = message.style() == Some(ResvStyle::FixedFilter);
    let mut objects = Vec::new();
    for flow in message.flow_descriptors() {
        let sender = flow.filters().next();
        let priority = desk.ledger(|ledger| match sender {
            Some(sender) if is_path => ledger.priority(&FlowKey::path(session, sender)),
            _ => ledger.highest_priority(session, flow.filters()),
        });
        let Some(priority) = priority else { continue };
        let object = build::PolicyData::new().element(element(priority)?);
        objects.push(match sender {
            Some(sender) if distinct => object.filter_spec(sender),
            _ => object,
        });
    }
    Some(objects)
}

fn element(priority: Priority) -> Option<PreemptionPriority> {
    PreemptionPriority::new(priority.value(), priority.value())
}

fn reason(error: ErrorSpec) -> Option<Vec<build::PolicyData>> {
    if error.code != POLICY_CONTROL_FAILURE {
        return None;
    }
    let reason = LpmPolicyError::from_value(error.value)?;
    let value = match reason {
        LpmPolicyError::UnknownUser | LpmPolicyError::NoPrivileges => {
            PolicyErrorValue::InsufficientPrivileges
        }
        LpmPolicyError::ExpiredUserToken => PolicyErrorValue::ExpiredCredential,
        LpmPolicyError::UserChanged => PolicyErrorValue::IdentityChanged,
        _ => PolicyErrorValue::NoMoreInfo,
    };
    let user = build::Identity::user().policy_error(value, reason.to_string().as_bytes());
    Some(vec![build::PolicyData::new().element(user)])
}
