//! MESSAGE_IDs (RFC 2961): by which a Srefresh names the state it renews.

use std::net::IpAddr;

use foldhash::{HashMap, HashMapExt};
use lpm_api::FlowKey;
use lpm_rsvp::{Message, MessageId, MessageIdEntry, class};
use smallvec::SmallVec;

/// What names a message, and with it the state that it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateId {
    /// The address of the node that sent the message: the one in its RSVP_HOP (RFC 2961 §4.1).
    pub generator: IpAddr,
    /// The sender's epoch; 24 bits.
    pub epoch: u32,
    /// Message_Identifier.
    pub identifier: u32,
}

impl StateId {
    /// The one that a Path or Resv carries.
    pub(crate) fn of(message: &Message<'_>) -> Option<Self> {
        let id: MessageId = message.find(class::MESSAGE_ID)?.read().ok()?;
        Some(Self {
            generator: message.hop()?.address,
            epoch: id.epoch,
            identifier: id.identifier,
        })
    }
}

/// The MESSAGE_ID of state, of which most has none.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptId(Option<Box<StateId>>);

impl From<Option<StateId>> for KeptId {
    fn from(id: Option<StateId>) -> Self {
        Self(id.map(Box::new))
    }
}

impl KeptId {
    pub(crate) fn get(&self) -> Option<StateId> {
        self.0.as_deref().copied()
    }

    /// Takes another one; the one that was there before.
    pub(crate) fn replace(&mut self, id: Option<StateId>) -> Option<StateId> {
        let old = self.get();
        if old != id {
            *self = id.into();
        }
        old
    }
}

/// What a Srefresh came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SummaryRefresh {
    /// The MESSAGE_IDs whose state it has renewed.
    pub refreshed: Vec<StateId>,
    /// Those without state: each is answered with a MESSAGE_ID_NACK (RFC 2961 §5.4).
    pub unknown: Vec<StateId>,
}

/// The flows that messages made state of, by MESSAGE_ID.
#[derive(Default)]
pub(crate) struct MessageIds(HashMap<StateId, SmallVec<[FlowKey; 1]>>);

impl MessageIds {
    pub(crate) fn new() -> Self {
        Self(HashMap::new())
    }

    /// A flow's state has another MESSAGE_ID than before.
    pub(crate) fn change(&mut self, flow: &FlowKey, old: Option<StateId>, new: Option<StateId>) {
        if old == new {
            return;
        }
        let emptied = old.and_then(|old| Some((old, self.0.get_mut(&old)?)));
        if let Some((old, flows)) = emptied {
            flows.retain(|other| other != flow);
            if flows.is_empty() {
                self.0.remove(&old);
            }
        }
        if let Some(new) = new {
            self.0.entry(new).or_default().push(*flow);
        }
    }

    /// The flows that an entry of a list names.
    pub(crate) fn flows(&self, id: &StateId, entry: &MessageIdEntry) -> SmallVec<[FlowKey; 1]> {
        let flows = self.0.get(id).into_iter().flatten();
        let is_named = |flow: &&FlowKey| {
            let source = entry.source.is_none_or(|source| {
                flow.sender()
                    .is_some_and(|sender| sender.address() == source)
            });
            let address = flow.session().address();
            source
                && entry
                    .destination
                    .is_none_or(|destination| destination == address)
        };
        flows.filter(is_named).copied().collect()
    }
}
