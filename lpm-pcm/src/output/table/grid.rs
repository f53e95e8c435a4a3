//! Rows below each other, in columns that grow with what is in them.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anstyle::Style;
use lpm_host::Outcome;
use lpm_rsvp::{FilterSpec, MessageType};

use super::line::{Cell, Line, PACKET, found};
use super::palette::Palette;
use super::row::{Row, Said};
use crate::output::flow::{FlowRecord, RefusedBy};
use crate::output::plain::Plain;
use crate::output::printer::PrintedRow;
use crate::output::record::Origin;
use crate::output::time::{date, set_microseconds, time_of_day};

/// The rows, and where they are printed.
pub(super) struct Grid<W> {
    pub(super) out: W,
    /// What rows begin with.
    start: Line,
    /// And what they go on with.
    rest: Line,
    /// How wide its columns are.
    widths: Widths,
    /// How often that has changed.
    layout: u32,
    pub(super) palette: Palette,
    pub(super) has_heading: bool,
    /// The capture and the day, since the epoch, that rows are of.
    pub(super) capture: Arc<str>,
    pub(super) day: Option<u64>,
    /// The second since the epoch, within that day and that capture, of which a row was printed
    /// again last, and its time of day: most rows are of the same one.
    second: Option<u64>,
    clock: [u8; 15],
}

impl<W: Write> Grid<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            start: Line::new(usize::MAX),
            rest: Line::new(usize::MAX),
            widths: Widths::USUAL,
            layout: 0,
            palette: Palette::COLOURED,
            has_heading: false,
            capture: "".into(),
            day: None,
            second: None,
            clock: [0; 15],
        }
    }

    /// What a line of so many columns has no room for goes on below.
    pub(super) fn columns(&mut self, columns: usize) {
        self.start = Line::new(columns);
        self.rest = Line::new(columns);
    }

    pub(super) fn last_row(&self) -> PrintedRow {
        PrintedRow {
            layout: (self.layout, self.start.column()),
            text: self.rest.text().into(),
        }
    }

    /// Prints a row of before for a message that was found here; not if it would look otherwise
    /// now.
    pub(super) fn print_again(&mut self, origin: &Origin, row: &PrintedRow) -> io::Result<bool> {
        let Ok(since) = origin.time.duration_since(SystemTime::UNIX_EPOCH) else {
            return Ok(false);
        };
        let second = Some(since.as_secs());
        if self.second == second && Arc::ptr_eq(&origin.capture, &self.capture) {
            set_microseconds(&mut self.clock, since);
        } else {
            self.heading_of(Some(&origin.capture), origin.time, day(Some(&since)))?;
            (self.second, self.clock) = (second, time_of_day(since));
        }
        let (cells, place) = found(origin.packet, &self.clock, self.start.is_narrow());
        if row.layout != (self.layout, place.len()) {
            return Ok(false);
        }
        self.out.write_all(&cells[place])?;
        self.out.write_all(row.text.as_bytes())?;
        Ok(true)
    }

    /// Says which capture and day rows are of, where that is not the same as before.
    pub(super) fn heading(
        &mut self,
        capture: Option<&Arc<str>>,
        time: SystemTime,
    ) -> io::Result<()> {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).ok();
        self.heading_of(capture, time, day(since.as_ref()))
    }

    /// The same, on a day that is known.
    fn heading_of(
        &mut self,
        capture: Option<&Arc<str>>,
        time: SystemTime,
        day: u64,
    ) -> io::Result<()> {
        if !self.has_heading {
            self.has_heading = true;
            let heading = self.palette.heading;
            write!(self.out, "{heading}")?;
            self.row(&Row {
                packet: Cell::Words("packet"),
                time: Cell::Words("time"),
                kind: Cell::Words("type"),
                addresses: Cell::Words("from > to"),
                session: Cell::Words("session"),
                flow: Cell::Words("flow"),
                decision: Cell::Words("decision"),
                by: Cell::Words("by"),
                who: Cell::Words("who"),
                reason: Cell::Words("reason"),
                ..Row::default()
            })?;
            write!(self.out, "{heading:#}")?;
        }
        let capture = capture.unwrap_or(&self.capture);
        if self.day == Some(day) && Arc::ptr_eq(capture, &self.capture) {
            return Ok(());
        }
        self.day = Some(day);
        self.second = None;
        self.capture = Arc::clone(capture);
        let heading = self.palette.heading;
        let (capture, date) = (Plain(&self.capture), date(time));
        writeln!(self.out, "{heading}{capture}, {date} (UTC){heading:#}")
    }

    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        let before = self.widths;
        let Self {
            start,
            rest: line,
            widths,
            ..
        } = self;
        begin(start, row);
        line.begin(start.column());
        let cells = [row.kind, row.addresses, row.session, row.flow];
        for (cell, width) in cells.into_iter().zip(&mut widths.0) {
            let have = line.cell(cell, *width);
            *width = have.clamp(*width, WIDEST);
        }
        let [.., decision, by, who] = &mut widths.0;
        let have = line.styled_cell(row.decision, *decision, row.style);
        *decision = have.clamp(*decision, WIDEST);
        // Names are of any length, so what comes before them keeps its column.
        for (cell, width) in [(row.by, by), (row.who, who)] {
            let have = line.cell(cell, *width);
            // A DN would leave room for nothing else.
            if !line.is_narrow() {
                *width = have.clamp(*width, WIDEST);
            }
        }
        line.cell(row.reason, 0);
        line.add_to_last(row.integrity);
        line.end();
        if *widths != before {
            self.layout += 1;
        }
        write_row(&mut self.out, &self.start, self.rest.text())
    }

    pub(super) fn decision(&mut self, said: &Said<'_>, flows: &[FlowRecord<'_>]) -> io::Result<()> {
        let message = said.row();
        if flows.is_empty() {
            return self.row(&Row {
                flow: Cell::Words("-"),
                decision: Cell::Words(match said.message {
                    MessageType::PathTear | MessageType::ResvTear => "torn down",
                    MessageType::ResvConf => "confirmed",
                    _ => "-",
                }),
                style: self.palette.faint,
                by: Cell::Words("-"),
                ..message
            });
        }
        for (position, flow) in flows.iter().enumerate() {
            // What rows share is said in the first one.
            let first = if position == 0 {
                message
            } else {
                Row::default()
            };
            let row = Row {
                decision: decision(flow),
                style: self.palette.of(flow),
                by: match flow.refused_by {
                    Some(RefusedBy::Sbm) => Cell::Words("sbm"),
                    _ => flow.by.map_or(Cell::Words("-"), Cell::Text),
                },
                reason: match &flow.why {
                    Some(why) => Cell::Text(why),
                    None => flow.reason.map_or(Cell::Empty, Cell::Reason),
                },
                ..first
            };
            self.rows(row, &flow.senders)?;
        }
        Ok(())
    }

    /// The row of a message that is not decided.
    pub(super) fn undecided(
        &mut self,
        row: &Row<'_>,
        style: Style,
        what: fmt::Arguments<'_>,
    ) -> io::Result<()> {
        let what = what.to_string();
        let Self {
            start,
            rest: line,
            widths: Widths([kind, addresses, ..]),
            ..
        } = self;
        begin(start, row);
        line.begin(start.column());
        line.cell(row.kind, *kind);
        line.cell(row.addresses, *addresses);
        line.styled_cell(Cell::Text(&what), 0, style);
        line.add_to_last(row.integrity);
        line.end();
        write_row(&mut self.out, &self.start, self.rest.text())
    }

    /// A row for each sender, of which only the first one has what is said of all.
    pub(super) fn rows(&mut self, first: Row<'_>, senders: &[FilterSpec]) -> io::Result<()> {
        let (sender, others) = match senders {
            [] => (Cell::Words("any sender"), senders),
            [first, others @ ..] => (Cell::Sender(*first), others),
        };
        self.row(&Row {
            flow: sender,
            ..first
        })?;
        for sender in others {
            self.row(&Row {
                flow: Cell::Sender(*sender),
                ..Row::default()
            })?;
        }
        Ok(())
    }
}

