//! Rows that were written lately. Most messages are refreshes, and their rows differ in nothing but packet and time.

use std::net::IpAddr;

use foldhash::{HashMap, HashMapExt};
use lpm_host::Outcome;
use lpm_rsvp::{FilterSpec, Session};

use super::row::Said;
use crate::integrity::Provenance;
use crate::output::record::FlowRecord;

/// How many are remembered. Beyond, all are forgotten.
const MOST: usize = 1 << 14;

/// What rows say besides packet and time.
pub(super) struct RecentRows {
    rows: HashMap<Accepted, Box<str>>,
    /// Of LPMs, which are few.
    names: Vec<Option<String>>,
}

/// What a row is about: an accepted flow with one sender, of which nothing more is to be said.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Accepted {
    session: Session,
    sender: FilterSpec,
    addresses: (IpAddr, IpAddr),
    priority: u32,
    message: u8,
    integrity: Provenance,
    /// The place of the LPM's name.
    by: usize,
    /// Who asks, as a hash.
    who: u64,
}

impl RecentRows {
    pub(super) fn new() -> Self {
        Self {
            rows: HashMap::new(),
            names: Vec::new(),
        }
    }

    /// What the row of a flow is about; `None` for what is not remembered.
    pub(super) fn about(&mut self, said: &Said<'_>, flow: &FlowRecord<'_>) -> Option<Accepted> {
        let is_plain =
            flow.outcome == Outcome::Accept && flow.reason.is_none() && flow.why.is_none();
        match (said.session, &flow.senders[..]) {
            (Some(session), [sender]) if is_plain => Some(Accepted {
                session,
                sender: *sender,
                addresses: (said.origin.source, said.origin.destination),
                priority: flow.lpv,
                message: said.message.number(),
                integrity: said.integrity,
                by: self.place_of(flow.by),
                who: said.who.hash(),
            }),
            _ => None,
        }
    }

    /// Forgets all rows.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }

    pub(super) fn get(&self, about: &Accepted) -> Option<&str> {
        self.rows.get(about).map(|row| &**row)
    }

    pub(super) fn put(&mut self, about: Accepted, row: &str) {
        if self.rows.len() >= MOST {
            self.rows.clear();
        }
        self.rows.insert(about, row.into());
    }

    fn place_of(&mut self, name: Option<&str>) -> usize {
        let mut names = self.names.iter();
        let place = names.position(|known| known.as_deref() == name);
        place.unwrap_or_else(|| {
            self.names.push(name.map(str::to_owned));
            self.names.len() - 1
        })
    }
}
