//! A layer that remembers everything a subscriber is told.

use std::error::Error;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// The layer; clones share what they remember.
#[derive(Clone, Debug, Default)]
pub struct Capture(Arc<Mutex<Vec<Captured>>>);

/// One thing that a subscriber was told.
#[derive(Clone, Debug, PartialEq)]
pub struct Captured {
    /// What it was.
    pub what: What,
    /// The name of the callsite.
    pub name: &'static str,
    /// Its target.
    pub target: String,
    /// Its level.
    pub level: Level,
    /// Its source file.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
    /// The fields that were recorded.
    pub fields: Vec<(&'static str, Value)>,
    /// The names of the spans that it is in, the outermost first.
    pub path: Vec<&'static str>,
    /// The thread that told it.
    pub thread: ThreadId,
}

/// What a subscriber can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An event.
    Event,
    /// A span was made.
    Span,
    /// Fields of a span were recorded.
    Record,
    /// A span follows from another, which the path ends in.
    Follows,
    /// A span was closed.
    Close,
}

/// The value of a field, by the method that recorded it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `record_i64`.
    Signed(i64),
    /// `record_u64`.
    Unsigned(u64),
    /// `record_f64`.
    Float(f64),
    /// `record_bool`.
    Flag(bool),
    /// `record_str`.
    Text(String),
    /// `record_error` and `record_debug`.
    Formatted(String),
}

impl Capture {
    /// Everything so far, in order.
    #[must_use]
    pub fn all(&self) -> Vec<Captured> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What was told of this kind.
    #[must_use]
    pub fn of(&self, what: What) -> Vec<Captured> {
        let mut all = self.all();
        all.retain(|captured| captured.what == what);
        all
    }

    /// The events with this message.
    #[must_use]
    pub fn events(&self, message: &str) -> Vec<Captured> {
        let mut events = self.of(What::Event);
        events.retain(|event| event.message() == message);
        events
    }

    /// The one event with this message.
    ///
    /// # Panics
    ///
    /// When there is none, or several.
    #[must_use]
    pub fn event(&self, message: &str) -> Captured {
        let mut events = self.events(message);
        assert_eq!(events.len(), 1, "{message}: {:#?}", self.all());
        events.remove(0)
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn push(
        &self,
        what: What,
        metadata: &Metadata<'_>,
        fields: Fields,
        path: impl Iterator<Item = &'static str>,
    ) {
        let captured = Captured {
            what,
            name: metadata.name(),
            target: metadata.target().to_owned(),
            level: *metadata.level(),
            file: metadata.file().map(str::to_owned),
            line: metadata.line(),
            fields: fields.0,
            path: path.collect(),
            thread: thread::current().id(),
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(captured);
    }
}

impl Captured {
    /// The value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        let mut of_name = self.fields.iter().filter(|(field, _)| *field == name);
        of_name.next().map(|(_, value)| value)
    }

    /// The text of an event.
    #[must_use]
    pub fn message(&self) -> &str {
        match self.field("message") {
            Some(Value::Formatted(text) | Value::Text(text)) => text,
            _ => "",
        }
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Capture {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let fields = Fields::of(|fields| attributes.record(fields));
        let span = context.span(id).expect("it was just made");
        let path = span.scope().from_root().map(|span| span.name());
        self.push(What::Span, span.metadata(), fields, path);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let fields = Fields::of(|fields| record.record(fields));
        let span = context.span(id).expect("it is open");
        let path = span.scope().from_root().map(|span| span.name());
        self.push(What::Record, span.metadata(), fields, path);
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, S>) {
        let span = context.span(id).expect("it is open");
        let follows = context.span(follows).expect("it is open");
        let path = follows.scope().from_root().map(|span| span.name());
        self.push(What::Follows, span.metadata(), Fields::default(), path);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let fields = Fields::of(|fields| event.record(fields));
        let scope = context.event_scope(event);
        let spans = scope
            .into_iter()
            .flat_map(tracing_subscriber::registry::Scope::from_root);
        let path = spans.map(|span| span.name());
        self.push(What::Event, event.metadata(), fields, path);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).expect("it is being closed");
        let path = span.scope().from_root().map(|span| span.name());
        self.push(What::Close, span.metadata(), Fields::default(), path);
    }
}

#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn of(record: impl FnOnce(&mut Self)) -> Self {
        let mut fields = Self::default();
        record(&mut fields);
        fields
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push((field.name(), Value::Signed(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push((field.name(), Value::Unsigned(value)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.push((field.name(), Value::Float(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.push((field.name(), Value::Flag(value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), Value::Text(value.to_owned())));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let text = value.to_string();
        self.0.push((field.name(), Value::Formatted(text)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        self.0.push((field.name(), Value::Formatted(text)));
    }
}
