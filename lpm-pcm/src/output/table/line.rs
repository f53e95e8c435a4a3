//! A line of the table.

use std::fmt::{Display, Write as _};
use std::net::IpAddr;
use std::time::SystemTime;

use anstyle::Style;
use lpm_rsvp::{FilterSpec, MessageType, Session};

use crate::output::plain::Plain;
use crate::output::record::Reason;
use crate::output::time::push_time_of_day;

/// Cells in columns, two spaces between them.
#[derive(Default)]
pub(super) struct Line {
    text: String,
}

/// What a cell says.
#[derive(Clone, Copy, Default)]
pub(super) enum Cell<'a> {
    #[default]
    Empty,
    /// Words of ours.
    Words(&'static str),
    /// Text from outside.
    Text(&'a str),
    /// The number of a packet, on the right.
    Packet(u64),
    /// The time of day.
    Time(SystemTime),
    /// Source and destination.
    Addresses(IpAddr, IpAddr),
    Type(MessageType),
    Session(Session),
    Sender(FilterSpec),
    Accept {
        priority: u32,
    },
    Reject {
        code: u16,
        value: u16,
    },
    Reason(Reason),
}

const GAP: &str = "  ";
const SPACES: &str = "                                ";

impl Line {
    pub(super) fn clear(&mut self) {
        self.text.clear();
    }

    /// Adds a cell, filled up to a width.
    pub(super) fn cell(&mut self, cell: Cell<'_>, width: usize) {
        self.filled(cell, width);
        self.text.push_str(GAP);
    }

    /// Adds a cell with a style.
    pub(super) fn styled_cell(&mut self, cell: Cell<'_>, width: usize, style: Style) {
        if style.is_plain() {
            return self.cell(cell, width);
        }
        self.push(style.render());
        self.filled(cell, width);
        self.push(style.render_reset());
        self.text.push_str(GAP);
    }

    /// Adds text to the last cell, which is not filled up.
    pub(super) fn add_to_last(&mut self, text: Option<&'static str>) {
        let Some(text) = text else {
            return;
        };
        let length = self.text.trim_end().len();
        if self.text.len() - length > GAP.len() {
            // It is empty.
            self.text.push_str(text);
        } else {
            self.text.truncate(length);
            self.text.push_str("; ");
            self.text.push_str(text);
        }
    }

    /// Ends the line, without spaces at its end.
    pub(super) fn end(&mut self) {
        let length = self.text.trim_end().len();
        self.text.truncate(length);
        self.text.push('\n');
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn filled(&mut self, cell: Cell<'_>, width: usize) {
        let start = self.text.len();
        match cell {
            Cell::Empty => {}
            Cell::Words(words) => self.text.push_str(words),
            Cell::Text(text) if Plain(text).is_plain() => self.text.push_str(text),
            Cell::Text(text) => self.push(Plain(text)),
            Cell::Packet(number) => {
                // A String takes everything.
                let _ = write!(self.text, "{number:>width$}");
            }
            Cell::Time(time) => push_time_of_day(&mut self.text, time),
            Cell::Addresses(source, destination) => {
                self.push(source);
                self.text.push_str(" > ");
                self.push(destination);
            }
            Cell::Type(MessageType::Path) => self.text.push_str("Path"),
            Cell::Type(MessageType::Resv) => self.text.push_str("Resv"),
            Cell::Type(message_type) => self.push(message_type),
            // A String takes everything.
            Cell::Session(session) => session.write_to(&mut self.text).unwrap_or_default(),
            Cell::Sender(sender) => sender.write_to(&mut self.text).unwrap_or_default(),
            Cell::Accept { priority } => {
                self.text.push_str("accept, priority ");
                self.push(priority);
            }
            Cell::Reject { code, value } => self.push(format_args!("reject {code}/{value}")),
            Cell::Reason(reason) => self.push(reason),
        }
        let added = &self.text[start..];
        let have = if added.is_ascii() {
            added.len()
        } else {
            added.chars().count()
        };
        let spaces = width.saturating_sub(have).min(SPACES.len());
        self.text.push_str(&SPACES[..spaces]);
    }

    fn push(&mut self, what: impl Display) {
        // A String takes everything.
        let _ = write!(self.text, "{what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cells: &[&str]) -> String {
        let mut line = Line::default();
        for text in cells {
            line.cell(Cell::Text(text), 4);
        }
        line.end();
        line.text().to_owned()
    }

    #[test]
    fn cells_are_filled_up() {
        assert_eq!(line(&["a", "b"]), "a     b\n");
        assert_eq!(line(&["äöü", "b"]), "äöü   b\n");
        assert_eq!(line(&["longer", "b"]), "longer  b\n");
        assert_eq!(line(&["a", "", ""]), "a\n");
        assert_eq!(line(&["a\n", "b"]), "a\\n   b\n");
    }
}
