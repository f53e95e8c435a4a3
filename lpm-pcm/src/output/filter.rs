//! Which records are shown. All messages are decided all the same: what comes later depends on them.

use std::io;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lpm_host::Outcome;
use lpm_rsvp::Session;

use super::asked::Who;
use super::printer::Printer;
use super::record::Record;

/// Which messages are shown.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "What is shown (all messages are decided)")]
pub struct Filter {
    /// Only what was captured at this time or later: 2026-07-01T14:30 (UTC), or with an offset
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<SystemTime>,

    /// Only what was captured before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<SystemTime>,

    /// Only what is about this session: as the table shows it (10.0.0.1:5004/udp), or its address
    #[arg(long, value_name = "SESSION")]
    pub session: Option<String>,

    /// Only what this user or application asks for: an ID or a DN, in the letters of the message
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,

    /// Only what came to this
    #[arg(long, value_name = "WHAT")]
    pub only: Option<Only>,
}

/// What became of messages or flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Only {
    /// Flows that are accepted
    Accepted,
    /// Flows that are rejected, by policy or the SBM
    Rejected,
    /// Messages that are dropped
    Dropped,
    /// Messages that are not decided: malformed, not for this PCM, not to be trusted, sent by this node
    Undecided,
}

impl Filter {
    /// Whether everything is shown.
    #[must_use]
    pub fn shows_all(&self) -> bool {
        let Self {
            since,
            until,
            session,
            user,
            only,
        } = self;
        since.is_none() && until.is_none() && session.is_none() && user.is_none() && only.is_none()
    }

    fn is_time(&self, time: SystemTime) -> bool {
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }

    fn is_session(&self, session: Option<Session>) -> bool {
        let Some(wanted) = &self.session else {
            return true;
        };
        session.is_some_and(|session| {
            session.to_string() == *wanted || session.address().to_string() == *wanted
        })
    }

    fn is_user(&self, who: &Who<'_>) -> bool {
        let Some(wanted) = &self.user else {
            return true;
        };
        let (users, applications) = who.names();
        let mut names = users.iter().chain(&applications);
        names.any(|name| name.to_lowercase() == wanted.to_lowercase())
    }

    /// Shows what is to be shown of a record.
    fn show(
        &self,
        record: &Record<'_>,
        print: &mut dyn FnMut(&Record<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let is_undecided =
            self.user.is_none() && self.only.is_none_or(|only| only == Only::Undecided);
        let is_shown = match record {
            Record::Decision {
                number,
                origin,
                message,
                interface,
                session,
                integrity,
                who,
                previous_hop,
                flows,
                outcome,
                nanos,
            } => {
                if !self.is_time(origin.time) || !self.is_session(*session) || !self.is_user(who) {
                    return Ok(());
                }
                let Some(only) = self.only else {
                    return print(record);
                };
                let wanted = match only {
                    Only::Accepted => Outcome::Accept,
                    Only::Rejected => Outcome::Reject,
                    Only::Dropped => Outcome::Drop,
                    Only::Undecided => return Ok(()),
                };
                let flows: Vec<_> = flows
                    .iter()
                    .filter(|flow| flow.outcome == wanted)
                    .cloned()
                    .collect();
                if flows.is_empty() {
                    return Ok(());
                }
                return print(&Record::Decision {
                    number: *number,
                    origin,
                    message: *message,
                    interface: *interface,
                    session: *session,
                    integrity: *integrity,
                    who: *who,
                    previous_hop: *previous_hop,
                    flows: &flows,
                    outcome: *outcome,
                    nanos: *nanos,
                });
            }
            Record::Unsupported {
                origin, session, ..
            }
            | Record::Refused {
                origin, session, ..
            }
            | Record::Outgoing {
                origin, session, ..
            } => is_undecided && self.is_time(origin.time) && self.is_session(*session),
            Record::Malformed { origin, .. } | Record::Incomplete { origin, .. } => {
                is_undecided && self.is_time(origin.time) && self.session.is_none()
            }
            Record::SummaryRefresh { origin, .. } => {
                self.is_time(origin.time)
                    && self.user.is_none()
                    && self.only.is_none()
                    && self.session.is_none()
            }
            Record::StateRemoved { time, session, .. } => {
                self.is_time(*time)
                    && self.user.is_none()
                    && self.only.is_none()
                    && self.is_session(Some(*session))
            }
            _ => true,
        };
        if is_shown { print(record) } else { Ok(()) }
    }
}

/// Prints what a filter lets through.
pub struct Filtered<P> {
    filter: Filter,
    inner: P,
}

impl<P: Printer> Filtered<P> {
    /// Prints to `inner`.
    pub fn new(filter: Filter, inner: P) -> Self {
        Self { filter, inner }
    }
}

impl<P: Printer> Printer for Filtered<P> {
    fn print(&mut self, record: &Record<'_>) -> io::Result<()> {
        let Self { filter, inner } = self;
        filter.show(record, &mut |record| inner.print(record))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A time with an offset, or in UTC.
fn time(text: &str) -> Result<SystemTime, String> {
    let with_offset = text.parse::<Timestamp>();
    let timestamp = with_offset.or_else(|_| {
        let civil = text.parse::<DateTime>()?;
        Ok(civil.to_zoned(TimeZone::UTC)?.timestamp())
    });
    let expected = |_: jiff::Error| {
        "expected a time such as 2026-07-01T14:30 or 2026-07-01T14:30:05.25+02:00".to_owned()
    };
    timestamp.map(SystemTime::from).map_err(expected)
}
