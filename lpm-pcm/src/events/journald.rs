//! The systemd journal, by its native protocol.

use std::io;

use log::kv::Value;
use log::{Level, Record};
use lpm_host::event::Severity;
use systemd_journal_logger::JournalLog;

use super::entry::Entry;
use super::sink::Sink;

/// Sends entries with fields: `MESSAGE`, `PRIORITY`, `LPM_EVENT_ID`, `LPM_EVENT`, `LPM_NAME`,
/// `LPM_HANDLE`, `LPM_LIBRARY`, `LPM_STATUS`, `LPM_STATUS_NAME`, and of the message that was being
/// decided `LPM_MESSAGE_NUMBER`, `LPM_MESSAGE`, `LPM_CAPTURE`, `LPM_PACKET`, `LPM_PACKET_TIME`,
/// `LPM_SOURCE`, `LPM_DESTINATION`.
pub(super) struct Journald {
    /// `None` until journald has answered once.
    journal: Option<JournalLog>,
}

impl Journald {
    pub(super) fn new() -> Self {
        Self { journal: None }
    }

    fn journal(&mut self) -> io::Result<&JournalLog> {
        match &mut self.journal {
            Some(journal) => Ok(journal),
            missing => {
                let journal = JournalLog::new()?.with_syslog_identifier("pcm".to_owned());
                Ok(missing.insert(journal))
            }
        }
    }
}

impl Sink for Journald {
    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let detail = entry.detail();
        let mut fields = vec![("LPM_EVENT", Value::from(entry.name()))];
        let event = entry.event();
        let library = event
            .and_then(|event| event.library.as_ref())
            .map(|library| library.to_string_lossy());
        let status = event.and_then(|event| event.status);
        let status_name = status.map(|status| status.to_string());
        if let Some(event) = event {
            fields.push(("LPM_EVENT_ID", event.id.number().into()));
            fields.extend(event.lpm.as_deref().map(|lpm| ("LPM_NAME", lpm.into())));
            let handle = event.handle.map(|handle| handle.number());
            fields.extend(handle.map(|handle| ("LPM_HANDLE", handle.into())));
            fields.extend(library.as_deref().map(|path| ("LPM_LIBRARY", path.into())));
            fields.extend(event.status.map(|status| ("LPM_STATUS", status.0.into())));
            let name = status_name.as_deref();
            fields.extend(name.map(|name| ("LPM_STATUS_NAME", name.into())));
        }
        let about = entry.place();
        let about = about.iter().map(|(name, value)| {
            let name = match *name {
                "message_number" => "LPM_MESSAGE_NUMBER",
                "message" => "LPM_MESSAGE",
                "capture" => "LPM_CAPTURE",
                "packet" => "LPM_PACKET",
                "packet_time" => "LPM_PACKET_TIME",
                "source" => "LPM_SOURCE",
                _ => "LPM_DESTINATION",
            };
            (name, Value::from(value.as_str()))
        });
        fields.extend(about);
        self.journal()?.journal_send(
            &Record::builder()
                .args(format_args!("{detail}"))
                .level(level(entry.severity()))
                .target("pcm")
                .key_values(&fields)
                .build(),
        )
    }
}

/// The level that the journal shows as this severity: 6 (info), 4 (warning), 3 (err).
fn level(severity: Severity) -> Level {
    match severity {
        // What `log` calls info arrives as 5 (notice).
        Severity::Info => Level::Debug,
        Severity::Warning => Level::Warn,
        Severity::Error => Level::Error,
    }
}
