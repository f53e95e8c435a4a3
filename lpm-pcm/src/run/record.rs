//! What `pcm run` puts on record: a line for each decision.

use std::io::{self, Write};
use std::time::SystemTime;

use jiff::Timestamp;
use lpm_api::Decision;
use lpm_sbm::{Decided, Ruling};
use serde::Serialize;

use crate::config::Format;
use crate::events::Told;
use crate::output::plain;

/// A decision, as it is printed. Serialized in snake_case.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
struct Line {
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    message: String,
    session: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<String>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_value: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Line {
    fn of(decided: &Decided, time: SystemTime) -> Self {
        let time = Timestamp::try_from(time).map(|time| time.to_string());
        let sender = decided.flow.and_then(|flow| flow.sender());
        let mut line = Self {
            kind: "ruling",
            time: time.unwrap_or_default(),
            message: decided.message.to_string(),
            session: decided.session.to_string(),
            sender: sender.map(|sender| sender.to_string()),
            outcome: decided.outcome.name(),
            priority: None,
            error_code: None,
            error_value: None,
            reason: None,
        };
        match decided.outcome {
            Ruling::Granted(priority) => line.priority = Some(priority.value()),
            Ruling::Denied(decision @ Decision::Reject(_)) => {
                line.error_code = Some(decision.error_code());
                line.error_value = Some(decision.error_value());
            }
            Ruling::Refused(refusal) => {
                line.error_code = Some(refusal.error_code());
                line.error_value = Some(refusal.error_value());
                line.reason = Some(refusal.to_string());
            }
            Ruling::Removed(reason) => line.reason = Some(format!("{reason:?}")),
            Ruling::Denied(_) | Ruling::NotReserved => {}
        }
        line
    }

    fn text(&self) -> String {
        format!("{} {}", self.time, self.what())
    }

    fn what(&self) -> String {
        let mut text = format!("{} {}", self.message, self.session);
        if let Some(sender) = &self.sender {
            text.push_str(&format!(" from {sender}"));
        }
        text.push_str(&format!(": {}", self.outcome));
        if let Some(priority) = self.priority {
            text.push_str(&format!(", priority {priority}"));
        }
        if let Some((code, value)) = self.error_code.zip(self.error_value) {
            text.push_str(&format!(", error {code}/{value}"));
        }
        if let Some(reason) = &self.reason {
            text.push_str(&format!(": {reason}"));
        }
        text
    }
}

/// A decision as it goes to the places of `[[events]]`.
#[must_use]
pub fn told(decided: &Decided, time: SystemTime) -> Told {
    let line = Line::of(decided, time);
    Told {
        name: line.kind,
        text: line.what(),
        json: plain::json(&line),
    }
}

/// Prints a decision.
///
/// # Errors
/// Those of `out`.
pub fn print(
    out: &mut impl Write,
    format: Format,
    decided: &Decided,
    time: SystemTime,
) -> io::Result<()> {
    let line = Line::of(decided, time);
    match format {
        Format::Text => writeln!(out, "{}", line.text()),
        Format::Json => {
            plain::write_json(out, &line)?;
            writeln!(out)
        }
    }
}
