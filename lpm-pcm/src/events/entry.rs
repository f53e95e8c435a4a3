//! What a sink writes: an event with its time, or a gap.

use std::fmt::{self, Display};
use std::time::SystemTime;

use lpm_host::event::{Event, Severity};
use serde::Serialize;

use super::told::Told;
use crate::config::Format;
use crate::output::plain::{self, Plain};
use crate::output::record::{MessageRecord, Record};
use crate::output::time::rfc3339;

/// Something to write.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When it happened.
    pub time: SystemTime,
    /// What happened.
    pub what: What,
    /// The message that was being decided, if one was.
    pub about: Option<MessageRecord>,
}

/// What an entry says.
#[derive(Clone, Debug)]
pub enum What {
    /// An event.
    Event(Event),
    /// Something else that is put on record.
    Told(Told),
    /// So many events are missing here, since the sink could not keep up.
    Gap(u64),
}

impl Entry {
    /// An entry for an event that happened now, while this message was decided.
    #[must_use]
    pub fn now(event: Event, about: Option<MessageRecord>) -> Self {
        Self {
            time: SystemTime::now(),
            what: What::Event(event),
            about,
        }
    }

    /// An entry for something else that is put on record now.
    #[must_use]
    pub fn told(told: Told) -> Self {
        Self {
            time: SystemTime::now(),
            what: What::Told(told),
            about: None,
        }
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let texts = match &self.what {
            What::Event(event) => {
                let library = event.library.as_ref();
                event.detail.len() + library.map_or(0, |path| path.as_os_str().len())
            }
            What::Told(told) => told.size(),
            What::Gap(_) => 0,
        };
        size_of::<Self>() + texts
    }

    /// The event, or `None` where it is none.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match &self.what {
            What::Event(event) => Some(event),
            What::Told(_) | What::Gap(_) => None,
        }
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match &self.what {
            What::Event(event) => event.severity,
            What::Told(_) => Severity::Info,
            What::Gap(_) => Severity::Warning,
        }
    }

    /// What happened in words.
    #[must_use]
    pub fn detail(&self) -> String {
        match &self.what {
            What::Event(event) => event.detail.clone(),
            What::Told(told) => told.text.clone(),
            What::Gap(count) => format!("events missing here, because they came too fast: {count}"),
        }
    }

    /// The name of the kind of event, such as `lpm_load_failed`, that of another record, or
    /// `events_lost` for a gap.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match &self.what {
            What::Event(event) => event.id.name(),
            What::Told(told) => told.name,
            What::Gap(_) => "events_lost",
        }
    }

    /// Where the message was found that was being decided, by the names that sinks with fields give
    /// it.
    #[must_use]
    pub fn place(&self) -> Vec<(&'static str, String)> {
        let Some(MessageRecord {
            number,
            origin,
            message,
        }) = &self.about
        else {
            return Vec::new();
        };
        vec![
            ("message_number", number.to_string()),
            ("message", message.to_string()),
            ("capture", origin.capture.to_string()),
            ("packet", origin.packet.to_string()),
            ("packet_time", rfc3339(origin.time)),
            ("source", origin.source.to_string()),
            ("destination", origin.destination.to_string()),
        ]
    }

    /// The entry on one line, with a newline.
    #[must_use]
    pub fn line(&self, format: Format) -> Vec<u8> {
        let mut line = match format {
            Format::Text => self.to_string().into_bytes(),
            Format::Json => self.json(),
        };
        line.push(b'\n');
        line
    }

    fn json(&self) -> Vec<u8> {
        let time = rfc3339(self.time);
        let json = match &self.what {
            What::Event(event) => Json::Event {
                time,
                number: event.id.number(),
                record: Record::event(event, None),
                about: self.about.as_ref(),
            },
            What::Told(told) => return told.json.clone().into_bytes(),
            What::Gap(count) => Json::Gap {
                r#type: self.name(),
                time,
                count: *count,
            },
        };
        plain::json(&json).into_bytes()
    }
}

