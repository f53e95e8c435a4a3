//! The table for people: a row per flow, coloured on a terminal.

mod grid;
mod line;
mod palette;
mod row;
#[cfg(test)]
mod tests;
mod words;

use std::io::{self, Write};

use self::grid::Grid;
use self::line::Cell;
use self::palette::Palette;
use self::row::{Row, Said, note};
use self::words::{List, Took};
use super::pe_type::PeType;
use super::plain::Plain;
use super::printer::{PrintedRow, Printer};
use super::record::{Origin, Record};

/// Prints records as a table: what concerns messages and LPMs to `out`, warnings and errors to
/// `log`.
pub struct Table<W, L> {
    grid: Grid<W>,
    log: L,
    /// Whether the last row says all of a decision.
    is_whole: bool,
}

impl<W: Write, L: Write> Table<W, L> {
    /// Prints to `out`, which should be buffered, and `log`. Both get colours as ANSI escape
    /// sequences; strip them where they are not wanted.
    pub fn new(out: W, log: L) -> Self {
        Self {
            grid: Grid::new(out),
            log,
            is_whole: false,
        }
    }

    /// Prints for a terminal of so many columns: what a line has no room for goes on below.
    #[must_use]
    pub fn columns(mut self, columns: usize) -> Self {
        self.grid.columns(columns);
        self
    }

    /// Prints to `out` without colours, which costs less than stripping them.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.grid.palette = Palette::PLAIN;
        self
    }
}

impl<W: Write + Send, L: Write + Send> Printer for Table<W, L> {
    fn last_row(&self) -> Option<PrintedRow> {
        self.is_whole.then(|| self.grid.last_row())
    }

    fn print_again(&mut self, origin: &Origin, row: &PrintedRow) -> io::Result<bool> {
        self.grid.print_again(origin, row)
    }

