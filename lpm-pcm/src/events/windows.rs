//! The Windows Event Log.

use std::io;

use lpm_host::event::Severity;
use winsafe::co::EVENTLOG;
use winsafe::prelude::*;
use winsafe::{HEVENTLOG, SysResult};

use super::entry::Entry;
use super::sink::Sink;

/// The source that events are reported under.
const SOURCE: &str = "pcm";

/// The event id of a gap; those of events are 1 to 999.
const GAP: u32 = 1000;

/// Reports entries to the log "Application": the event's number as the event id, and the text as
/// its only string.
pub(super) struct EventLog;

impl Sink for EventLog {
    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let id = entry
            .event()
            .map_or(GAP, |event| u32::from(event.id.number()));
        report(kind(entry.severity()), id, &entry.to_string())
            .map_err(|error| io::Error::from_raw_os_error(error.raw().cast_signed()))
    }
}

fn report(kind: EVENTLOG, id: u32, text: &str) -> SysResult<()> {
    let log = HEVENTLOG::RegisterEventSource(None, SOURCE)?;
    log.ReportEvent(kind, 0, id, None, Some(&[text]), None)
}

fn kind(severity: Severity) -> EVENTLOG {
    match severity {
        Severity::Info => EVENTLOG::INFORMATION_TYPE,
        Severity::Warning => EVENTLOG::WARNING_TYPE,
        Severity::Error => EVENTLOG::ERROR_TYPE,
    }
}
