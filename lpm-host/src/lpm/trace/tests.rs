//! What libraries may get wrong, and what must not run out.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use abi_stable::std_types::{RSlice, RStr};
use lpm_abi::AbiValue;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, registry};

use super::*;

const UNLIMITED: TraceLimit = TraceLimit::new(u32::MAX, u32::MAX);

#[test]
fn a_thread_of_a_library_logs_in_the_name_of_its_lpms() {
    let library = Attached::new();
    let name = || who(&source::get(library.0).expect("attached"));
    assert_eq!(&*name(), "liblogs.so", "there is no LPM yet");
    let [a, b] = ["a", "b"].map(Arc::<str>::from);
    for lpm in [&a, &a] {
        note_lpm(library.0, lpm);
        assert_eq!(&*name(), "a");
    }
    note_lpm(library.0, &b);
    assert_eq!(&*name(), "a, b");
}

/// A library that is attached while this exists.
struct Attached(u64);

impl Attached {
    fn new() -> Self {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1 << 40);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        attach(number, Path::new("/somewhere/liblogs.so"), UNLIMITED);
        let _ = host(number);
        Self(number)
    }

    fn register(&self, name: &str, is_span: bool) -> AbiRegistered {
        register(self.0, callsite(name, is_span))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        detach(self.0);
    }
}

fn callsite(name: &str, is_span: bool) -> AbiCallsite<'_> {
    const FIELDS: &[RStr<'_>] = &[RStr::from_str("message"), RStr::from_str("count")];
    AbiCallsite {
        name: name.into(),
        target: "policy".into(),
        module_path: "".into(),
        file: "src/lib.rs".into(),
        line: 7,
        level: 3,
        is_span,
        fields: RSlice::from_slice(FIELDS),
    }
}

fn fields(message: &str) -> [AbiField<'_>; 2] {
    [
        AbiField {
            index: 0,
            value: AbiValue::Formatted(message.into()),
        },
        AbiField {
            index: 1,
            value: AbiValue::Unsigned(3),
        },
    ]
}

fn emit(library: &Attached, site: u32, parent: AbiParent, message: &str) {
    event(
        library.0,
        site,
        parent,
        RSlice::from_slice(&fields(message)),
    );
}

/// Writes down each event in a line.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Line(String);
        impl Visit for Line {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                let _ = write!(self.0, " {field}={value:?}");
            }
        }
        let metadata = event.metadata();
        let mut line = Line(format!("{} {}:", metadata.target(), metadata.name()));
        event.record(&mut line);
        crate::lock::lock(&self.0).push(line.0);
    }
}

/// What a thread's subscriber is told meanwhile.
fn told(emit: impl FnOnce()) -> Vec<String> {
    let lines = Lines::default();
    tracing::subscriber::with_default(registry().with(lines.clone()), emit);
    std::mem::take(&mut *crate::lock::lock(&lines.0))
}

/// The one test that depends on how many callsites there are in the process.
#[test]
fn callsites_are_shared_and_do_not_run_out() {
    let lines = told(|| {
        let one = Attached::new();
        let two = Attached::new();
        let site = one.register("an event", false).site;
        assert_eq!(one.register("an event", false).site, site);
        assert_eq!(two.register("an event", false).site, site);
        assert_ne!(two.register("an event", true).site, site);
        emit(&two, site, AbiParent::Current, "its own callsite");

        let mut last = site;
        for number in 0..sites::LIMIT {
            last = one.register(&format!("event {number}"), false).site;
        }
        assert!(sites::site(last).is_none(), "none of its own is left");
        let again = one.register(&format!("event {}", sites::LIMIT - 1), false);
        assert_eq!(again.site, last);
        assert_ne!(again.interest, AbiInterest::Never);
        emit(&one, last, AbiParent::Current, "none of its own");
        // The other library knows nothing of it.
        emit(&two, last, AbiParent::Current, "nothing");

        // These still do.
        assert_eq!(two.register("an event", false).site, site);
        emit(&one, site, AbiParent::Current, "its own callsite");
        let span = one.register("a span too many", true).site;
        let span = new_span(
            one.0,
            span,
            AbiParent::Current,
            RSlice::from_slice(&fields("in")),
        );
        assert_ne!(span, NO_SPAN);
        record(one.0, span, RSlice::from_slice(&fields("more")));
        enter(one.0, span);
        exit(one.0, span);
        assert!(try_close(one.0, span));
    });
    let own = r#"policy an event: message=its own callsite count=3 lpm="liblogs.so""#;
    let name = format!("event {}", sites::LIMIT - 1);
    let generic = format!(
        r#"lpm lpm event: message=none of its own target="policy" name="{name}" file="src/lib.rs" line=7 fields="count=3" lpm="liblogs.so""#
    );
    assert_eq!(lines, [own, &*generic, own]);
}

