//! What LPMs log, as records of the output.
//!
//! The host hands on what LPMs log to this program's `tracing` subscriber, inside the call that
//! logs. So nothing is written here: the records wait until the next one that is not of a log.

use std::fmt::{Debug, Write};
use std::sync::Arc;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::output::record::Record;
use crate::output::reporter::Reporter;
use crate::secrets;

/// Of how much that LPMs log there are records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Nothing
    Off,
    /// Errors
    Error,
    /// Warnings and errors
    Warn,
    /// What an operator may want to know, too
    Info,
    /// What a developer wants to know, too
    Debug,
    /// Everything
    Trace,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::OFF,
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// Has what is logged in this process reported from now on, down to this level.
pub fn report(level: LogLevel, reporter: &Arc<Reporter>) {
    let layer = Records(Arc::clone(reporter)).with_filter(LevelFilter::from(level));
    let subscriber = tracing_subscriber::registry().with(layer);
    // A process runs one command, so nobody has set one before.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

struct Records(Arc<Reporter>);

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Records {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let scope = context.event_scope(event);
        let spans = scope
            .into_iter()
            .flat_map(tracing_subscriber::registry::Scope::from_root);
        let metadata = event.metadata();
        self.0.queue(Record::Log {
            level: level_name(metadata.level()),
            lpm: fields.lpm,
            target: metadata.target().to_owned(),
            spans: spans.map(|span| span.name().to_owned()).collect(),
            message: fields.message,
            fields: fields.others,
        });
    }
}

const fn level_name(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    /// The field that the host adds; it names the LPM.
    lpm: Option<String>,
    others: Map<String, Value>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        let value = match value {
            Value::String(text) => Value::String(secrets::hide(&text).into_owned()),
            value => value,
        };
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("lpm", Value::String(name)) => self.lpm = Some(name),
            (name, value) => drop(self.others.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // Writing to a `String` fails only where the value's own formatting does.
        let _ = write!(text, "{value:?}");
        self.add(field, text.into());
    }
}
