//! The host's log, in which the LPM's lines are.

use std::fmt::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps what is logged from now on.
pub fn listen() {
    tracing::subscriber::set_global_default(Log::default()).expect("nobody else listens");
}

/// The lines of LPMs since the last time, each after the name of its LPM.
pub fn take() -> Vec<String> {
    std::mem::take(&mut LINES.lock().expect("nothing panics here"))
}

#[derive(Default)]
struct Log {
    spans: AtomicU64,
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        fields.message = format!("span {}", span.metadata().name());
        fields.keep();
        Id::from_u64(1 + self.spans.fetch_add(1, Relaxed))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        fields.keep();
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Fields {
    lpm: String,
    message: String,
    others: String,
}

impl Fields {
    /// Keeps them as a line, if they are an LPM's.
    fn keep(&self) {
        if !self.lpm.is_empty() {
            let line = format!("{}: {}{}", self.lpm, self.message, self.others);
            LINES.lock().expect("nothing panics here").push(line);
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "lpm" => self.lpm = text.trim_matches('"').to_owned(),
            "message" => self.message = text,
            name => write!(self.others, " {name}={text}").expect("a string takes all"),
        }
    }
}
