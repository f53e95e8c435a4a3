//! Which records are shown. All messages are decided all the same: what comes later depends on
//! them.

use std::io;
use std::net::{IpAddr, SocketAddr};
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
    #[arg(long, value_name = "SESSION", value_parser = wanted_session)]
    pub session: Option<WantedSession>,

    /// Only what this user or application asks for: an ID or a DN as the message has it, in capital
    /// letters or small ones
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,

    /// Only what came to this
    #[arg(long, value_name = "WHAT")]
    pub only: Option<Only>,
}

/// Which session is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedSession {
    /// Each one to this address
    To(IpAddr),
    /// The one that the table shows like this
    Shown(String),
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
    /// Messages that are not decided: malformed, not for this PCM, not to be trusted, sent by this
    /// node
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

    /// Whether the values go together.
    ///
    /// # Errors
    /// They do not, and what to do.
    pub fn check(&self) -> Result<(), &'static str> {
        match (self.since, self.until) {
            (Some(since), Some(until)) if since >= until => {
                Err("--until has to be later than --since: no message is shown otherwise")
            }
            _ => Ok(()),
        }
    }

    fn is_time(&self, time: SystemTime) -> bool {
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }

    fn is_session(&self, session: Option<Session>) -> bool {
        let Some(wanted) = &self.session else {
            return true;
        };
        session.is_some_and(|session| match wanted {
            WantedSession::To(address) => session.address() == *address,
            WantedSession::Shown(shown) => session.to_string() == *shown,
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
    /// How many messages it let through.
    shown: u64,
}

impl<P: Printer> Filtered<P> {
    /// Prints to `inner`.
    pub fn new(filter: Filter, inner: P) -> Self {
        Self {
            filter,
            inner,
            shown: 0,
        }
    }
}

impl<P: Printer> Printer for Filtered<P> {
    fn print(&mut self, record: &Record<'_>) -> io::Result<()> {
        let Self {
            filter,
            inner,
            shown,
        } = self;
        filter.show(record, &mut |record| match record {
            Record::Summary { .. } => {
                let mut record = record.clone();
                if let Record::Summary { shown: told, .. } = &mut record {
                    *told = Some(*shown);
                }
                inner.print(&record)
            }
            _ => {
                *shown += u64::from(is_message(record));
                inner.print(record)
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn is_message(record: &Record<'_>) -> bool {
    matches!(
        record,
        Record::Decision { .. }
            | Record::Unsupported { .. }
            | Record::Refused { .. }
            | Record::Outgoing { .. }
            | Record::Malformed { .. }
    )
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

/// A session in the one form in which the table shows it, or an address.
fn wanted_session(text: &str) -> Result<WantedSession, String> {
    if let Ok(address) = text.parse() {
        return Ok(WantedSession::To(address));
    }
    let shown = text.rsplit_once('/').and_then(|(end, protocol)| {
        // A virtual port (RFC 2207) is written as the table writes it.
        let end = match end.parse::<SocketAddr>() {
            Ok(end) => end.to_string(),
            Err(_) if end.contains(":vport-") => end.to_owned(),
            Err(_) => return None,
        };
        Some(format!("{end}/{}", protocol.to_lowercase()))
    });
    let expected = "expected a session as the table shows it, such as 10.0.0.1:5004/udp or \
                    [2001:db8::1]:5004/udp, or its address";
    shown
        .map(WantedSession::Shown)
        .ok_or_else(|| expected.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_wanted_as_it_is_shown_or_by_its_address() {
        let shown = |text: &str| WantedSession::Shown(text.to_owned());
        for (text, wanted) in [
            ("10.0.0.1:5004/udp", shown("10.0.0.1:5004/udp")),
            ("10.0.0.1:5004/UDP", shown("10.0.0.1:5004/udp")),
            ("[2001:DB8:0::1]:5004/udp", shown("[2001:db8::1]:5004/udp")),
            ("10.0.0.1:vport-7/50", shown("10.0.0.1:vport-7/50")),
            ("10.0.0.1", WantedSession::To([10, 0, 0, 1].into())),
            (
                "2001:DB8::1",
                WantedSession::To("2001:db8::1".parse().unwrap()),
            ),
        ] {
            assert_eq!(wanted_session(text), Ok(wanted));
        }
        for text in [
            "",
            "10.0.0.1:5004",
            "host/udp",
            "10.0.0/udp",
            "5004/udp",
            "/",
        ] {
            let error = wanted_session(text).unwrap_err();
            assert!(error.contains("10.0.0.1:5004/udp"), "{text}: {error}");
        }
    }

    #[test]
    fn times_go_together() {
        let filter = |since: &str, until: &str| Filter {
            since: Some(time(since).unwrap()),
            until: Some(time(until).unwrap()),
            ..Filter::default()
        };
        assert_eq!(
            filter("2026-07-01T14:00", "2026-07-01T14:01").check(),
            Ok(())
        );
        assert!(
            filter("2026-07-01T14:00", "2026-07-01T14:00")
                .check()
                .is_err()
        );
        assert!(
            filter("2026-07-01T14:00", "2026-07-01T16:00+02:00")
                .check()
                .is_err()
        );
    }
}
