//! The `tracing` subscriber of a runner, which hands the events of the LPM to the PCM. Spans stay
//! in this process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use lpm_api::abi::{level_filter, level_number};
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::{Event, Interest, LevelFilter, Metadata, Subscriber, callsite};

use super::super::lock::lock;
use super::frames::Kind;
use super::up::Up;
use super::words::Put;

/// Hands events to the PCM.
pub(super) struct LogsUp(Arc<Logs>);

/// What it knows.
pub(super) struct Logs {
    up: Arc<Up>,
    /// The most verbose level that the PCM wants: 0 nothing, 1 error, … 5 trace.
    level: AtomicU32,
    /// The places in code that the PCM knows, by address.
    sites: Mutex<BTreeMap<usize, usize>>,
}

/// Hands the events of this process to the PCM, from now on.
pub(super) fn start(up: &Arc<Up>, level: u32) -> Arc<Logs> {
    let logs = Arc::new(Logs {
        up: Arc::clone(up),
        level: AtomicU32::new(level),
        sites: Mutex::default(),
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
}

impl Subscriber for LogsUp {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.enabled(metadata) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.0.level()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.level())
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let up = &self.0.up;
        // Held while it is told, so that nobody speaks of a place that the PCM does not know yet.
        let mut sites = lock(&self.0.sites);
        let address = std::ptr::from_ref(metadata).addr();
        let next = sites.len();
        let site = *sites.entry(address).or_insert_with(|| {
            up.send(Kind::Site, |put| describe(put, metadata));
            next
        });
        let mut fields = Fields {
            count: 0,
            words: Vec::new(),
        };
        event.record(&mut fields);
        up.send(Kind::Log, |put| {
            put.number(site as u64).number(fields.count);
            put.0.extend(&fields.words);
        });
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}

    fn current_span(&self) -> Current {
        Current::none()
    }
}

fn describe(put: &mut Put<'_>, metadata: &Metadata<'_>) {
    put.text(metadata.target()).text(metadata.name());
    put.text(metadata.module_path().unwrap_or_default());
    put.text(metadata.file().unwrap_or_default());
    put.number(metadata.line().unwrap_or_default());
    put.number(level_number(*metadata.level()));
    put.number(metadata.fields().len() as u64);
    for field in metadata.fields() {
        put.text(field.name());
    }
}

/// The fields of an event, in words.
struct Fields {
    count: u64,
    words: Vec<u64>,
}

impl Fields {
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
