//! The table for people: a row per flow, coloured on a terminal.

mod line;
mod row;

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anstyle::{AnsiColor, Style};
use lpm_host::Outcome;
use lpm_rsvp::{FilterSpec, MessageType};

use self::line::{Cell, Line};
use self::row::{Row, Said, note};
use super::plain::Plain;
use super::printer::{PrintedRow, Printer};
use super::record::{FlowRecord, Origin, PacketsRecord, Record, RefusedBy};
use super::time::date;

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
    const COLOURED: Self = Self {
        good: AnsiColor::Green.on_default(),
        bad: AnsiColor::Red.on_default(),
        caution: AnsiColor::Yellow.on_default(),
        faint: Style::new().dimmed(),
        heading: Style::new().bold(),
    };
    const PLAIN: Self = Self {
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
    /// How wide its columns are.
    widths: Widths,
    /// How often that has changed.
    layout: u32,
    /// Whether the last row says all of a decision.
    is_whole: bool,
    /// Of `out`.
    palette: Palette,
    has_heading: bool,
    /// The capture and the day, since the epoch, that rows are of.
    capture: Arc<str>,
    day: Option<u64>,
}

impl<W: Write, L: Write> Table<W, L> {
    /// Prints to `out`, which should be buffered, and `log`. Both get colours as ANSI escape
    /// sequences; strip them where they are not wanted.
    pub fn new(out: W, log: L) -> Self {
        Self {
            out,
            log,
            start: Line::new(usize::MAX),
            rest: Line::new(usize::MAX),
            widths: Widths::USUAL,
            layout: 0,
            is_whole: false,
            palette: Palette::COLOURED,
            has_heading: false,
            capture: "".into(),
            day: None,
        }
    }

    /// Prints for a terminal of so many columns: what a line has no room for goes on below.
    #[must_use]
    pub fn columns(self, columns: usize) -> Self {
        Self {
            start: Line::new(columns),
            rest: Line::new(columns),
            ..self
        }
    }

    /// Prints to `out` without colours, which costs less than stripping them.
    #[must_use]
    pub fn plain(self) -> Self {
        Self {
            palette: Palette::PLAIN,
            ..self
        }
    }

