//! The `tracing` subscriber of a runner, which hands the events and spans of the LPM to the PCM.
//!
//! Which spans a thread is in is known here only: an event, or a span, goes with the one that it is
//! in.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use lpm_api::abi::{level_filter, level_number};
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::{Event, Interest, LevelFilter, Metadata, Subscriber, callsite};

use super::frames::Kind;
use super::up::Up;
use super::words::Put;
use crate::lock::lock;

/// Hands events and spans to the PCM.
pub(super) struct LogsUp(Arc<Logs>);

/// What it knows.
pub(super) struct Logs {
    up: Arc<Up>,
    /// The most verbose level that the PCM wants: 0 nothing, 1 error, … 5 trace.
    level: AtomicU32,
    /// The places in code that the PCM knows, by address.
    sites: Mutex<BTreeMap<usize, usize>>,
    spans: Mutex<Spans>,
}

/// The spans that are open.
#[derive(Default)]
struct Spans {
    last: u64,
    /// How often each is held.
    held: BTreeMap<u64, u64>,
}

thread_local! {
    /// The spans that this thread is in, innermost last.
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Hands the events of this process to the PCM, from now on.
pub(super) fn start(up: &Arc<Up>, level: u32) -> Arc<Logs> {
    let logs = Arc::new(Logs {
        up: Arc::clone(up),
        level: AtomicU32::new(level),
        sites: Mutex::default(),
        spans: Mutex::default(),
    });
    let subscriber = LogsUp(Arc::clone(&logs));
    // There is another one only where a program has set one before it asked whether it is a runner.
    let _ = tracing_core::dispatcher::set_global_default(subscriber.into());
    logs
}

impl Logs {
    /// The PCM wants another level.
    pub(super) fn set_level(&self, level: u32) {
        self.level.store(level, Ordering::Relaxed);
        callsite::rebuild_interest_cache();
    }

    fn level(&self) -> LevelFilter {
        level_filter(self.level.load(Ordering::Relaxed))
    }

    /// Tells of something that happened at a place in code.
    fn tell(
        &self,
        kind: Kind,
        metadata: &'static Metadata<'static>,
        head: impl FnOnce(&mut Put<'_>, u64),
        fields: &Fields,
    ) {
        // Held while it is told, so that nobody speaks of a place that the PCM does not know yet.
        let mut sites = lock(&self.sites);
        let address = std::ptr::from_ref(metadata).addr();
        let next = sites.len();
        let site = *sites.entry(address).or_insert_with(|| {
            self.up.send(Kind::Site, |put| describe(put, metadata));
            next
        });
        self.up.send(kind, |put| {
            head(put, site as u64);
            fields.put_all(put);
        });
    }
}

impl Subscriber for LogsUp {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.enabled(metadata) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.0.level()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.level())
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let parent = parent(event.is_root(), event.parent());
        let head = |put: &mut Put<'_>, site| {
            put.number(site);
            put_parent(put, parent);
        };
        self.0.tell(Kind::Log, event.metadata(), head, &fields);
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        let parent = parent(span.is_root(), span.parent());
        let number = {
            let mut spans = lock(&self.0.spans);
            spans.last += 1;
            let number = spans.last;
            spans.held.insert(number, 1);
            number
        };
        let head = |put: &mut Put<'_>, site| {
            put.number(number).number(site);
            put_parent(put, parent);
        };
        self.0.tell(Kind::Span, span.metadata(), head, &fields);
        Id::from_u64(number)
    }

    fn record(&self, span: &Id, record: &Record<'_>) {
        let mut fields = Fields::default();
        record.record(&mut fields);
        self.0.up.send(Kind::SpanFields, |put| {
            put.number(span.into_u64());
            fields.put_all(put);
        });
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.0.up.send(Kind::SpanFollows, |put| {
            put.number(span.into_u64()).number(follows.into_u64());
        });
    }

    fn enter(&self, span: &Id) {
        entered(|all| all.push(span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        let is_it = |number: &u64| *number == span.into_u64();
        entered(|all| all.iter().rposition(is_it).map(|at| all.remove(at)));
    }

    fn clone_span(&self, span: &Id) -> Id {
        if let Some(held) = lock(&self.0.spans).held.get_mut(&span.into_u64()) {
            *held += 1;
        }
        span.clone()
    }

    fn try_close(&self, span: Id) -> bool {
        let number = span.into_u64();
        {
            let mut spans = lock(&self.0.spans);
            match spans.held.get_mut(&number) {
                Some(1) => spans.held.remove(&number),
                Some(held) => {
                    *held -= 1;
                    return false;
                }
                None => return false,
            };
        }
        self.0.up.send(Kind::SpanClosed, |put| {
            put.number(number);
        });
        true
    }

    fn current_span(&self) -> Current {
        Current::none()
    }
}

/// Looks at or changes what this thread is in; nothing at the very end of a thread.
fn entered<R>(look: impl FnOnce(&mut Vec<u64>) -> R) -> Option<R> {
    let looked = ENTERED.try_with(|all| all.try_borrow_mut().ok().map(|mut all| look(&mut all)));
    looked.ok().flatten()
}

fn parent(is_root: bool, parent: Option<&Id>) -> Option<u64> {
    match parent {
        _ if is_root => None,
        Some(span) => Some(span.into_u64()),
        None => entered(|all| all.last().copied()).flatten(),
    }
}

fn put_parent(put: &mut Put<'_>, parent: Option<u64>) {
    put.number(parent.is_some());
    if let Some(parent) = parent {
        put.number(parent);
    }
}

fn describe(put: &mut Put<'_>, metadata: &Metadata<'_>) {
    put.text(metadata.target()).text(metadata.name());
    put.text(metadata.module_path().unwrap_or_default());
    put.text(metadata.file().unwrap_or_default());
    put.number(metadata.line().unwrap_or_default());
    put.number(level_number(*metadata.level()));
    put.number(metadata.is_span());
    put.number(metadata.fields().len() as u64);
    for field in metadata.fields() {
        put.text(field.name());
    }
}

/// The fields of an event or a span, in words.
#[derive(Default)]
struct Fields {
    count: u64,
    words: Vec<u64>,
}

impl Fields {
    fn put_all(&self, put: &mut Put<'_>) {
        put.number(self.count);
        put.0.extend(&self.words);
    }

    fn put(&mut self, field: &Field, kind: u32, value: impl FnOnce(&mut Put<'_>)) {
        // The last one names the LPM, which the PCM knows.
        if field.name() == "lpm" {
            return;
        }
        self.count += 1;
        let mut put = Put(&mut self.words);
        put.number(field.index() as u64).number(kind);
        value(&mut put);
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, 0, |put| {
            put.number(u64::from_ne_bytes(value.to_ne_bytes()));
        });
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, 1, |put| {
            put.number(value);
        });
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, 2, |put| {
            put.number(value.to_bits());
        });
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, 3, |put| {
            put.number(value);
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, 4, |put| {
            put.text(value);
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        self.put(field, 5, |put| {
            put.text(&text);
        });
    }
}
