//! What a policy module looks at in a message.

use lpm_rsvp::{Message, PolicyElement};

/// Reads every object's header, session, hop, every flow with its senders and traffic, every policy
/// element with its attributes. The sum of it all keeps a compiler from leaving anything out.
#[inline]
#[must_use]
pub fn walk(message: &Message<'_>) -> usize {
    let mut seen = message.objects().map(|object| object.body.len()).sum();
    seen += usize::from(message.session().is_some()) + usize::from(message.hop().is_some());
    for flow in message.flow_descriptors() {
        seen += flow.filters().count();
        seen += usize::from(flow.tspec().is_some_and(|tspec| tspec.rate > 0.0));
    }
    for element in message.policy_elements() {
        seen += match element {
            Ok(PolicyElement::AuthUser(identity) | PolicyElement::AuthApp(identity)) => {
                identity.attributes().count()
            }
            Ok(_) | Err(_) => 1,
        };
    }
    seen
}