/// Its form as text: `TIME SEVERITY NAME: LPM name (handle 1): detail (message 7, Path, …)`.
impl Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (time, severity) = (rfc3339(self.time), self.severity());
        write!(f, "{time} {severity} {}: ", self.name())?;
        if let Some(event) = self.event() {
            if let Some(lpm) = &event.lpm {
                write!(f, "LPM {}", Plain(lpm))?;
                if let Some(handle) = event.handle {
                    write!(f, " (handle {})", handle.number())?;
                }
                f.write_str(": ")?;
            }
            if let Some(library) = &event.library {
                write!(f, "library {}: ", Plain(&library.to_string_lossy()))?;
            }
        }
        write!(f, "{}", Plain(&self.detail()))?;
        let Some(about) = &self.about else {
            return Ok(());
        };
        let MessageRecord {
            number,
            origin,
            message,
        } = about;
        write!(
            f,
            " (message {number}, {message} {} > {}, packet {} of {} at {})",
            origin.source,
            origin.destination,
            origin.packet,
            Plain(&origin.capture),
            rfc3339(origin.time)
        )
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Json<'a> {
    Event {
        time: String,
        number: u16,
        #[serde(flatten)]
        record: Record<'a>,
        /// Not flattened: it has a number and a time of its own.
        #[serde(skip_serializing_if = "Option::is_none")]
        about: Option<&'a MessageRecord>,
    },
    Gap {
        r#type: &'static str,
        time: String,
        count: u64,
    },
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use lpm_host::event::EventId;
    use lpm_host::{LpmHandle, LpmStatus};
    use lpm_rsvp::MessageType;
    use serde_json::{Value, json};

    use super::*;
    use crate::output::record::Origin;

    fn entry(what: What) -> Entry {
        Entry {
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(951_827_696),
            what,
            about: None,
        }
    }

    fn path() -> MessageRecord {
        MessageRecord {
            number: 7,
            origin: Origin {
                capture: "a\n.pcap".into(),
                packet: 12,
                time: SystemTime::UNIX_EPOCH,
                source: [10, 0, 0, 7].into(),
                destination: [10, 0, 0, 9].into(),
            },
            message: MessageType::Path,
        }
    }

    fn panicked() -> Event {
        Event::new(EventId::LpmPanicked, "two\nlines")
            .lpm("identity".into())
            .handle(LpmHandle::new(7))
            .library(Path::new("liblpm.so"))
            .status(LpmStatus::PANICKED)
    }

    #[test]
    fn text_is_one_line_whatever_the_library_said() {
        let line = entry(What::Event(panicked())).line(Format::Text);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "2000-02-29T12:34:56.000000Z error lpm_panicked: LPM identity (handle 7): \
             library liblpm.so: two\\nlines\n"
        );
    }

    #[test]
    fn json_is_the_record_with_time_and_number() {
        let line = entry(What::Event(panicked())).line(Format::Json);
        let json: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(
            json,
            json!({
                "type": "event", "time": "2000-02-29T12:34:56.000000Z", "number": 40,
                "id": "lpm_panicked", "severity": "error", "lpm": "identity", "handle": 7,
                "library": "liblpm.so", "status": LpmStatus::PANICKED.0, "status_name": "panicked",
                "detail": "two\nlines",
            })
        );
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    }

    #[test]
    fn the_message_that_was_being_decided_is_found_again() {
        let entry = Entry {
            about: Some(path()),
            ..entry(What::Event(panicked()))
        };
        let text = String::from_utf8(entry.line(Format::Text)).unwrap();
        assert!(
            text.ends_with(
                ": two\\nlines (message 7, Path 10.0.0.7 > 10.0.0.9, packet 12 of a\\n.pcap at \
                 1970-01-01T00:00:00.000000Z)\n"
            ),
            "{text}"
        );
        let json: Value = serde_json::from_slice(&entry.line(Format::Json)).unwrap();
        assert_eq!(json["number"], 40, "the event's");
        assert_eq!(json["time"], "2000-02-29T12:34:56.000000Z", "the event's");
        assert_eq!(
            json["about"],
            json!({
                "number": 7, "capture": "a\n.pcap", "packet": 12, "time": "1970-01-01T00:00:00.000000Z",
                "source": "10.0.0.7", "destination": "10.0.0.9", "message": "Path",
            })
        );
    }

    #[test]
    fn a_gap_says_how_much_is_missing() {
        let gap = entry(What::Gap(3));
        let text = String::from_utf8(gap.line(Format::Text)).unwrap();
        assert!(
            text.contains(
                " warning events_lost: events missing here, because they came too fast: 3"
            ),
            "{text}"
        );
        let json: Value = serde_json::from_slice(&gap.line(Format::Json)).unwrap();
        assert_eq!(
            json,
            json!({"type": "events_lost", "time": "2000-02-29T12:34:56.000000Z", "count": 3})
        );
    }
}
