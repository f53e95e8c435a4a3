//! How many messages there were, and what became of them.

use std::collections::BTreeMap;

use lpm_rsvp::{CommonHeader, MessageType};

use crate::output::outcomes::Outcomes;
use crate::output::record::Record;

/// How many messages there were, by what became of them.
pub(super) struct Counts {
    pub(super) messages: u64,
    pub(super) outcomes: Outcomes,
    pub(super) malformed: u64,
    pub(super) unsupported: u64,
    pub(super) refused: u64,
    pub(super) outgoing: u64,
    pub(super) bundles: u64,
    pub(super) incomplete: u64,
    pub(super) removed: u64,
    /// By message type.
    pub(super) types: [u64; 256],
}

impl Counts {
    /// Counts a message.
    pub(super) fn count(&mut self, message: &[u8]) {
        self.messages += 1;
        if let Some(message_type) = message_type(message) {
            self.types[usize::from(message_type.number())] += 1;
        }
    }

    /// The last record of the run, after which so many flows are kept.
    pub(super) fn summary(&self, flows: usize) -> Record<'static> {
        let Self {
            messages,
            outcomes,
            malformed,
            unsupported,
            refused,
            outgoing,
            bundles,
            incomplete,
            removed,
            types,
        } = self;
        let types = (0..=255).zip(types).filter(|(_, count)| **count > 0);
        Record::Summary {
            messages: *messages,
            accept: outcomes.accept,
            reject: outcomes.reject,
            drop: outcomes.drop,
            dont_care: outcomes.dont_care,
            malformed: *malformed,
            unsupported: *unsupported,
            refused: *refused,
            outgoing: *outgoing,
            bundles: *bundles,
            incomplete: *incomplete,
            types: types
                .map(|(number, count)| (MessageType::from(number).to_string(), *count))
                .collect::<BTreeMap<_, _>>(),
            removed: *removed,
            flows: flows as u64,
            shown: None,
        }
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            messages: 0,
            outcomes: Outcomes::default(),
            malformed: 0,
            unsupported: 0,
            refused: 0,
            outgoing: 0,
            bundles: 0,
            incomplete: 0,
            removed: 0,
            types: [0; 256],
        }
    }
}

/// The type that a message's header states.
pub(super) fn message_type(message: &[u8]) -> Option<MessageType> {
    let header = CommonHeader::parse(message).ok()?;
    Some(header.message_type)
}
