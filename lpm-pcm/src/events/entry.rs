//! What a sink writes: an event with its time, or a gap.

use std::fmt::{self, Display};
use std::time::SystemTime;

use lpm_host::event::{Event, Severity};
use serde::Serialize;

use crate::config::Format;
use crate::output::plain::Plain;
use crate::output::record::Record;
use crate::output::time::rfc3339;

/// Something to write.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When it happened.
    pub time: SystemTime,
    /// What happened.
    pub what: What,
}

/// What an entry says.
#[derive(Clone, Debug)]
pub enum What {
    /// An event.
    Event(Event),
    /// So many events are missing here, since the sink could not keep up.
    Gap(u64),
}

impl Entry {
    /// An entry for an event that happened now.
    #[must_use]
    pub fn now(event: Event) -> Self {
        Self {
            time: SystemTime::now(),
            what: What::Event(event),
        }
    }

    /// The event, or `None` for a gap.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match &self.what {
            What::Event(event) => Some(event),
            What::Gap(_) => None,
        }
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.event()
            .map_or(Severity::Warning, |event| event.severity)
    }

    /// What happened in words.
    #[must_use]
    pub fn detail(&self) -> String {
        match &self.what {
            What::Event(event) => event.detail.clone(),
            What::Gap(count) => format!("events missing here, which came too fast: {count}"),
        }
    }

    /// The name of the kind of event, such as `lpm_load_failed`, or `events_lost` for a gap.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.event().map_or("events_lost", |event| event.id.name())
    }

    /// The entry on one line, with a newline.
    #[must_use]
    pub fn line(&self, format: Format) -> Vec<u8> {
        let mut line = match format {
            Format::Text => self.to_string().into_bytes(),
            // Nothing in it can fail.
            Format::Json => serde_json::to_vec(&self.json()).unwrap_or_default(),
        };
        line.push(b'\n');
        line
    }

    fn json(&self) -> Json<'_> {
        let time = rfc3339(self.time);
        match &self.what {
            What::Event(event) => Json::Event {
                time,
                number: event.id.number(),
                record: Record::event(event, None),
            },
            What::Gap(count) => Json::Gap {
                r#type: self.name(),
                time,
                count: *count,
            },
        }
    }
}

/// Its form as text: `TIME SEVERITY NAME: LPM name (handle 1): detail`.
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
        write!(f, "{}", Plain(&self.detail()))
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
    use serde_json::{Value, json};

    use super::*;

    fn entry(what: What) -> Entry {
        Entry {
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(951_827_696),
            what,
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
                "library": "liblpm.so", "status": LpmStatus::PANICKED.0, "detail": "two\nlines",
            })
        );
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    }

    #[test]
    fn a_gap_says_how_much_is_missing() {
        let gap = entry(What::Gap(3));
        let text = String::from_utf8(gap.line(Format::Text)).unwrap();
        assert!(
            text.contains(" warning events_lost: events missing here, which came too fast: 3"),
            "{text}"
        );
        let json: Value = serde_json::from_slice(&gap.line(Format::Json)).unwrap();
        assert_eq!(
            json,
            json!({"type": "events_lost", "time": "2000-02-29T12:34:56.000000Z", "count": 3})
        );
    }
}
