//! What a Path or Resv says of one flow: the message without what changes from refresh to refresh.
//!
//! Two messages that say the same are the same bytes, so that a refresh is told from a change. It
//! is a message itself, without a checksum, and names the flow to LPMs later on.

use lpm_rsvp::{FilterSpec, FlowDescriptor, Message, MessageType, ObjectEntry, ResvStyle, class};

use super::wire::object;

/// What a message says of the flow of this descriptor. Of the senders that share a reservation,
/// only those which `is_kept`.
pub(crate) fn said(
    message: &Message<'_>,
    descriptor: &FlowDescriptor<'_>,
    is_kept: impl Fn(&FilterSpec) -> bool,
) -> Box<[u8]> {
    said_with(message, &Shared::of(message), descriptor, is_kept)
}

/// What a message has in common for all of its flows: looked for once where there are many.
pub(crate) struct Shared<'m> {
    entries: Vec<&'m ObjectEntry>,
    /// Whether each flow has a descriptor of its own.
    has_many: bool,
}

impl<'m> Shared<'m> {
    pub(crate) fn of(message: &'m Message<'_>) -> Self {
        let is_path = message.message_type() == MessageType::Path;
        let has_many = !is_path && message.style() == Some(ResvStyle::FixedFilter);
        // The order of the grammar has them last, in this order.
        let is_of_one = |class| has_many && matches!(class, class::FLOWSPEC | class::FILTER_SPEC);
        let entries = message.entries().iter();
        Self {
            entries: entries.filter(|entry| !is_of_one(entry.class)).collect(),
            has_many,
        }
    }
}

/// Likewise, with what was looked for before.
pub(crate) fn said_with(
    message: &Message<'_>,
    shared: &Shared<'_>,
    descriptor: &FlowDescriptor<'_>,
    is_kept: impl Fn(&FilterSpec) -> bool,
) -> Box<[u8]> {
    let bytes = message.bytes();
    let is_sender = |entry: &ObjectEntry| {
        let filter: Result<FilterSpec, _> = entry.object(bytes).read();
        filter.is_ok_and(|filter| is_kept(&filter))
    };
    let mut said = vec![0x10, message.message_type().number(), 0, 0, 0, 0, 0, 0];
    for entry in &shared.entries {
        match entry.class {
            class::FILTER_SPEC if !is_sender(entry) => {}
            class::TIME_VALUES => said.extend([0, 8, class::TIME_VALUES, 1, 0, 0, 0x75, 0x30]),
            class if is_of_the_hop(class) => {}
            _ => said.extend_from_slice(object(message, entry)),
        }
    }
    if shared.has_many {
        let flow = descriptor.traffic_entry().into_iter();
        for entry in flow.chain(descriptor.filter_entries()) {
            said.extend_from_slice(object(message, entry));
        }
    }
    // It is no longer than the message.
    let length = u16::try_from(said.len()).unwrap_or(u16::MAX);
    if let Some(field) = said.get_mut(6..8) {
        field.copy_from_slice(&length.to_be_bytes());
    }
    said.into()
}

/// Whether objects of a class are between two neighbours, or said once.
const fn is_of_the_hop(class: u8) -> bool {
    is_between_neighbours(class) || matches!(class, class::NULL | class::RESV_CONFIRM)
}

/// Whether objects of a class do not go on to the next node.
pub(crate) const fn is_between_neighbours(class: u8) -> bool {
    matches!(
        class,
        class::INTEGRITY | class::MESSAGE_ID | class::MESSAGE_ID_ACK | class::MESSAGE_ID_LIST | 128
            ..=191
    )
}