    fn print(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.is_whole = false;
        match record {
            Record::LpmInitialized {
                lpm,
                handle,
                pe_type,
                library,
            } => writeln!(
                self.grid.out,
                "LPM {lpm}: initialized, handle {handle}, {}, {library}",
                PeType(*pe_type),
                lpm = Plain(lpm),
                library = Plain(library),
            ),
            Record::Decision {
                origin,
                message,
                session,
                integrity,
                who,
                flows,
                ..
            } => {
                self.grid.heading(Some(&origin.capture), origin.time)?;
                let said = Said {
                    who: *who,
                    origin,
                    message: *message,
                    session: *session,
                    integrity: *integrity,
                };
                self.grid.decision(&said, flows)?;
                self.is_whole = match flows {
                    [flow] => flow.senders.len() <= 1,
                    _ => false,
                };
                Ok(())
            }
            Record::StateRemoved {
                time,
                message,
                session,
                senders,
                reason,
                ..
            } => {
                self.grid.heading(None, *time)?;
                let reason = reason.replace('_', " ");
                let row = Row {
                    time: Cell::Time(*time),
                    kind: Cell::Type(*message),
                    session: Cell::Session(*session),
                    decision: Cell::Words("removed"),
                    style: self.grid.palette.caution,
                    by: Cell::Words("sbm"),
                    reason: Cell::Text(&reason),
                    ..Row::default()
                };
                self.grid.rows(row, senders)
            }
            Record::SummaryRefresh {
                refreshed, unknown, ..
            } => {
                let Palette { faint, caution, .. } = self.grid.palette;
                let row = Row::default();
                if !refreshed.is_empty() {
                    let ids = refreshed.join(", ");
                    self.grid.undecided(
                        &row,
                        faint,
                        format_args!("refreshed: MESSAGE_ID {ids}"),
                    )?;
                }
                if !unknown.is_empty() {
                    let ids = unknown.join(", ");
                    self.grid.undecided(
                        &row,
                        caution,
                        format_args!("not known, MESSAGE_ID_NACK: {ids}"),
                    )?;
                }
                Ok(())
            }
            Record::Unsupported {
                number,
                origin,
                message,
                tunnel,
                integrity,
                error_code,
                error_value,
                error,
                ..
            } => {
                self.grid.heading(Some(&origin.capture), origin.time)?;
                let tunnel = tunnel.map_or(String::new(), |tunnel| format!("{tunnel}, "));
                let row = Row {
                    integrity: note(*integrity),
                    ..Row::of(origin, Some(*message))
                };
                self.grid.undecided(
                    &row,
                    self.grid.palette.faint,
                    format_args!(
                        "message {number}: not for this PCM: {tunnel}error {error_code}/{error_value}: \
                         {error}"
                    ),
                )
            }
            Record::Refused {
                number,
                origin,
                message,
                error,
                ..
            } => {
                self.grid.heading(Some(&origin.capture), origin.time)?;
                self.grid.undecided(
                    &Row::of(origin, Some(*message)),
                    self.grid.palette.bad,
                    format_args!("message {number}: not to be trusted: {error}"),
                )
            }
            Record::Outgoing {
                number,
                origin,
                message,
                ..
            } => {
                self.grid.heading(Some(&origin.capture), origin.time)?;
                self.grid.undecided(
                    &Row::of(origin, Some(*message)),
                    self.grid.palette.faint,
                    format_args!("message {number}: sent by this node"),
                )
            }
            Record::Malformed {
                number,
                origin,
                message,
                offset,
                error,
            } => {
                self.grid.heading(Some(&origin.capture), origin.time)?;
                self.grid.undecided(
                    &Row::of(origin, *message),
                    self.grid.palette.bad,
                    format_args!("message {number}: malformed at offset {offset}: {error}"),
                )
            }
            Record::Incomplete {
                origin,
                fragments,
                bytes,
            } => {
                self.grid.heading(Some(&origin.capture), origin.time)?;
                self.grid.undecided(
                    &Row::of(origin, None),
                    self.grid.palette.caution,
                    format_args!(
                        "incomplete: fragments are missing, of {bytes} bytes in {fragments} fragment(s)"
                    ),
                )
            }
            Record::Capture {
                capture,
                packets,
                messages,
                not_looked_into,
                other,
                ..
            } => {
                if *packets == 0 {
                    writeln!(
                        self.grid.out,
                        "{}: there is no packet in it",
                        Plain(capture)
                    )?;
                } else if *messages == 0 {
                    let capture = Plain(capture);
                    write!(self.grid.out, "{capture}: no RSVP in {packets} packets")?;
                    if !other.is_empty() {
                        write!(self.grid.out, ", but {}", List(other))?;
                    }
                    writeln!(self.grid.out)?;
                }
                if not_looked_into.is_empty() {
                    return Ok(());
                }
                let Palette { caution, .. } = self.grid.palette;
                writeln!(
                    self.grid.out,
                    "{}: {caution}not looked into{caution:#}: {}",
                    Plain(capture),
                    List(not_looked_into)
                )
            }
            // What went well has a line of its own already.
            Record::Event {
                severity: "info", ..
            } => Ok(()),
            Record::Event {
                severity,
                lpm,
                detail,
                ..
            } => {
                // Keeps the order on a terminal that shows both streams.
                self.grid.out.flush()?;
                let Palette { bad, caution, .. } = Palette::COLOURED;
                let style = if *severity == "error" { bad } else { caution };
                write!(self.log, "{style}{severity}{style:#}: ")?;
                if let Some(lpm) = lpm {
                    write!(self.log, "LPM {}: ", Plain(lpm))?;
                }
                writeln!(self.log, "{}", Plain(detail))
            }
            Record::Log {
                level,
                lpm,
                target,
                message,
                fields,
                ..
            } => {
                self.grid.out.flush()?;
                let colours = Palette::COLOURED;
                let style = match *level {
                    "error" => colours.bad,
                    "warn" => colours.caution,
                    _ => colours.faint,
                };
                write!(self.log, "{style}{level}{style:#}: ")?;
                match lpm {
                    Some(lpm) => write!(self.log, "LPM {}: ", Plain(lpm))?,
                    None => write!(self.log, "{}: ", Plain(target))?,
                }
                write!(self.log, "{}", Plain(message))?;
                for (name, value) in fields {
                    let text = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    write!(self.log, " {}={}", Plain(name), Plain(&text))?;
                }
                writeln!(self.log)
            }
            Record::LpmDeinitialized {
                lpm,
                handle,
                reason,
                status,
                status_name,
                nanos,
            } => {
                let Palette { good, bad, .. } = self.grid.palette;
                let style = if *status == 0 { good } else { bad };
                writeln!(
                    self.grid.out,
                    "LPM {}: deinitialized ({reason}), handle {handle}, \
                     {style}{status_name}{style:#}{}",
                    Plain(lpm),
                    Took(*nanos)
                )
            }
            Record::LibraryUnloaded {
                library,
                outcome,
                reasons,
                nanos,
            } => {
                let Palette { good, caution, .. } = self.grid.palette;
                let (style, words) = match *outcome {
                    "unmapped" => (good, "unmapped".to_owned()),
                    _ => (caution, format!("pinned: {}", reasons.join("; "))),
                };
                writeln!(
                    self.grid.out,
                    "library {}: {style}{}{style:#}{}",
                    Plain(library),
                    Plain(&words),
                    Took(*nanos)
                )
            }
            Record::Tally {
                by,
                name,
                accept,
                reject,
                drop,
                dont_care,
            } => {
                let all = accept + reject + drop + dont_care;
                let decisions = if all == 1 { "decision" } else { "decisions" };
                write!(self.grid.out, "{by} {}: {all} {decisions}: ", Plain(name))?;
                write!(self.grid.out, "{accept} accepted, {reject} rejected")?;
                for (count, what) in [(drop, "dropped"), (dont_care, "not for policy to decide")] {
                    if *count > 0 {
                        write!(self.grid.out, ", {count} {what}")?;
                    }
                }
                writeln!(self.grid.out)
            }
            Record::Summary {
                messages,
                accept,
                reject,
                drop,
                dont_care,
                malformed,
                unsupported,
                refused,
                outgoing,
                incomplete,
                types,
                removed,
                flows,
                shown,
                ..
            } => {
                if let Some(shown) = shown {
                    writeln!(
                        self.grid.out,
                        "{shown} of {messages} messages shown; of all of them:"
                    )?;
                }
                write!(self.grid.out, "{messages} messages")?;
                for (position, (name, count)) in types.iter().enumerate() {
                    let separator = if position == 0 { " (" } else { ", " };
                    write!(self.grid.out, "{separator}{name} {count}")?;
                }
                let end = if types.is_empty() { "" } else { ")" };
                write!(
                    self.grid.out,
                    "{end}: {accept} accepted, {reject} rejected, "
                )?;
                for (count, what) in [
                    (dont_care, "not for policy to decide"),
                    (unsupported, "not for this PCM"),
                    (refused, "not to be trusted"),
                    (outgoing, "sent by this node"),
                ] {
                    if *count > 0 {
                        write!(self.grid.out, "{count} {what}, ")?;
                    }
                }
                write!(self.grid.out, "{drop} dropped, {malformed} malformed; ")?;
                if *incomplete > 0 {
                    write!(self.grid.out, "{incomplete} more incomplete; ")?;
                }
                writeln!(self.grid.out, "{flows} flows left, {removed} removed")
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.grid.out.flush()?;
        self.log.flush()
    }
}
