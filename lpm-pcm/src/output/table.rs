//! The table for people: a row per flow, coloured on a terminal.

mod line;
mod recent;

use std::fmt;
use std::io::{self, Write};
use std::slice;
use std::time::{Duration, SystemTime};

use anstyle::{AnsiColor, Style};
use lpm_host::Outcome;
use lpm_rsvp::{FilterSpec, MessageType, Session};

use super::{FlowRecord, Plain, Printer, Record, RefusedBy};

use line::{Cell, Line};
use recent::RecentRows;

/// What is said in which colour.
#[derive(Clone, Copy)]
struct Palette {
    good: Style,
    bad: Style,
    caution: Style,
    faint: Style,
    heading: Style,
}

impl Palette {
    const COLOURED: Palette = Palette {
        good: AnsiColor::Green.on_default(),
        bad: AnsiColor::Red.on_default(),
        caution: AnsiColor::Yellow.on_default(),
        faint: Style::new().dimmed(),
        heading: Style::new().bold(),
    };
    const PLAIN: Palette = Palette {
        good: Style::new(),
        bad: Style::new(),
        caution: Style::new(),
        faint: Style::new(),
        heading: Style::new(),
    };

    /// The colour of what became of a flow.
    fn of(self, flow: &FlowRecord<'_>) -> Style {
        match flow.outcome {
            Outcome::Accept => self.good,
            Outcome::Reject => self.bad,
            Outcome::Drop => self.caution,
            Outcome::DontCare => self.faint,
        }
    }
}

/// Prints records as a table: what concerns messages and LPMs to `out`, warnings and errors to
/// `log`.
pub struct Table<W, L> {
    out: W,
    log: L,
    /// What rows begin with.
    start: Line,
    /// And what they go on with.
    rest: Line,
    recent: RecentRows,
    /// Of `out`.
    palette: Palette,
    has_heading: bool,
}

impl<W: Write, L: Write> Table<W, L> {
    /// Prints to `out`, which should be buffered, and `log`. Both get colours as ANSI escape
    /// sequences; strip them where they are not wanted.
    pub fn new(out: W, log: L) -> Table<W, L> {
        Table {
            out,
            log,
            start: Line::default(),
            rest: Line::default(),
            recent: RecentRows::new(),
            palette: Palette::COLOURED,
            has_heading: false,
        }
    }

    /// Prints to `out` without colours, which costs less than stripping them.
    #[must_use]
    pub fn plain(self) -> Table<W, L> {
        Table {
            palette: Palette::PLAIN,
            ..self
        }
    }

