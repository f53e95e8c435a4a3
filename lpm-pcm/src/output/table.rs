//! The table for people: a row per flow, coloured on a terminal.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::{FlowRecord, Plain, Printer, Record};

mod line;

use line::Line;

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
            "accept" => self.good,
            "reject" => self.bad,
            "drop" => self.caution,
            _ => self.faint,
        }
    }
}

/// Prints records as a table: what concerns messages and LPMs to `out`, warnings and errors to
/// `log`.
pub struct Table<W, L> {
    out: W,
    log: L,
    line: Line,
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
            line: Line::default(),
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
            time: "time",
            kind: "type",
            session: "session",
            flow: "flow",
            decision: Words::Plain("decision"),
            style: Style::new(),
            by: "by",
            reason: "reason",
        };
        let heading = self.palette.heading;
        write!(self.out, "{heading}")?;
        self.row(&row)?;
        write!(self.out, "{heading:#}")
    }

    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        let Row {
            time,
            kind,
            session,
            flow,
            decision,
            style,
            by,
            reason,
        } = row;
        let line = &mut self.line;
        line.clear();
        line.cell(time, 27);
        line.cell(kind, 8);
        line.cell(session, 22);
        line.cell(flow, 21);
        line.styled_cell(*decision, 21, *style);
        line.cell(by, 10);
        line.text(Plain(reason));
        self.out.write_all(line.ended())
    }

    fn decision(
        &mut self,
        time: &str,
        message: &str,
        session: Option<&str>,
        flows: &[FlowRecord<'_>],
    ) -> io::Result<()> {
        let message = Row {
            time,
            kind: message,
            session: session.unwrap_or("-"),
            ..Row::default()
        };
        if flows.is_empty() {
            return self.row(&Row {
                flow: "-",
                decision: Words::Plain("-"),
                style: self.palette.faint,
                by: "-",
                ..message
            });
        }
        for (position, flow) in flows.iter().enumerate() {
            let style = self.palette.of(flow);
            // What rows share is said in the first one.
            let mut row = Row {
                decision: Words::of(flow),
                style,
                by: match flow.refused_by {
                    Some("sbm") => "sbm",
                    _ => flow.by.unwrap_or("-"),
                },
                reason: flow.reason.as_deref().unwrap_or_default(),
                ..if position == 0 {
                    message
                } else {
                    Row::default()
                }
            };
            for filter in flow.filter.as_deref().unwrap_or("any sender").split(", ") {
                row.flow = filter;
                self.row(&row)?;
                row = Row::default();
            }
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
                self.decision(time, message, session.as_deref(), flows)
            }
            Record::StateRemoved {
                time,
                message,
                session,
                filter,
                reason,
                ..
            } => {
                self.heading()?;
                let filter = filter.as_deref().unwrap_or("any sender");
                let (flow, more) = filter.split_once(", ").unwrap_or((filter, ""));
                self.row(&Row {
                    time,
                    kind: message,
                    session,
                    flow,
                    decision: Words::Plain("removed"),
                    style: self.palette.caution,
                    by: "sbm",
                    reason: &reason.replace('_', " "),
                })?;
                for flow in more.split(", ").filter(|flow| !flow.is_empty()) {
                    self.row(&Row {
                        flow,
                        ..Row::default()
                    })?;
                }
                Ok(())
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

#[derive(Clone, Copy, Default)]
struct Row<'a> {
    time: &'a str,
    kind: &'a str,
    session: &'a str,
    flow: &'a str,
    decision: Words<'a>,
    style: Style,
    by: &'a str,
    reason: &'a str,
}

/// What became of a flow, in words.
#[derive(Clone, Copy)]
enum Words<'a> {
    Accept { priority: u32 },
    Reject { code: u16, value: u16 },
    Plain(&'a str),
}

impl<'a> Words<'a> {
    fn of(flow: &FlowRecord<'_>) -> Words<'a> {
        match flow.outcome {
            "accept" => Words::Accept { priority: flow.lpv },
            "reject" => Words::Reject {
                code: flow.error_code,
                value: flow.error_value,
            },
            "drop" => Words::Plain("drop"),
            _ => Words::Plain("don't care"),
        }
    }
}

impl Default for Words<'_> {
    fn default() -> Self {
        Words::Plain("")
    }
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Words::Accept { priority } => write!(f, "accept, priority {priority}"),
            Words::Reject { code, value } => write!(f, "reject {code}/{value}"),
            Words::Plain(words) => f.write_str(words),
        }
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
            filter: Some(format!("10.0.0.{index}:4000")),
            lpv: 300,
            outcome,
            error_code: 2,
            error_value: 17,
            by,
            refused_by: (outcome == "reject").then_some("policy"),
            resources: None,
            path: None,
            reason: (outcome == "reject").then(|| "too fast".to_owned()),
        };
        let (out, _) = print(&Record::Decision {
            number: 7,
            time: "1970-01-01T00:00:00.000000Z".to_owned(),
            message: "Resv".into(),
            interface: 1,
            session: Some("10.0.0.9:5004/udp".to_owned()),
            flows: vec![flow(1, "accept", Some("identity")), flow(2, "reject", None)],
            outcome: "accept",
            nanos: 1,
        });
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("time"));
        assert!(lines[1].contains("Resv") && lines[1].contains("accept, priority 300"));
        assert!(lines[1].ends_with("identity"));
        assert!(!lines[2].contains("Resv") && lines[2].contains("reject 2/17 "));
        assert!(lines[2].ends_with("too fast"));
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