    /// Says which capture and day rows are of, where that is not the same as before.
    fn heading(&mut self, capture: Option<&Arc<str>>, time: SystemTime) -> io::Result<()> {
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
                who: Cell::Words("who"),
                by: Cell::Words("by"),
                reason: Cell::Words("reason"),
                ..Row::default()
            })?;
            write!(self.out, "{heading:#}")?;
        }
        let day = time.duration_since(SystemTime::UNIX_EPOCH);
        let day = day.map_or(u64::MAX, |since| since.as_secs() / (24 * 60 * 60));
        let capture = capture.unwrap_or(&self.capture);
        if self.day == Some(day) && Arc::ptr_eq(capture, &self.capture) {
            return Ok(());
        }
        self.day = Some(day);
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
        let [.., decision, who, by] = &mut widths.0;
        line.styled_cell(row.decision, *decision, row.style);
        for (cell, width) in [(row.who, who), (row.by, by)] {
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

    fn decision(&mut self, said: &Said<'_>, flows: &[FlowRecord<'_>]) -> io::Result<()> {
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
    fn undecided(
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
    fn last_row(&self) -> Option<PrintedRow> {
        self.is_whole.then(|| PrintedRow {
            layout: (self.layout, self.start.column()),
            text: self.rest.text().into(),
        })
    }

    fn print_again(&mut self, origin: &Origin, row: &PrintedRow) -> io::Result<bool> {
        self.heading(Some(&origin.capture), origin.time)?;
        begin(&mut self.start, &Row::of(origin, None));
        let is_same = row.layout == (self.layout, self.start.column());
        if is_same {
            write_row(&mut self.out, &self.start, &row.text)?;
        }
        Ok(is_same)
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
                self.out,
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
                self.heading(Some(&origin.capture), origin.time)?;
                let said = Said {
                    who: *who,
                    origin,
                    message: *message,
                    session: *session,
                    integrity: *integrity,
                };
                self.decision(&said, flows)?;
                self.is_whole = match flows {
                    [flow] => flow.senders.len() <= 1 && flow.why.is_none(),
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
                self.heading(None, *time)?;
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
            Record::SummaryRefresh {
                refreshed, unknown, ..
            } => {
                let Palette { faint, caution, .. } = self.palette;
                let row = Row::default();
                if !refreshed.is_empty() {
                    let ids = refreshed.join(", ");
                    self.undecided(&row, faint, format_args!("refreshed: MESSAGE_ID {ids}"))?;
                }
                if !unknown.is_empty() {
                    let ids = unknown.join(", ");
                    self.undecided(
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
                self.heading(Some(&origin.capture), origin.time)?;
                let tunnel = tunnel.map_or(String::new(), |tunnel| format!("{tunnel}, "));
                let row = Row {
                    integrity: note(*integrity),
                    ..Row::of(origin, Some(*message))
                };
                self.undecided(
                    &row,
                    self.palette.faint,
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
                self.heading(Some(&origin.capture), origin.time)?;
                self.undecided(
                    &Row::of(origin, Some(*message)),
                    self.palette.bad,
                    format_args!("message {number}: not to be trusted: {error}"),
                )
            }
            Record::Outgoing {
                number,
                origin,
                message,
                ..
            } => {
                self.heading(Some(&origin.capture), origin.time)?;
                self.undecided(
                    &Row::of(origin, Some(*message)),
                    self.palette.faint,
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
                self.heading(Some(&origin.capture), origin.time)?;
                self.undecided(
                    &Row::of(origin, *message),
                    self.palette.bad,
                    format_args!("message {number}: malformed at offset {offset}: {error}"),
                )
            }
            Record::Incomplete {
                origin,
                fragments,
                bytes,
            } => {
                self.heading(Some(&origin.capture), origin.time)?;
                self.undecided(
                    &Row::of(origin, None),
                    self.palette.caution,
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
                    writeln!(self.out, "{}: there is no packet in it", Plain(capture))?;
                } else if *messages == 0 {
                    let capture = Plain(capture);
                    write!(self.out, "{capture}: no RSVP in {packets} packets")?;
                    if !other.is_empty() {
                        write!(self.out, ", but {}", List(other))?;
                    }
                    writeln!(self.out)?;
                }
                if not_looked_into.is_empty() {
                    return Ok(());
                }
                let Palette { caution, .. } = self.palette;
                writeln!(
                    self.out,
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
                status_name,
                nanos,
            } => {
                let Palette { good, bad, .. } = self.palette;
                let style = if *status == 0 { good } else { bad };
                writeln!(
                    self.out,
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
                let Palette { good, caution, .. } = self.palette;
                let (style, words) = match *outcome {
                    "unmapped" => (good, "unmapped".to_owned()),
                    _ => (caution, format!("pinned: {}", reasons.join("; "))),
                };
                writeln!(
                    self.out,
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
                write!(self.out, "{by} {}: {all} decisions: ", Plain(name))?;
                write!(self.out, "{accept} accepted, {reject} rejected")?;
                for (count, what) in [(drop, "dropped"), (dont_care, "not for policy to decide")] {
                    if *count > 0 {
                        write!(self.out, ", {count} {what}")?;
                    }
                }
                writeln!(self.out)
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
                ..
            } => {
                write!(self.out, "{messages} messages")?;
                for (position, (name, count)) in types.iter().enumerate() {
                    let separator = if position == 0 { " (" } else { ", " };
                    write!(self.out, "{separator}{name} {count}")?;
                }
                let end = if types.is_empty() { "" } else { ")" };
                write!(self.out, "{end}: {accept} accepted, {reject} rejected, ")?;
                for (count, what) in [
                    (dont_care, "not for policy to decide"),
                    (unsupported, "not for this PCM"),
                    (refused, "not to be trusted"),
                    (outgoing, "sent by this node"),
                ] {
                    if *count > 0 {
                        write!(self.out, "{count} {what}, ")?;
                    }
                }
                write!(self.out, "{drop} dropped, {malformed} malformed; ")?;
                if *incomplete > 0 {
                    write!(self.out, "{incomplete} more incomplete; ")?;
                }
                writeln!(self.out, "{flows} flows left, {removed} removed")
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.log.flush()
    }
}

/// How wide columns are at first, from the type of the message to who decides. They grow with what is in them.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Widths([usize; 7]);

impl Widths {
    /// For IPv4.
    const USUAL: Self = Self([8, 23, 22, 15, 20, 8, 8]);
}

/// Columns do not grow beyond.
const WIDEST: usize = 48;

/// How long something took, where that is known.
struct Took(Option<u64>);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(nanos) => write!(f, ", {:.1?}", Duration::from_nanos(nanos)),
            None => Ok(()),
        }
    }
}

/// What a row begins with: where the message is.
fn begin(start: &mut Line, row: &Row<'_>) {
    start.begin(0);
    start.cell(row.packet, 6);
    start.cell(row.time, if start.is_narrow() { 12 } else { 15 });
}

fn write_row(out: &mut impl Write, start: &Line, rest: &str) -> io::Result<()> {
    out.write_all(start.text().as_bytes())?;
    out.write_all(rest.as_bytes())
}

/// So many packets of this and that.
struct List<'a>(&'a [PacketsRecord]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, PacketsRecord { what, packets }) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{what} {packets}")?;
        }
        Ok(())
    }
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
    use crate::integrity::Provenance;
    use crate::output::asked::Who;
    use crate::output::record::{Origin, Reason};
    use lpm_rsvp::Session;
    use lpm_sbm::Refusal;
    use proptest::prelude::*;

    fn print(record: &Record<'_>) -> (String, String) {
        let (mut out, mut log) = (Vec::new(), Vec::new());
        Table::new(&mut out, &mut log).print(record).unwrap();
        let text =
            |bytes| anstream::adapter::strip_str(&String::from_utf8(bytes).unwrap()).to_string();
        (text(out), text(log))
    }

    /// Where a message was found: as a packet that was captured so many seconds after the epoch.
    fn origin(seconds: u64) -> Origin {
        Origin {
            capture: "a.pcap".into(),
            packet: seconds + 1,
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            source: [10, 0, 0, 7].into(),
            destination: [10, 0, 0, 9].into(),
        }
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let (out, _) = print(&Record::Malformed {
            number: 1,
            origin: &origin(0),
            message: None,
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
            asked: None,
            why: None,
            resources: None,
            path: None,
            reason: (outcome == Outcome::Reject).then_some(Reason::Sbm(Refusal::NoPath)),
        };
        let (out, _) = print(&Record::Decision {
            number: 7,
            origin: &origin(0),
            integrity: Provenance::Unsigned,
            who: Who::default(),
            previous_hop: None,
            message: MessageType::Resv,
            interface: 1,
            session: Session::new([10, 0, 0, 9], 17, 5004),
            flows: &[
                flow(1, Outcome::Accept, Some("identity")),
                flow(2, Outcome::Reject, None),
            ],
            outcome: Outcome::Accept,
            nanos: Some(1),
        });
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("packet  time"));
        assert_eq!(lines[1], "a.pcap, 1970-01-01 (UTC)");
        assert!(lines[2].starts_with("     1  00:00:00.000000  Resv "));
        assert!(
            lines[2].contains("10.0.0.7 > 10.0.0.9") && lines[2].contains("accept, priority 300")
        );
        assert!(lines[2].ends_with("identity"));
        assert!(!lines[3].contains("Resv") && lines[3].contains("reject 2/17 "));
        assert!(lines[3].ends_with(&Refusal::NoPath.to_string()));
    }

    proptest! {
        #[test]
        fn what_is_remembered_of_a_row_makes_no_difference(
            rows in prop::collection::vec((0..3_u8, 0..2_u16, 0..4_u32, 0..3_usize, 0..3_usize, any::<[bool; 2]>()), 1..20)
        ) {
            let (mut out, mut log) = (Vec::new(), Vec::new());
            let mut expected = Vec::new();
            let mut table = Table::new(&mut out, &mut log);
            table.has_heading = true;
            let capture = Arc::from("a.pcap");
            (table.day, table.capture) = (Some(0), Arc::clone(&capture));
            for (seconds, (kind, sender, lpv, senders, by, [is_noted, is_signed])) in (0_u64..).zip(rows) {
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
                    asked: None,
                    why: None,
                    resources: None,
                    path: None,
                    reason: is_noted.then_some(Reason::Sbm(Refusal::NoPath)),
                };
                let record = Record::Decision {
                    number: seconds,
                    origin: &Origin { capture: Arc::clone(&capture), ..origin(seconds) },
                    integrity: if is_signed { Provenance::Verified } else { Provenance::Unsigned },
                    message: [MessageType::Path, MessageType::Resv, MessageType::Resv][usize::from(kind)],
                    who: Who::default(),
                    previous_hop: None,
                    interface: 1,
                    session: Session::new([10, 0, 0, 9], 17, 5004),
                    flows: &[flow],
                    outcome: Outcome::Accept,
                    nanos: Some(1),
                };
                table.print(&record).unwrap();
                let mut fresh = Table::new(&mut expected, io::sink());
                fresh.has_heading = true;
                (fresh.day, fresh.capture) = (Some(0), Arc::clone(&capture));
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
            status_name: None,
            detail: "stays mapped",
            message: None,
        };
        assert_eq!(print(&event("info")), (String::new(), String::new()));
        let (out, log) = print(&event("warning"));
        assert_eq!(
            (out.as_str(), log.as_str()),
            ("", "warning: LPM identity: stays mapped\n")
        );
    }
}