    fn heading(&mut self) -> io::Result<()> {
        if self.has_heading {
            return Ok(());
        }
        self.has_heading = true;
        let row = Row {
            time: Cell::Words("time"),
            kind: Cell::Words("type"),
            session: Cell::Words("session"),
            flow: Cell::Words("flow"),
            decision: Cell::Words("decision"),
            by: Cell::Words("by"),
            reason: Cell::Words("reason"),
            ..Row::default()
        };
        let heading = self.palette.heading;
        write!(self.out, "{heading}")?;
        self.row(&row)?;
        write!(self.out, "{heading:#}")
    }

    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        let line = &mut self.rest;
        line.clear();
        line.cell(row.kind, 8);
        line.cell(row.session, 22);
        line.cell(row.flow, 21);
        line.styled_cell(row.decision, 21, row.style);
        line.cell(row.by, 10);
        line.cell(row.reason, 0);
        line.end();
        write_row(&mut self.out, &mut self.start, row.time, line.text())
    }

    /// The row of a message that has one flow, as most do.
    fn single(
        &mut self,
        time: SystemTime,
        message: MessageType,
        session: Option<Session>,
        flow: &FlowRecord<'_>,
    ) -> io::Result<()> {
        let about = self.recent.about(message, session, flow);
        let Some(about) = about else {
            return self.decision(time, message, session, slice::from_ref(flow));
        };
        if let Some(text) = self.recent.get(&about) {
            return write_row(&mut self.out, &mut self.start, Cell::Time(time), text);
        }
        self.decision(time, message, session, slice::from_ref(flow))?;
        self.recent.put(about, self.rest.text());
        Ok(())
    }

    fn decision(
        &mut self,
        time: SystemTime,
        message: MessageType,
        session: Option<Session>,
        flows: &[FlowRecord<'_>],
    ) -> io::Result<()> {
        let message = Row {
            time: Cell::Time(time),
            kind: Cell::Type(message),
            session: session.map_or(Cell::Words("-"), Cell::Session),
            ..Row::default()
        };
        if flows.is_empty() {
            return self.row(&Row {
                flow: Cell::Words("-"),
                decision: Cell::Words("-"),
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
                reason: flow.reason.map_or(Cell::Empty, Cell::Reason),
                ..first
            };
            self.rows(row, &flow.senders)?;
        }
        Ok(())
    }

    /// A row for each sender, of which only the first one has what is said of all.
    fn rows(&mut self, first: Row<'_>, senders: &[FilterSpec]) -> io::Result<()> {
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

impl<W: Write + Send, L: Write + Send> Printer for Table<W, L> {
    fn print(&mut self, record: &Record<'_>) -> io::Result<()> {
        match record {
            Record::LpmInitialized {
                lpm,
                handle,
                pe_type,
                library,
            } => writeln!(
                self.out,
                "LPM {lpm}: initialized, handle {handle}, {}, {library}",
                PeType(*pe_type),
                lpm = Plain(lpm),
                library = Plain(library),
            ),
            Record::Decision {
                time,
                message,
                session,
                flows,
                ..
            } => {
                self.heading()?;
                match flows {
                    [flow] => self.single(*time, *message, *session, flow),
                    flows => self.decision(*time, *message, *session, flows),
                }
            }
            Record::StateRemoved {
                time,
                message,
                session,
                senders,
                reason,
                ..
            } => {
                self.heading()?;
                let reason = reason.replace('_', " ");
                let row = Row {
                    time: Cell::Time(*time),
                    kind: Cell::Type(*message),
                    session: Cell::Session(*session),
                    decision: Cell::Words("removed"),
                    style: self.palette.caution,
                    by: Cell::Words("sbm"),
                    reason: Cell::Text(&reason),
                    ..Row::default()
                };
                self.rows(row, senders)
            }
            Record::Malformed {
                number,
                offset,
                error,
            } => {
                self.heading()?;
                let bad = self.palette.bad;
                writeln!(
                    self.out,
                    "{bad}message {number}: malformed at offset {offset}: {}{bad:#}",
                    Plain(error)
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
                self.out.flush()?;
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
                self.out.flush()?;
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
                nanos,
            } => {
                let Palette { good, bad, .. } = self.palette;
                let style = if *status == 0 { good } else { bad };
                writeln!(
                    self.out,
                    "LPM {}: deinitialized ({reason}), handle {handle}, \
                     {style}status {status}{style:#}, {:.1?}",
                    Plain(lpm),
                    Duration::from_nanos(*nanos)
                )
            }
            Record::LibraryUnloaded {
                library,
                outcome,
                reasons,
                nanos,
            } => {
                let Palette { good, caution, .. } = self.palette;
                let (style, words) = match *outcome {
                    "unmapped" => (good, "unmapped".to_owned()),
                    _ => (caution, format!("pinned: {}", reasons.join("; "))),
                };
                writeln!(
                    self.out,
                    "library {}: {style}{}{style:#}, {:.1?}",
                    Plain(library),
                    Plain(&words),
                    Duration::from_nanos(*nanos)
                )
            }
            Record::Summary {
                messages,
                accept,
                reject,
                drop,
                malformed,
                removed,
                flows,
            } => writeln!(
                self.out,
                "{messages} messages: {accept} accepted, {reject} rejected, {drop} dropped, \
                 {malformed} malformed; {flows} flows left, {removed} removed"
            ),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.log.flush()
    }
}

fn write_row(out: &mut impl Write, start: &mut Line, time: Cell<'_>, rest: &str) -> io::Result<()> {
    start.clear();
    start.cell(time, 27);
    out.write_all(start.text().as_bytes())?;
    out.write_all(rest.as_bytes())
}

#[derive(Clone, Copy, Default)]
struct Row<'a> {
    time: Cell<'a>,
    kind: Cell<'a>,
    session: Cell<'a>,
    flow: Cell<'a>,
    decision: Cell<'a>,
    /// Of the decision.
    style: Style,
    by: Cell<'a>,
    reason: Cell<'a>,
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

struct PeType(u16);

impl fmt::Display for PeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("all PE types"),
            pe_type => write!(f, "PE type {pe_type}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Reason;
    use lpm_sbm::Refusal;
    use proptest::prelude::*;

    fn print(record: &Record<'_>) -> (String, String) {
        let (mut out, mut log) = (Vec::new(), Vec::new());
        Table::new(&mut out, &mut log).print(record).unwrap();
        let text =
            |bytes| anstream::adapter::strip_str(&String::from_utf8(bytes).unwrap()).to_string();
        (text(out), text(log))
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let (out, _) = print(&Record::Malformed {
            number: 1,
            offset: 4,
            error: "name \u{1b}[2J\n".to_owned(),
        });
        assert!(out.contains("name \\u{1b}[2J\\n\n"), "{out}");
    }

    #[test]
    fn a_message_with_two_flows_takes_two_rows() {
        let flow = |index, outcome, by| FlowRecord {
            index,
            senders: [FilterSpec::new([10, 0, 0, 7], 4000 + index)].into(),
            lpv: 300,
            outcome,
            error_code: 2,
            error_value: 17,
            by,
            refused_by: (outcome == Outcome::Reject).then_some(RefusedBy::Policy),
            resources: None,
            path: None,
            reason: (outcome == Outcome::Reject).then_some(Reason::Sbm(Refusal::NoPath)),
        };
        let (out, _) = print(&Record::Decision {
            number: 7,
            time: SystemTime::UNIX_EPOCH,
            message: MessageType::Resv,
            interface: 1,
            session: Session::new([10, 0, 0, 9], 17, 5004),
            flows: &[
                flow(1, Outcome::Accept, Some("identity")),
                flow(2, Outcome::Reject, None),
            ],
            outcome: Outcome::Accept,
            nanos: 1,
        });
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("time"));
        assert!(lines[1].contains("Resv") && lines[1].contains("accept, priority 300"));
        assert!(lines[1].ends_with("identity"));
        assert!(!lines[2].contains("Resv") && lines[2].contains("reject 2/17 "));
        assert!(lines[2].ends_with(&Refusal::NoPath.to_string()));
    }

    proptest! {
        #[test]
        fn what_is_remembered_of_a_row_makes_no_difference(
            rows in prop::collection::vec((0..3_u8, 0..2_u16, 0..4_u32, 0..3_usize, 0..3_usize, any::<bool>()), 1..20)
        ) {
            let (mut out, mut log) = (Vec::new(), Vec::new());
            let mut expected = Vec::new();
            let mut table = Table::new(&mut out, &mut log);
            table.has_heading = true;
            for (seconds, (kind, sender, lpv, senders, by, is_noted)) in (0_u64..).zip(rows) {
                let sender = FilterSpec::new([10, 0, 0, 7], sender);
                let flow = FlowRecord {
                    index: 0,
                    senders: vec![sender; senders].into(),
                    lpv,
                    outcome: [Outcome::Accept, Outcome::Accept, Outcome::DontCare][usize::from(kind)],
                    error_code: 0,
                    error_value: 0,
                    by: [Some("identity"), Some(""), None][by],
                    refused_by: None,
                    resources: None,
                    path: None,
                    reason: is_noted.then_some(Reason::Sbm(Refusal::NoPath)),
                };
                let record = Record::Decision {
                    number: seconds,
                    time: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
                    message: [MessageType::Path, MessageType::Resv, MessageType::Resv][usize::from(kind)],
                    interface: 1,
                    session: Session::new([10, 0, 0, 9], 17, 5004),
                    flows: &[flow],
                    outcome: Outcome::Accept,
                    nanos: 1,
                };
                table.print(&record).unwrap();
                let mut fresh = Table::new(&mut expected, io::sink());
                fresh.has_heading = true;
                fresh.print(&record).unwrap();
            }
            prop_assert_eq!(out, expected);
        }
    }

    #[test]
    fn events_that_are_no_news_are_left_out() {
        let event = |severity| Record::Event {
            id: "library_pinned",
            severity,
            lpm: Some("identity"),
            handle: None,
            library: None,
            status: None,
            detail: "stays mapped",
        };
        assert_eq!(print(&event("info")), (String::new(), String::new()));
        let (out, log) = print(&event("warning"));
        assert_eq!(
            (out.as_str(), log.as_str()),
            ("", "warning: LPM identity: stays mapped\n")
        );
    }
}
