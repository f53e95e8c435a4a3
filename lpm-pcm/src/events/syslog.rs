//! syslog, as RFC 5424 has it, over a Unix socket, UDP or TCP.

mod connection;

use std::io;

use gethostname::gethostname;
use lpm_host::event::Severity;
use syslog_fmt::v5424::{Config, Formatter, Timestamp};
use syslog_fmt::{Facility, Severity as Level};

use crate::config::SyslogAddress;
use crate::output::plain::Plain;
use crate::output::time::rfc3339;

use super::entry::Entry;
use super::sink::Sink;
use connection::Connection;

/// The structured data element that events have. 32473 is the enterprise number for examples
/// (RFC 5612), since the project has none of its own.
const ELEMENT: &str = "lpm@32473";

/// How long a message's text is at most, in bytes: what receivers take, and what fits in a
/// datagram.
const LONGEST_TEXT: usize = 4096;

/// Sends messages to a syslog daemon.
pub(super) struct Syslog {
    formatter: Formatter,
    address: Option<SyslogAddress>,
    connection: Option<Connection>,
}

impl Syslog {
    pub(super) fn new(facility: Facility, address: Option<SyslogAddress>) -> Self {
        let hostname = hostname();
        let process = std::process::id().to_string();
        Self {
            formatter: Formatter::from_config(Config {
                facility,
                hostname: hostname.as_deref(),
                app_name: Some("pcm"),
                proc_id: Some(&process),
            }),
            address,
            connection: None,
        }
    }

    fn message(&self, entry: &Entry) -> io::Result<Vec<u8>> {
        let mut message = Vec::new();
        let parameters = parameters(entry);
        let parameters = parameters
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        let text = Plain(&entry.detail()).to_string();
        self.formatter.write_with_data(
            &mut message,
            level(entry.severity()),
            Timestamp::PreformattedString(rfc3339(entry.time)),
            shortened(&text),
            Some(entry.name()),
            [(ELEMENT, parameters)],
        )?;
        Ok(message)
    }

    fn connection(&mut self) -> io::Result<&mut Connection> {
        if self.connection.as_ref().is_some_and(Connection::is_closed) {
            self.connection = None;
        }
        match &mut self.connection {
            Some(connection) => Ok(connection),
            missing => Ok(missing.insert(Connection::open(self.address.as_ref())?)),
        }
    }
}

impl Sink for Syslog {
    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let message = self.message(entry)?;
        let result = self.connection()?.send(&message);
        if result.is_err() {
            // Part of the message may be on its way: it goes as a whole over the next one.
            self.connection = None;
        }
        result
    }
}

/// What the structured data says besides the text.
fn parameters(entry: &Entry) -> Vec<(&'static str, String)> {
    let Some(event) = entry.event() else {
        return vec![("event", entry.name().to_owned())];
    };
    let mut parameters = vec![
        ("id", event.id.number().to_string()),
        ("event", event.id.name().to_owned()),
    ];
    let lpm = event.lpm.as_deref().map(|lpm| ("lpm", lpm.to_owned()));
    let handle = event
        .handle
        .map(|handle| ("handle", handle.number().to_string()));
    let library = event
        .library
        .as_ref()
        .map(|library| ("library", library.to_string_lossy().into_owned()));
    let status = event.status.map(|status| ("status", status.0.to_string()));
    let status_name = event.status.map(|it| ("status_name", it.to_string()));
    let all = [lpm, handle, library, status, status_name];
    parameters.extend(all.into_iter().flatten());
    parameters.extend(entry.place());
    parameters
}

fn level(severity: Severity) -> Level {
    match severity {
        Severity::Info => Level::Info,
        Severity::Warning => Level::Warning,
        Severity::Error => Level::Err,
    }
}

/// The host's name, if it can stand in a header: printable ASCII, 255 characters at most.
fn hostname() -> Option<String> {
    let name = gethostname().into_string().ok()?;
    let fits = (1..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(name)
}

fn shortened(text: &str) -> &str {
    match text
        .char_indices()
        .map(|(start, character)| start + character.len_utf8())
        .take_while(|end| *end <= LONGEST_TEXT)
        .last()
    {
        Some(end) => &text[..end],
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use lpm_host::event::{Event, EventId};
    use lpm_host::{LpmHandle, LpmStatus};

    use super::super::entry::What;
    use super::*;

    fn message(what: What) -> String {
        let entry = Entry {
            time: SystemTime::UNIX_EPOCH + Duration::new(951_827_696, 5_000),
            what,
            about: None,
        };
        let syslog = Syslog::new(Facility::Daemon, None);
        String::from_utf8(syslog.message(&entry).unwrap()).unwrap()
    }

    /// Without host and process, which differ from run to run.
    fn parts(message: &str) -> (String, String) {
        let fields: Vec<_> = message.splitn(6, ' ').collect();
        (
            format!("{} {} {}", fields[0], fields[1], fields[3]),
            fields[5].to_owned(),
        )
    }

    #[test]
    fn a_message_has_header_structured_data_and_text() {
        let event = Event::new(EventId::LpmPanicked, "all \"gone\"]")
            .lpm("a]\"b\\".into())
            .handle(LpmHandle::new(7))
            .library("lib.so")
            .status(LpmStatus(9));
        let (header, rest) = parts(&message(What::Event(event)));
        // Facility 3 (daemon), severity 3 (error).
        assert_eq!(header, "<27>1 2000-02-29T12:34:56.000005Z pcm");
        assert_eq!(
            rest,
            "lpm_panicked [lpm@32473 id=\"40\" event=\"lpm_panicked\" lpm=\"a\\]\\\"b\\\\\" \
             handle=\"7\" library=\"lib.so\" status=\"9\" status_name=\"status 9\"] \u{feff}all \"gone\"]"
        );
    }

    #[test]
    fn a_gap_is_a_warning() {
        let (header, rest) = parts(&message(What::Gap(3)));
        assert!(header.starts_with("<28>1 "), "{header}");
        assert!(
            rest.starts_with("events_lost [lpm@32473 event=\"events_lost\"] "),
            "{rest}"
        );
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "é".repeat(LONGEST_TEXT);
        let cut = message(What::Event(Event::new(EventId::Demoted, text)));
        assert_eq!(cut.matches('é').count(), LONGEST_TEXT / 2);
        let whole = message(What::Event(Event::new(
            EventId::Demoted,
            "x".repeat(LONGEST_TEXT),
        )));
        assert!(whole.ends_with(&"x".repeat(LONGEST_TEXT)));
    }

    #[test]
    fn event_names_fit_in_a_message_id() {
        for id in EventId::ALL {
            assert!(id.name().len() <= 32, "{id}");
        }
    }
}
