//! What is fuzzed of LPMs in C: bytes of anybody on their way to one, and its own on their way
//! back.

use lpm_rsvp::Message;

use super::lent::Plan;
use super::message::{Objects, unknown_object};
use super::order::To;

/// Converts an object, whatever is in it, to the host's order and back: it is what it was.
pub fn there_and_back(object: &[u8]) {
    let mut bytes = object.to_vec();
    To::Host.object(&mut bytes);
    assert_eq!(bytes.len(), object.len());
    To::Network.object(&mut bytes);
    assert_eq!(bytes, object);
}

/// Lays out a message as an LPM in C gets it: there is room for all of it, and nothing is written
/// beside.
pub fn lay_out(message: Message<'_>) {
    if unknown_object(&message).is_some() {
        return;
    }
    let mut plan = Plan::new();
    let objects = Objects::of(&mut plan, message);
    let lent = plan.lend();
    let _ = objects.pointer(&lent);
    assert_eq!(lent.overrun(), 0);
    assert!(objects.decision_count() >= objects.groups.len());
}
