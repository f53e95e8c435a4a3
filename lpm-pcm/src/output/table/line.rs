//! A line of the table, and those that it goes on in where a terminal is too narrow for it.

use std::fmt::{Display, Write as _};
use std::net::IpAddr;
use std::ops::Range;
use std::time::SystemTime;

use anstyle::Style;
use lpm_rsvp::{FilterSpec, MessageType, Session};

use crate::output::asked::Who;
use crate::output::flow::Reason;
use crate::output::plain::Plain;
use crate::output::time::{push_time_of_day, two_digits};

/// Cells in columns, two spaces between them.
pub(super) struct Line {
    text: String,
    /// How many columns there are.
    room: usize,
    /// Where the next cell begins.
    column: usize,
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
    Who(Who<'a>),
}

/// How wide the numbers of packets are.
pub(super) const PACKET: usize = 6;

/// Terminals with fewer columns see milliseconds only.
const WIDE: usize = 140;

const GAP: &str = "  ";

/// Where lines begin that a line goes on in.
const INDENT: usize = 8;
const SPACES: &str = "                                                                ";

impl Line {
    /// With room for so many columns.
    pub(super) fn new(room: usize) -> Self {
        Self {
            text: String::new(),
            // Less is no room for anything.
            room: room.max(40),
            column: 0,
        }
    }

    /// Begins anew in this column.
    pub(super) fn begin(&mut self, column: usize) {
        self.text.clear();
        self.column = column;
    }

    /// Adds a cell, filled up to a width. Returns how wide it is.
    pub(super) fn cell(&mut self, cell: Cell<'_>, width: usize) -> usize {
        self.styled_cell(cell, width, Style::new())
    }

    /// Adds a cell with a style.
    pub(super) fn styled_cell(&mut self, cell: Cell<'_>, width: usize, style: Style) -> usize {
        let start = self.text.len();
        self.push_content(cell, width);
        let have = columns(&self.text[start..]);
        if self.column + have > self.room {
            self.wrap(start);
        } else {
            self.column += have;
        }
        let filled = width.saturating_sub(have).min(SPACES.len());
        self.text.push_str(&SPACES[..filled]);
        if !style.is_plain() {
            let content = self.text.split_off(start);
            // A line that it is wrapped to begins before the style.
            let blank = content.len() - content.trim_start().len();
            self.text.push_str(&content[..blank]);
            self.push(style.render());
            self.text.push_str(&content[blank..]);
            self.push(style.render_reset());
        }
        self.text.push_str(GAP);
        self.column += filled + GAP.len();
        have
    }

    /// Puts the cell that begins here on a line of its own, or on several, broken between words.
    #[cold]
    fn wrap(&mut self, start: usize) {
        let content = self.text.split_off(start);
        if self.column > INDENT {
            self.break_line();
        }
        for (position, word) in content.split(' ').enumerate() {
            let wide = columns(word);
            if position > 0 && self.column + 1 + wide > self.room {
                self.break_line();
            } else if position > 0 {
                self.text.push(' ');
                self.column += 1;
            }
            self.text.push_str(word);
            self.column += wide;
        }
    }

