//! Events and spans of libraries, handed to the host's `tracing`.
//!
//! What a library hands over are plain records, borrowed for the call; nothing of its memory is
//! kept, and no function of it is known here. Each of its callsites is a callsite of the host, so
//! that filters see level, target, name and fields as if the host had emitted them.
//!
//! Subscribers are the embedder's code. They are called with no lock held, may call the PCM, and
//! their panics end here.

mod budget;
mod caught;
mod emitter;
mod sites;
mod source;
mod spans;
#[cfg(test)]
mod tests;
mod values;

use std::path::Path;
use std::sync::Arc;

use abi_stable::std_types::{RSlice, RStr};
use lpm_abi::{
    AbiCallsite, AbiCurrentSpan, AbiField, AbiInterest, AbiParent, AbiRegistered, AbiTraceHost,
    NO_SPAN,
};
use lpm_api::abi::level_number;
use smallvec::SmallVec;
use tracing::Span;
use tracing::level_filters::STATIC_MAX_LEVEL;
use tracing_core::field::ValueSet;
use tracing_core::span::Record;
use tracing_core::{Event, LevelFilter};

pub use self::budget::TraceLimit;

use super::under_way;

use self::caught::caught;
use self::sites::{Description, Site};
use self::source::Source;
use self::spans::OpenSpan;

/// Takes records of this library from now on.
pub(super) fn attach(library: u64, path: &Path, limit: TraceLimit) {
    source::add(library, path, limit);
}

/// Notes that there is an LPM of this name in this library.
pub(super) fn note_lpm(library: u64, name: &Arc<str>) {
    if let Some(source) = source::get(library) {
        source.has(name);
    }
}

/// The LPM in this library, or all of them.
pub(super) fn lpms(library: u64) -> Option<Arc<str>> {
    source::get(library)?.lpms()
}

/// Takes no more records of this library, and closes the spans that it left open.
pub(super) fn detach(library: u64) {
    if let Some(source) = source::remove(library) {
        source.spans.close();
        caught(|| source.report_dropped());
    }
}

/// What the library is given to hand over records with.
pub(super) fn host(library: u64) -> AbiTraceHost {
    let level = level();
    if let Some(source) = source::get(library) {
        source.tell_level(level);
    }
    AbiTraceHost {
        level,
        register,
        enabled,
        event,
        new_span,
        record,
        follows_from,
        enter,
        exit,
        clone_span,
        try_close,
        current_span,
    }
}

/// Tells the library, which `set_level` does, if the host's filters have changed since it was last
/// told; reports what was dropped.
pub(super) fn refresh(library: u64, set_level: impl FnOnce(u32)) {
    let Some(source) = source::get(library) else {
        return;
    };
    caught(|| source.report_dropped());
    source.refreshing(|| {
        let level = level();
        if source.is_stale(level) {
            source.tell_level(level);
            set_level(level);
        }
    });
}

/// Leaves the spans that this thread has entered since it was in so many.
#[cold]
pub(super) fn leave(depth: usize) {
    while let Some(open) = spans::exit_beyond(depth) {
        caught(|| {
            open.span
                .with_subscriber(|(id, dispatch)| dispatch.exit(id))
        });
    }
}

/// The LPM that a record on this thread is from; all of the library, for one from a thread of the
/// library's own.
fn who(source: &Source) -> Arc<str> {
    under_way::lpm_on_this_thread().unwrap_or_else(|| source.name())
}

/// The most verbose level that the host wants: 0 nothing, 1 error, … 5 trace.
fn level() -> u32 {
    let wanted = LevelFilter::current().min(STATIC_MAX_LEVEL);
    wanted.into_level().map_or(0, level_number)
}

/// [`AbiTraceHost::register`].
extern "C" fn register(library: u64, callsite: AbiCallsite<'_>) -> AbiRegistered {
    let registered = caught(|| {
        let source = source::get(library)?;
        let fields: SmallVec<[&str; 16]> = callsite.fields.iter().map(RStr::as_str).collect();
        let site = source.register(&Description {
            target: callsite.target.as_str(),
            name: callsite.name.as_str(),
            file: callsite.file.as_str(),
            line: callsite.line,
            module_path: callsite.module_path.as_str(),
            level: callsite.level,
            is_span: callsite.is_span,
            fields: &fields,
        })?;
        let interest = source.emitter(site)?.interest();
        source.tell_interest(site, interest);
        Some(AbiRegistered { site, interest })
    });
    registered.flatten().unwrap_or(AbiRegistered {
        site: u32::MAX,
        interest: AbiInterest::Never,
    })
}

/// [`AbiTraceHost::enabled`].
extern "C" fn enabled(library: u64, site: u32) -> bool {
    let enabled = caught(|| Some(source::get(library)?.emitter(site)?.site.is_enabled()));
    enabled.flatten().unwrap_or(false)
}

/// [`AbiTraceHost::event`].
extern "C" fn event(library: u64, site: u32, parent: AbiParent, fields: RSlice<'_, AbiField<'_>>) {
    caught(|| {
        let source = source::get(library)?;
        let emitter = source.emitter(site)?;
        let site = emitter.site;
        let parent = Parent::of(parent, &source);
        if parent.wants(site) && source.may_emit() {
            let lpm = who(&source);
            values::lend(&emitter, fields.as_slice(), Some(&lpm), |values| {
                parent.event(site, values);
            });
        }
        Some(())
    });
}

