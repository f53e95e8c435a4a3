//! A row of the table, by column.

use anstyle::Style;
use lpm_rsvp::{MessageType, Session};

use super::line::Cell;
use crate::integrity::Provenance;
use crate::output::asked::Who;
use crate::output::record::Origin;

/// What a message that is decided says.
pub(super) struct Said<'a> {
    pub(super) origin: &'a Origin,
    pub(super) message: MessageType,
    pub(super) session: Option<Session>,
    pub(super) integrity: Provenance,
    pub(super) who: Who<'a>,
}

impl<'a> Said<'a> {
    pub(super) fn row(&self) -> Row<'a> {
        Row {
            session: self.session.map_or(Cell::Words("-"), Cell::Session),
            who: Cell::Who(self.who),
            integrity: note(self.integrity),
            ..Row::of(self.origin, Some(self.message))
        }
    }
}

#[derive(Clone, Copy, Default)]
pub(super) struct Row<'a> {
    pub(super) packet: Cell<'a>,
    pub(super) time: Cell<'a>,
    pub(super) kind: Cell<'a>,
    pub(super) addresses: Cell<'a>,
    pub(super) session: Cell<'a>,
    pub(super) flow: Cell<'a>,
    pub(super) decision: Cell<'a>,
    /// Of the decision.
    pub(super) style: Style,
    pub(super) who: Cell<'a>,
    pub(super) by: Cell<'a>,
    pub(super) reason: Cell<'a>,
    /// What is known of the message's sender.
    pub(super) integrity: Option<&'static str>,
}

impl Row<'_> {
    /// What a row says of where a message was found.
    pub(super) fn of(origin: &Origin, message: Option<MessageType>) -> Self {
        Self {
            packet: Cell::Packet(origin.packet),
            time: Cell::Time(origin.time),
            kind: message.map_or(Cell::Words("-"), Cell::Type),
            addresses: Cell::Addresses(origin.source, origin.destination),
            session: Cell::Words("-"),
            ..Self::default()
        }
    }
}

/// What is known of a message's sender, where there is anything to say.
pub(super) fn note(integrity: Provenance) -> Option<&'static str> {
    match integrity {
        Provenance::Unsigned => None,
        Provenance::NotVerified => Some("signed, not verified"),
        Provenance::Verified => Some("verified"),
    }
}
