//! The names (MESSAGE_IDs, RFC 2961) that this node has given to messages, and what neighbours have
//! said of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use foldhash::{HashMap, HashMapExt};
use lpm_rsvp::{FilterSpec, MessageIdAck, Session};

use super::deadlines::Neighbour;
use super::output::Datagram;

/// All names, and what waits for acknowledgements.
#[derive(Debug)]
pub(crate) struct Names {
    /// When names began anew.
    pub(crate) epoch: u32,
    last: u32,
    /// The time of the last call.
    pub(crate) now: Duration,
    /// What messages with these names say.
    pub(crate) named: HashMap<u32, Named>,
    pub(crate) waiting: HashMap<u32, Unacknowledged>,
    /// What is refreshed by Srefresh.
    pub(crate) summaries: BTreeMap<Neighbour, BTreeSet<u32>>,
    /// Acknowledgements that are to be sent.
    pub(crate) owed: Vec<(Neighbour, MessageIdAck)>,
}

/// State that a message stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner {
    Path(Session, FilterSpec),
    Upstream(Session, Neighbour),
}

/// A message that stands for state, and who has acknowledged it.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) owner: Owner,
    pub(crate) acknowledged: Option<Neighbour>,
}

/// A message that is sent again.
#[derive(Debug)]
pub(crate) struct Unacknowledged {
    pub(crate) datagram: Datagram,
    /// How often it was sent.
    pub(crate) times: u32,
    pub(crate) again: Duration,
}

impl Names {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            epoch: u32::try_from(seed & 0x00ff_ffff).unwrap_or_default(),
            last: 0,
            now: Duration::ZERO,
            named: HashMap::new(),
            waiting: HashMap::new(),
            summaries: BTreeMap::new(),
            owed: Vec::new(),
        }
    }

    pub(crate) fn name(&mut self) -> u32 {
        self.last = self.last.wrapping_add(1);
        self.last
    }

    /// What a message says is no more.
    pub(crate) fn forget(&mut self, name: Option<u32>) {
        let Some(name) = name else { return };
        self.waiting.remove(&name);
        if let Some(Named {
            acknowledged: Some(by),
            ..
        }) = self.named.remove(&name)
        {
            self.leave_out(by, name);
        }
    }

    pub(crate) fn leave_out(&mut self, of: Neighbour, name: u32) {
        if let Some(names) = self.summaries.get_mut(&of) {
            names.remove(&name);
        }
    }

    /// Whether a neighbour has acknowledged what a message says.
    pub(crate) fn is_acknowledged(&self, name: Option<u32>, by: Neighbour) -> bool {
        let named = name.and_then(|name| self.named.get(&name));
        named.is_some_and(|named| named.acknowledged == Some(by))
    }

    /// Neighbours may be others than before: Paths go out in full once.
    pub(crate) fn doubt_paths(&mut self) {
        for (name, named) in &mut self.named {
            let by = match named.owner {
                Owner::Path(..) => named.acknowledged.take(),
                Owner::Upstream(..) => None,
            };
            if let Some(names) = by.and_then(|by| self.summaries.get_mut(&by)) {
                names.remove(name);
            }
        }
    }
}