/// [`AbiTraceHost::new_span`].
extern "C" fn new_span(
    library: u64,
    site: u32,
    parent: AbiParent,
    fields: RSlice<'_, AbiField<'_>>,
) -> u64 {
    let number = caught(|| {
        let source = source::get(library)?;
        let emitter = source.emitter(site)?;
        let parent = Parent::of(parent, &source);
        if !parent.wants(emitter.site) || !source.may_emit() {
            return None;
        }
        let lpm = who(&source);
        let span = values::lend(&emitter, fields.as_slice(), Some(&lpm), |values| {
            parent.span(emitter.site, values)
        });
        let number = source.spans.insert(OpenSpan {
            span,
            emitter,
            site,
        });
        if number.is_none() {
            source.drop_one();
        }
        number
    });
    number.flatten().unwrap_or(NO_SPAN)
}

/// [`AbiTraceHost::record`].
extern "C" fn record(library: u64, span: u64, fields: RSlice<'_, AbiField<'_>>) {
    caught(|| {
        let source = source::get(library)?;
        let open = source.spans.get(span)?;
        if source.may_emit() {
            values::lend(&open.emitter, fields.as_slice(), None, |values| {
                open.span.with_subscriber(|(id, dispatch)| {
                    dispatch.record(id, &Record::new(values));
                });
            });
        }
        Some(())
    });
}

/// [`AbiTraceHost::follows_from`].
extern "C" fn follows_from(library: u64, span: u64, follows: u64) {
    caught(|| {
        let source = source::get(library)?;
        let (span, follows) = (source.spans.get(span)?, source.spans.get(follows)?);
        if source.may_emit() {
            span.span.follows_from(follows.span.id());
        }
        Some(())
    });
}

/// [`AbiTraceHost::enter`].
extern "C" fn enter(library: u64, span: u64) {
    caught(|| {
        let open = source::get(library)?.spans.get(span)?;
        if spans::enter(library, span, Arc::clone(&open)) {
            open.span
                .with_subscriber(|(id, dispatch)| dispatch.enter(id));
        }
        Some(())
    });
}

/// [`AbiTraceHost::exit`].
extern "C" fn exit(library: u64, span: u64) {
    caught(|| {
        let open = spans::exit(library, span)?;
        open.span
            .with_subscriber(|(id, dispatch)| dispatch.exit(id))
    });
}

/// [`AbiTraceHost::clone_span`].
extern "C" fn clone_span(library: u64, span: u64) {
    caught(|| source::get(library).map(|source| source.spans.retain(span)));
}

/// [`AbiTraceHost::try_close`].
extern "C" fn try_close(library: u64, span: u64) -> bool {
    let closed = caught(|| Some(source::get(library)?.spans.release(span)));
    closed.flatten().unwrap_or(false)
}

/// [`AbiTraceHost::current_span`].
extern "C" fn current_span(library: u64) -> AbiCurrentSpan {
    let current = caught(|| spans::current(library)).flatten();
    current.unwrap_or(AbiCurrentSpan { span: 0, site: 0 })
}

/// Where a new event or span belongs. One that has a span of the library as its parent goes to that
/// span's subscriber, to which alone the span's id means something; others go to the thread's.
enum Parent {
    Current,
    Root,
    Span(Arc<OpenSpan>),
}

impl Parent {
    fn of(parent: AbiParent, source: &Source) -> Self {
        match parent {
            AbiParent::Current => Self::Current,
            AbiParent::Root => Self::Root,
            // Like `tracing`, for which the child of a disabled span has no parent.
            AbiParent::Span(number) => source.spans.get(number).map_or(Self::Root, Self::Span),
        }
    }

    fn wants(&self, site: &'static Site) -> bool {
        let wants = match self {
            Self::Current | Self::Root => None,
            Self::Span(open) => open
                .span
                .with_subscriber(|(_, dispatch)| site.is_enabled_by(dispatch)),
        };
        wants.unwrap_or_else(|| site.is_enabled())
    }

    fn event(&self, site: &'static Site, values: &ValueSet<'_>) {
        let metadata = site.metadata;
        match self {
            Self::Current => Event::dispatch(metadata, values),
            Self::Root => Event::child_of(None, metadata, values),
            Self::Span(open) => {
                open.span.with_subscriber(|(id, dispatch)| {
                    dispatch.event(&Event::new_child_of(id.clone(), metadata, values));
                });
            }
        }
    }

    fn span(&self, site: &'static Site, values: &ValueSet<'_>) -> Span {
        let metadata = site.metadata;
        let child = match self {
            Self::Current => Some(Span::new(metadata, values)),
            Self::Root => None,
            Self::Span(open) => open.span.with_subscriber(|(id, dispatch)| {
                Span::child_of_with(id.clone(), metadata, values, dispatch)
            }),
        };
        child.unwrap_or_else(|| Span::new_root(metadata, values))
    }
}
