//! Events and spans of the library, handed to the PCM.
//!
//! The library has a `tracing` of its own, with its own subscriber, callsites and level; none of
//! these can be shared with the PCM. So the library's subscriber is this one, which hands plain
//! records to the PCM. What the PCM does not want, by level or by target, the library's `tracing`
//! knows and drops before any field is evaluated.

mod sites;
mod values;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use lpm_abi::{AbiHost, AbiInterest, AbiParent, AbiRegistered, NO_SPAN};
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::{
    Dispatch, Event, Interest, LevelFilter, Metadata, Subscriber, callsite, dispatcher,
};

use self::values::Values;
use super::caught::caught;
use super::level::level_filter;

/// The PCM. Its functions stay good after `detach`: it is the PCM that unloads the library.
static HOST: OnceLock<AbiHost> = OnceLock::new();
/// Whether the library is between `attach` and `detach`.
static ATTACHED: AtomicBool = AtomicBool::new(false);
/// The most verbose level that the PCM wants.
static LEVEL: AtomicU32 = AtomicU32::new(0);

/// Makes the bridge the library's subscriber, before anything else of the library runs.
pub(super) fn attach(host: AbiHost) {
    if HOST.set(host).is_err() {
        return;
    }
    LEVEL.store(host.trace.level, Ordering::Relaxed);
    ATTACHED.store(true, Ordering::Release);
    // Refused only where the library's initializers have set a subscriber, which then stays.
    let _ = dispatcher::set_global_default(Dispatch::new(Bridge));
}

/// Hands over nothing any more.
pub(super) fn detach() {
    ATTACHED.store(false, Ordering::Release);
    LEVEL.store(0, Ordering::Relaxed);
    callsite::rebuild_interest_cache();
    sites::forget();
}

/// [`AbiLpmModule::set_level`](lpm_abi::AbiLpmModule::set_level).
pub(super) extern "C" fn set_level(level: u32) {
    let _ = caught(|| {
        LEVEL.store(level, Ordering::Relaxed);
        // Asks the PCM about every callsite again.
        callsite::rebuild_interest_cache();
    });
}

/// The library's subscriber.
struct Bridge;

impl Subscriber for Bridge {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        let Some(host) = host() else {
            return Interest::never();
        };
        if *metadata.level() > level() {
            // Asked about once the level allows it.
            return Interest::never();
        }
        match register(host, metadata).interest {
            AbiInterest::Never => Interest::never(),
            AbiInterest::Sometimes => Interest::sometimes(),
            AbiInterest::Always => Interest::always(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(level())
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let Some(host) = host() else { return false };
        if *metadata.level() > level() {
            return false;
        }
        match sites::number(metadata) {
            Some(site) => (host.trace.enabled)(host.library, site),
            // Made up for the question, as by `tracing-log`; what is emitted is asked about again.
            None => true,
        }
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let number = host().map_or(NO_SPAN, |host| {
            let parent = parent(span.is_root(), span.parent());
            let mut values = Values::default();
            span.record(&mut values);
            let site = site(host, span.metadata());
            values.lend(|values| (host.trace.new_span)(host.library, site, parent, values))
        });
        // 0 is no number of a span.
        Id::from_u64(number.max(1))
    }

    fn record(&self, span: &Id, record: &Record<'_>) {
        if let Some((host, span)) = kept(span) {
            let mut values = Values::default();
            record.record(&mut values);
            values.lend(|values| (host.trace.record)(host.library, span, values));
        }
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        if let (Some((host, span)), Some((_, follows))) = (kept(span), kept(follows)) {
            (host.trace.follows_from)(host.library, span, follows);
        }
    }

    fn event(&self, event: &Event<'_>) {
        let Some(host) = host() else { return };
        let parent = parent(event.is_root(), event.parent());
        let mut values = Values::default();
        event.record(&mut values);
        let site = site(host, event.metadata());
        values.lend(|values| (host.trace.event)(host.library, site, parent, values));
    }

    fn enter(&self, span: &Id) {
        if let Some((host, span)) = kept(span) {
            (host.trace.enter)(host.library, span);
        }
    }

    fn exit(&self, span: &Id) {
        if let Some((host, span)) = kept(span) {
            (host.trace.exit)(host.library, span);
        }
    }

    fn clone_span(&self, span: &Id) -> Id {
        if let Some((host, span)) = kept(span) {
            (host.trace.clone_span)(host.library, span);
        }
        span.clone()
    }

    fn try_close(&self, span: Id) -> bool {
        kept(&span).is_some_and(|(host, span)| (host.trace.try_close)(host.library, span))
    }

    fn current_span(&self) -> Current {
        let current = host().map(|host| (host.trace.current_span)(host.library));
        let known = current
            .filter(|current| current.span != 0)
            .and_then(|current| Some((current.span, sites::metadata(current.site)?)));
        match known {
            Some((span, metadata)) => Current::new(Id::from_u64(span), metadata),
            None => Current::none(),
        }
    }
}

fn host() -> Option<&'static AbiHost> {
    HOST.get().filter(|_| ATTACHED.load(Ordering::Acquire))
}

fn level() -> LevelFilter {
    level_filter(LEVEL.load(Ordering::Relaxed))
}

fn parent(is_root: bool, parent: Option<&Id>) -> AbiParent {
    match parent {
        _ if is_root => AbiParent::Root,
        Some(span) => AbiParent::Span(span.into_u64()),
        None => AbiParent::Current,
    }
}

/// The PCM and the number of a span that it keeps.
fn kept(span: &Id) -> Option<(&'static AbiHost, u64)> {
    let span = span.into_u64();
    host().filter(|_| span != NO_SPAN).map(|host| (host, span))
}

/// The number of a callsite; the PCM is told of it first where that has not been done.
fn site(host: &AbiHost, metadata: &'static Metadata<'static>) -> u32 {
    sites::number(metadata).unwrap_or_else(|| register(host, metadata).site)
}

fn register(host: &AbiHost, metadata: &'static Metadata<'static>) -> AbiRegistered {
    sites::register(metadata, |callsite| {
        (host.trace.register)(host.library, callsite)
    })
}
