//! The table for people: a row per flow, coloured on a terminal.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::{FlowRecord, Plain, Printer, Record};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const CAUTION: Style = AnsiColor::Yellow.on_default();
const FAINT: Style = Style::new().dimmed();
const HEADING: Style = Style::new().bold();

/// Prints records as a table: what concerns messages and LPMs to `out`, warnings and errors to
/// `log`.
pub struct Table<W, L> {
    out: W,
    log: L,
    has_heading: bool,
}

impl<W: Write, L: Write> Table<W, L> {
    /// Prints to `out`, which should be buffered, and `log`. Both get colours as ANSI escape
    /// sequences; strip them where they are not wanted.
    pub fn new(out: W, log: L) -> Table<W, L> {
        Table {
            out,
            log,
            has_heading: false,
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
            decision: "decision",
            style: Style::new(),
            by: "by",
            reason: "reason",
        };
        write!(self.out, "{HEADING}")?;
        self.row(&row)?;
        write!(self.out, "{HEADING:#}")
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
        let gap = if reason.is_empty() { "" } else { "  " };
        let line = format!(
            "{time:27}  {kind:8}  {session:22}  {flow:21}  {style}{decision:21}{style:#}  \
             {by}{gap}{reason}",
            by = Padded(by, if reason.is_empty() { 0 } else { 10 }),
            reason = Plain(reason),
        );
        writeln!(self.out, "{}", line.trim_end())
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
                decision: "-",
                style: FAINT,
                by: "-",
                ..message
            });
        }
        for (position, flow) in flows.iter().enumerate() {
            let (decision, style) = words(flow);
            // What rows share is said in the first one.
            let mut row = Row {
                decision: &decision,
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
                    decision: "removed",
                    style: CAUTION,
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
                writeln!(
                    self.out,
                    "{BAD}message {number}: malformed at offset {offset}: {}{BAD:#}",
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
                let style = if *severity == "error" { BAD } else { CAUTION };
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
                let style = match *level {
                    "error" => BAD,
                    "warn" => CAUTION,
                    _ => FAINT,
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
                let style = if *status == 0 { GOOD } else { BAD };
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
                let (style, words) = match *outcome {
                    "unmapped" => (GOOD, "unmapped".to_owned()),
                    _ => (CAUTION, format!("pinned: {}", reasons.join("; "))),
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
    decision: &'a str,
    style: Style,
    by: &'a str,
    reason: &'a str,
}

/// A flow's decision in words.
fn words(flow: &FlowRecord<'_>) -> (String, Style) {
    match flow.outcome {
        "accept" => (format!("accept, priority {}", flow.lpv), GOOD),
        "reject" => (
            format!("reject {}/{}", flow.error_code, flow.error_value),
            BAD,
        ),
        "drop" => ("drop".to_owned(), CAUTION),
        _ => ("don't care".to_owned(), FAINT),
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

/// Text from outside, filled up to a width with spaces.
struct Padded<'a>(&'a str, usize);

impl fmt::Display for Padded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = Plain(self.0).to_string();
        write!(f, "{plain:width$}", width = self.1)
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
            message: "Resv".to_owned(),
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