/// How wide columns are at first, from the type of the message to who asks. They grow with what is
/// in them.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Widths([usize; 7]);

impl Widths {
    /// For IPv4.
    const USUAL: Self = Self([8, 23, 22, 15, 20, 8, 8]);
}

/// Columns do not grow beyond.
const WIDEST: usize = 48;

/// The day, so long after the epoch; all before it are one.
fn day(since: Option<&Duration>) -> u64 {
    since.map_or(u64::MAX, |since| since.as_secs() / (24 * 60 * 60))
}

/// What a row begins with: where the message is.
fn begin(start: &mut Line, row: &Row<'_>) {
    start.begin(0);
    start.cell(row.packet, PACKET);
    start.cell(row.time, if start.is_narrow() { 12 } else { 15 });
}

fn write_row(out: &mut impl Write, start: &Line, rest: &str) -> io::Result<()> {
    out.write_all(start.text().as_bytes())?;
    out.write_all(rest.as_bytes())
}

/// What became of a flow.
fn decision(flow: &FlowRecord<'_>) -> Cell<'static> {
    match flow.outcome {
        Outcome::Accept => Cell::Accept { priority: flow.lpv },
        Outcome::Reject => Cell::Reject {
            code: flow.error_code,
            value: flow.error_value,
        },
        Outcome::Drop => Cell::Words("drop"),
        Outcome::DontCare => Cell::Words("don't care"),
    }
}