#[test]
fn a_callsite_too_large_has_none_of_its_own() {
    told(|| {
        let library = Attached::new();
        let site = library.register(&"x".repeat(100_000), false).site;
        assert!(sites::site(site).is_none());
    });
}

#[test]
fn numbers_that_nobody_gave_out() {
    let lines = told(|| {
        let library = Attached::new();
        for site in [4_000, 5_000, 1 << 31, u32::MAX] {
            if sites::site(site).is_none() {
                emit(&library, site, AbiParent::Current, "from nowhere");
                assert!(!enabled(library.0, site));
                let none = RSlice::from_slice(&[]);
                assert_eq!(new_span(library.0, site, AbiParent::Root, none), NO_SPAN);
            }
        }
        for span in [0, 1 << 50, NO_SPAN] {
            enter(library.0, span);
            record(library.0, span, RSlice::from_slice(&fields("nothing")));
            follows_from(library.0, span, span);
            clone_span(library.0, span);
            assert!(!try_close(library.0, span));
            exit(library.0, span);
        }
        assert_eq!(current_span(library.0).span, 0);
        assert_eq!(under_way::spans(), 0);
    });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn a_span_is_its_librarys_alone() {
    let lines = told(|| {
        let one = Attached::new();
        let two = Attached::new();
        let span = one.register("a span", true).site;
        let span = new_span(one.0, span, AbiParent::Root, RSlice::from_slice(&[]));
        assert!(!try_close(two.0, span));
        enter(two.0, span);
        assert_eq!(under_way::spans(), 0);
        enter(one.0, span);
        assert_eq!(current_span(one.0).span, span);
        assert_eq!(current_span(two.0).span, 0);
        exit(two.0, span);
        assert_eq!(under_way::spans(), 1);
        // The span that is no longer known is still left.
        let site = two.register("afterwards", false).site;
        drop(one);
        leave(0);
        assert_eq!(under_way::spans(), 0);
        emit(&two, site, AbiParent::Span(span), "without a parent");
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn a_library_that_is_gone() {
    let lines = told(|| {
        let library = Attached::new();
        let site = library.register("late", false).site;
        let gone = library.0;
        drop(library);
        assert_eq!(
            register(gone, callsite("late", false)).interest,
            AbiInterest::Never
        );
        assert!(!enabled(gone, site));
        event(
            gone,
            site,
            AbiParent::Current,
            RSlice::from_slice(&fields("late")),
        );
        let late = new_span(gone, site, AbiParent::Root, RSlice::from_slice(&[]));
        assert_eq!(late, NO_SPAN);
        refresh(gone, |_| panic!("nobody is there"));
    });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn an_index_beyond_the_fields() {
    let lines = told(|| {
        let library = Attached::new();
        let site = library.register("miscounted", false).site;
        let value = AbiValue::Text("forged".into());
        let forged = [2, 3, u32::MAX].map(|index| AbiField { index, value });
        event(
            library.0,
            site,
            AbiParent::Current,
            RSlice::from_slice(&forged),
        );
    });
    assert_eq!(lines.len(), 1);
    assert!(lines[0].ends_with(r#"lpm="liblogs.so""#), "{lines:?}");
    assert!(!lines[0].contains("forged"), "{lines:?}");
}

#[test]
fn open_spans_are_limited() {
    let library = Attached::new();
    let source = source::get(library.0).expect("attached");
    let site = sites::generic(3, true);
    let open = || OpenSpan {
        span: Span::none(),
        emitter: emitter::Emitter {
            site,
            generic: None,
        },
        site: 0,
    };
    let numbers: Vec<_> = std::iter::from_fn(|| source.spans.insert(open())).collect();
    assert_eq!(numbers.len(), spans::LIMIT);
    assert!(source.spans.release(numbers[0]));
    assert!(source.spans.insert(open()).is_some());
    assert!(source.spans.insert(open()).is_none());
    source.spans.close();
    assert!(source.spans.insert(open()).is_none());
}