    fn break_line(&mut self) {
        let length = self.text.trim_end_matches(' ').len();
        self.text.truncate(length);
        self.text.push('\n');
        self.text.push_str(&SPACES[..INDENT]);
        self.column = INDENT;
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

    /// Where the next cell begins.
    pub(super) fn column(&self) -> usize {
        self.column
    }

    /// Whether there is room for less than most.
    pub(super) fn is_narrow(&self) -> bool {
        self.room < WIDE
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn push_content(&mut self, cell: Cell<'_>, width: usize) {
        match cell {
            Cell::Empty => {}
            Cell::Words(words) => self.text.push_str(words),
            Cell::Text(text) if Plain(text).is_plain() => self.text.push_str(text),
            Cell::Text(text) => self.push(Plain(text)),
            Cell::Packet(number) => self.push_right(number, width),
            Cell::Time(time) => {
                push_time_of_day(&mut self.text, time);
                if self.is_narrow() {
                    // Milliseconds are enough.
                    self.text.truncate(self.text.len() - 3);
                }
            }
            Cell::Addresses(source, destination) => {
                self.push_address(source);
                self.text.push_str(" > ");
                self.push_address(destination);
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
            Cell::Who(who) => self.push(who),
        }
    }

    fn push_right(&mut self, number: u64, width: usize) {
        let mut digits = [b' '; DIGITS];
        let start = write_right(&mut digits, number, width);
        self.text
            .push_str(std::str::from_utf8(&digits[start..]).unwrap_or_default());
    }

    /// As the address displays, which takes ten times as long for IPv4.
    fn push_address(&mut self, address: IpAddr) {
        let IpAddr::V4(address) = address else {
            return self.push(address);
        };
        for (position, octet) in address.octets().into_iter().enumerate() {
            if position > 0 {
                self.text.push('.');
            }
            if octet >= 100 {
                self.text.push(char::from(b'0' + octet / 100));
            }
            if octet >= 10 {
                self.text.push(char::from(b'0' + octet / 10 % 10));
            }
            self.text.push(char::from(b'0' + octet % 10));
        }
    }

    fn push(&mut self, what: impl Display) {
        // A String takes everything.
        let _ = write!(self.text, "{what}");
    }
}

/// The cells that say where a message was found, and at which time of day, as a line begins with
/// them, and where in these bytes they are: for a row that is printed again, without the detour
/// over a text. There is always room for them.
pub(super) fn found(packet: u64, clock: &[u8; 15], is_narrow: bool) -> ([u8; 40], Range<usize>) {
    const CLOCK: usize = DIGITS + GAP.len();
    let mut cells = [b' '; 40];
    let start = write_right(&mut cells[..DIGITS], packet, PACKET);
    let clock = &clock[..if is_narrow { 12 } else { 15 }];
    let end = CLOCK + clock.len();
    cells[CLOCK..end].copy_from_slice(clock);
    (cells, start..end + GAP.len())
}

/// The most digits that a number has.
const DIGITS: usize = 20;

/// Writes a number to the end of `digits`, which are spaces, without the detour over a formatter:
/// there is one in each row. Returns where it begins, with as many spaces as make it this wide.
fn write_right(digits: &mut [u8], number: u64, width: usize) -> usize {
    let mut start = digits.len();
    let mut rest = number;
    while rest >= 10 {
        start -= 2;
        digits[start..start + 2].copy_from_slice(&two_digits(rest));
        rest /= 100;
    }
    // Of an odd number of digits the first; of none, all.
    if rest > 0 || start == digits.len() {
        let [_, digit] = two_digits(rest);
        start -= 1;
        digits[start] = digit;
    }
    start.min(digits.len().saturating_sub(width))
}

/// How many columns a text takes.
fn columns(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_goes_on_below() {
        let mut line = Line::new(40);
        line.begin(10);
        let style = Style::new().bold();
        assert_eq!(line.cell(Cell::Text("a"), 20), 1);
        assert_eq!(line.styled_cell(Cell::Text("does not fit"), 14, style), 12);
        line.cell(Cell::Text("fits"), 4);
        line.cell(
            Cell::Text("so many words that they take several lines of their own"),
            0,
        );
        line.end();
        let text = anstream::adapter::strip_str(line.text()).to_string();
        assert_eq!(
            text,
            "a\n        does not fit    fits\n        so many words that they take\n        \
             several lines of their own\n"
        );
        assert!(text.lines().all(|line| line.len() <= 40));
    }

    fn line(cells: &[&str]) -> String {
        let mut line = Line::new(usize::MAX);
        for text in cells {
            line.cell(Cell::Text(text), 4);
        }
        line.end();
        line.text().to_owned()
    }

    #[test]
    fn addresses_are_written_as_they_display() {
        for octet in 0..=255 {
            let [a, b] = [
                IpAddr::from([octet, 9, 10, 255]),
                IpAddr::from([0, octet, 100, 99]),
            ];
            let mut line = Line::new(usize::MAX);
            line.cell(Cell::Addresses(a, b), 0);
            assert_eq!(line.text().trim_end(), format!("{a} > {b}"));
        }
        let six: IpAddr = "2001:db8::1".parse().unwrap();
        let mut line = Line::new(usize::MAX);
        line.cell(Cell::Addresses(six, six), 0);
        assert_eq!(line.text().trim_end(), format!("{six} > {six}"));
    }

    #[test]
    fn numbers_stand_on_the_right() {
        for number in (0..2_000).chain([99_999, 100_000, 999_999, 1_000_000, u64::MAX]) {
            for width in [0, 6, 20] {
                let mut digits = [b' '; DIGITS];
                let start = write_right(&mut digits, number, width);
                let text = std::str::from_utf8(&digits[start..]).unwrap();
                assert_eq!(text, format!("{number:width$}"));
            }
        }
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
