//! Events and spans of an LPM in the host's `tracing` subscriber.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use lpm_host::{LpmConfig, Outcome, Pcm, PendingChange, Teardown, TraceLimit, UnloadOutcome};
use lpm_tests::capture::{Capture, Captured, Value, What};
use lpm_tests::messages::{admit, path};
use lpm_tests::platform::assert_gone;
use lpm_tests::process::{in_child, in_own_process, is_own_process, told};
use lpm_tests::{RecordedEvents, fixture};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber, info_span};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, registry, reload};

/// The LPM that logs in this way.
fn logs(way: &str) -> LpmConfig {
    fixture("logs").config(way)
}

fn start(lpm: LpmConfig) -> Arc<Pcm> {
    let pcm = Pcm::builder().lpm(lpm).event_log(RecordedEvents::default());
    let pcm = Arc::new(pcm.build().expect("builds"));
    pcm.become_dsbm().expect("starts");
    pcm
}

fn ask(pcm: &Pcm) {
    let verdict = admit(pcm, &path(4000)).expect("in charge");
    // The LPM has no opinion, and nobody else accepts.
    assert_eq!(verdict.outcome(), Outcome::Reject);
}

fn stop(pcm: &Pcm) {
    let teardown = pcm.demote().expect("in charge");
    assert_gone(&teardown.libraries[0].outcome);
}

/// Runs the LPM once under a subscriber of everything.
fn captured(way: &str) -> Capture {
    let capture = Capture::default();
    registry().with(capture.clone()).init();
    let pcm = start(logs(way));
    info_span!("host").in_scope(|| ask(&pcm));
    stop(&pcm);
    capture
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn formatted(text: &str) -> Value {
    Value::Formatted(text.to_owned())
}

/// The line of the fixture with this text.
fn line_of(text: &str) -> u32 {
    let source = include_str!("../fixtures/examples/logs.rs");
    let lines = source
        .lines()
        .zip(1..)
        .filter(|(line, _)| line.contains(text));
    let numbers: Vec<u32> = lines.map(|(_, number)| number).collect();
    assert_eq!(numbers.len(), 1, "{text}");
    numbers[0]
}

/// That it says where it comes from: from the LPM that is called, or that of the library on a
/// thread of its own.
fn assert_of_fixture(captured: &Captured) {
    assert_eq!(captured.field("lpm"), Some(&text("logs")), "{captured:?}");
    let file = captured.file.as_deref().unwrap_or_default();
    let file = file.replace('\\', "/");
    assert!(file.ends_with("tests/fixtures/examples/logs.rs"), "{file}");
}

#[test]
fn levels_and_targets() {
    in_own_process("levels_and_targets", || {
        let capture = captured("levels");
        for level in [
            Level::ERROR,
            Level::WARN,
            Level::INFO,
            Level::DEBUG,
            Level::TRACE,
        ] {
            let message = format!("at level {}", level.as_str().to_lowercase());
            let event = capture.event(&message);
            assert_eq!(event.level, level);
            assert_eq!(event.target, "logs");
            assert_eq!(event.line, Some(line_of(&message)));
            assert_eq!(event.path, ["host"]);
            assert_eq!(event.thread, thread::current().id());
            assert_of_fixture(&event);
        }
        let event = capture.event("with a target");
        assert_eq!(event.target, "policy::audit");
        assert_eq!(event.name, "audit");
    });
}

#[test]
fn fields_of_every_type() {
    in_own_process("fields_of_every_type", || {
        let event = captured("fields").event("every type: 2");
        let expected = [
            ("message", formatted("every type: 2")),
            ("signed", Value::Signed(-7)),
            ("unsigned", Value::Unsigned(u64::MAX)),
            ("float", Value::Float(2.5)),
            ("flag", Value::Flag(true)),
            ("text", text("tab\there")),
            ("debugged", formatted(r#"Some("tab\t")"#)),
            ("displayed", formatted("as it is")),
            ("large", formatted(&i128::MIN.to_string())),
            ("larger", formatted(&u128::MAX.to_string())),
            (
                "error",
                formatted("not a number: invalid digit found in string"),
            ),
            ("lpm_", text("a field of its own")),
            ("lpm", text("logs")),
        ];
        assert_eq!(event.fields, expected);
    });
}

#[test]
fn spans_nest_in_those_of_the_host() {
    in_own_process("spans_nest_in_those_of_the_host", || {
        assert_nested(&captured("spans"), &["host"]);
    });
}

/// Those of an LPM in a process of its own nest in each other.
#[cfg(target_os = "linux")]
#[test]
fn spans_in_a_process_of_its_own() {
    in_own_process("spans_in_a_process_of_its_own", || {
        let capture = Capture::default();
        registry().with(capture.clone()).init();
        let lpm = logs("spans").isolation(lpm_host::Isolation::Process);
        let pcm = Pcm::builder().lpm(lpm).runner(lpm_tests::runner());
        let pcm = pcm.event_log(RecordedEvents::default()).build();
        let pcm = pcm.expect("builds");
        pcm.become_dsbm().expect("starts");
        ask(&pcm);
        stop(&pcm);
        assert_nested(&capture, &[]);
    });
}

/// That the spans of the fixture, and what happened in them, are there, in these of the host.
fn assert_nested(capture: &Capture, host: &[&'static str]) {
    let within = |spans: &[&'static str]| [host, spans].concat();
    let spans: Vec<_> = capture
        .of(What::Span)
        .into_iter()
        .filter(|span| span.target == "logs")
        .collect();
    let [outer, inner, aside] = &spans[..] else {
        panic!("{spans:#?}")
    };
    spans.iter().for_each(assert_of_fixture);
    assert_eq!(outer.path, within(&["outer"]));
    assert_eq!(outer.field("flow"), Some(&Value::Signed(1)));
    assert_eq!(outer.field("verdict"), None);
    assert_eq!(inner.path, within(&["outer", "inner"]));
    assert_eq!(inner.field("step"), Some(&text("first")));
    assert_eq!(aside.path, ["aside"]);

    let recorded = capture.of(What::Record);
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0].name, "outer");
    assert_eq!(recorded[0].fields, [("verdict", text("accepted"))]);
    let follows = capture.of(What::Follows);
    assert_eq!((follows.len(), follows[0].name), (1, "aside"));
    assert_eq!(follows[0].path, within(&["outer"]));

    assert_eq!(capture.event("in both").path, within(&["outer", "inner"]));
    let event = capture.event("in the outer one");
    assert_eq!(event.path, within(&["outer"]));
    assert_eq!(event.field("current"), Some(&text("outer")));
    assert_eq!(capture.event("in the one aside").path, ["aside"]);
    assert_eq!(capture.event("in none").path, [""; 0]);
    assert_eq!(capture.event("in the copy").path, ["aside"]);

    let closed = capture.of(What::Close);
    let names: Vec<_> = closed.iter().map(|span| span.name).collect();
    assert_eq!(names, [&["aside", "inner", "outer"], host].concat());
}

#[test]
fn a_thread_of_the_lpm() {
    in_own_process("a_thread_of_the_lpm", || {
        let event = captured("thread").event("on a thread of its own");
        assert_ne!(event.thread, thread::current().id());
        assert_eq!(event.path, ["host", "asks elsewhere"]);
        assert_of_fixture(&event);
    });
}

#[test]
fn initialize_and_deinitialize() {
    in_own_process("initialize_and_deinitialize", || {
        let capture = captured("nothing");
        let event = capture.event("initialize");
        assert_eq!(event.field("config"), Some(&text("nothing")));
        assert_of_fixture(&event);
        let event = capture.event("deinitialize");
        assert_eq!(event.level, Level::WARN);
        assert_of_fixture(&event);
    });
}

/// An LPM may have a subscriber of its own for a while.
#[test]
fn a_subscriber_of_the_lpm() {
    in_own_process("a_subscriber_of_the_lpm", || {
        let capture = captured("own-subscriber");
        assert!(capture.events("to its own").is_empty());
        assert_of_fixture(&capture.event("to the host"));
    });
}

/// What is filtered out is not even evaluated, until the filter changes.
#[test]
fn filters_act_inside_the_lpm() {
    in_own_process("filters_act_inside_the_lpm", || {
        let quiet = || {
            let targets = Targets::new().with_default(LevelFilter::INFO);
            targets.with_target("policy::chatter", LevelFilter::OFF)
        };
        let capture = Capture::default();
        let (filter, handle) = reload::Layer::new(quiet());
        registry().with(filter).with(capture.clone()).init();
        let pcm = start(logs("filtered"));
        let evaluated = || {
            let event = capture.event("filtered");
            capture.clear();
            event.field("evaluated").cloned()
        };

        ask(&pcm);
        pcm.refresh_trace_filters();
        ask(&pcm);
        assert_eq!(capture.events("filtered").len(), 2);
        let both = capture.events("filtered");
        assert_eq!(both[1].field("evaluated"), Some(&Value::Unsigned(0)));
        assert!(capture.of(What::Span).is_empty());
        capture.clear();

        let filter_by = |targets: Targets| {
            handle.reload(targets).expect("the subscriber is there");
            pcm.refresh_trace_filters();
            ask(&pcm);
        };
        filter_by(Targets::new().with_default(LevelFilter::INFO));
        assert_eq!(capture.events("of no interest").len(), 1);
        assert_eq!(evaluated(), Some(Value::Unsigned(1)));

        filter_by(Targets::new().with_default(LevelFilter::TRACE));
        assert_eq!(capture.events("too verbose").len(), 1);
        assert_eq!(evaluated(), Some(Value::Unsigned(4)));

        filter_by(quiet());
        assert_eq!(evaluated(), Some(Value::Unsigned(4)));
        stop(&pcm);
    });
}

/// A filter of one layer, for which `tracing` asks each time.
#[test]
fn filters_of_a_layer() {
    in_own_process("filters_of_a_layer", || {
        let filter = Targets::new()
            .with_default(LevelFilter::TRACE)
            .with_target("policy::chatter", LevelFilter::OFF);
        let (all, some) = (Capture::default(), Capture::default());
        let errors = all.clone().with_filter(LevelFilter::ERROR);
        registry()
            .with(errors)
            .with(some.clone().with_filter(filter))
            .init();
        let pcm = start(logs("filtered"));
        ask(&pcm);
        stop(&pcm);
        assert_eq!(some.events("too verbose").len(), 1);
        assert!(some.events("of no interest").is_empty());
        let event = some.event("filtered");
        assert_eq!(event.path, ["too verbose"]);
        assert_eq!(event.field("evaluated"), Some(&Value::Unsigned(2)));
        assert_eq!(all.all(), []);
    });
}

/// A library that goes on and on is cut short, and all that was dropped is told of.
#[test]
fn a_flood() {
    const COUNT: u64 = 200_000;
    in_own_process("a_flood", || {
        let capture = captured(&format!("flood {COUNT}"));
        let passed = capture.events("flood").len() as u64;
        // What the LPM said before the flood counts, too.
        assert!((9_990..COUNT).contains(&passed), "{passed}");
        let reports: Vec<_> = capture
            .of(What::Event)
            .into_iter()
            .filter(|event| event.target == "lpm_host::trace")
            .collect();
        let dropped: u64 = reports.iter().map(dropped).sum();
        // Nor was there room for what it said about its end, if it came at once.
        let last = capture.events("deinitialize").len() as u64;
        assert_eq!(passed + dropped, COUNT + 1 - last);
        for report in reports {
            assert_eq!(report.level, Level::WARN);
            assert_eq!(report.field("lpm"), Some(&text("logs")));
        }
    });
}

/// The embedder says how much is too much.
#[test]
fn a_flood_cut_shorter() {
    const COUNT: u64 = 10_000;
    in_own_process("a_flood_cut_shorter", || {
        let capture = Capture::default();
        registry().with(capture.clone()).init();
        let pcm = Pcm::builder()
            .lpm(logs(&format!("flood {COUNT}")))
            .event_log(RecordedEvents::default())
            .trace_limit(TraceLimit::new(0, 20))
            .build()
            .expect("builds");
        pcm.become_dsbm().expect("starts");
        ask(&pcm);
        stop(&pcm);
        // What the LPM said before the flood counts, too.
        let passed = capture.events("flood").len();
        assert!((10..=20).contains(&passed), "{passed}");
    });
}

fn dropped(report: &Captured) -> u64 {
    match report.field("dropped") {
        Some(Value::Unsigned(dropped)) => *dropped,
        other => panic!("{other:?}"),
    }
}

/// Spans that an LPM does not close are closed when its library goes.
#[test]
fn spans_left_open() {
    in_own_process("spans_left_open", || {
        let capture = captured("many-spans 100");
        let left = |span: &&Captured| span.name == "never closed";
        assert_eq!(capture.of(What::Span).iter().filter(left).count(), 100);
        assert_eq!(capture.of(What::Close).iter().filter(left).count(), 100);
    });
}

/// A span that an LPM does not leave ends with the call.
#[test]
fn a_span_not_left() {
    in_own_process("a_span_not_left", || {
        let capture = Capture::default();
        registry().with(capture.clone()).init();
        let pcm = start(logs("forgets-to-leave"));
        info_span!("host").in_scope(|| {
            ask(&pcm);
            tracing::info!("after the call");
        });
        stop(&pcm);
        let event = capture.event("before it returns");
        assert_eq!(event.path, ["host", "entered for good"]);
        assert_eq!(capture.event("after the call").path, ["host"]);
        assert_eq!(capture.event("deinitialize").path, [""; 0]);
    });
}

/// The library stays, since a thread of it runs; what the thread logs from then on comes to
/// nothing.
#[test]
fn a_thread_left_behind() {
    in_own_process("a_thread_left_behind", || {
        let capture = Capture::default();
        registry().with(capture.clone()).init();
        let pcm = start(logs("leaves-a-thread"));
        ask(&pcm);
        while capture.events("still there").is_empty() {
            thread::yield_now();
        }
        let teardown = pcm.demote().expect("in charge");
        assert_ne!(teardown.libraries[0].outcome, UnloadOutcome::Unmapped);
        capture.clear();
        thread::sleep(Duration::from_millis(50));
        // One may have been on its way.
        assert!(capture.events("still there").len() <= 1);
    });
}

/// A layer that panics at every event of an LPM, and counts. The backtrace that such a panic prints
/// is none of the library's business, either.
struct Panics(Arc<AtomicU64>);

impl<S: Subscriber> Layer<S> for Panics {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "logs" {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("a subscriber that panics");
        }
    }
}

#[test]
fn a_subscriber_that_panics() {
    let test = "a_subscriber_that_panics";
    if !is_own_process() {
        let output = in_child(test, |command| _ = command.env("RUST_BACKTRACE", "1"));
        assert!(output.status.success(), "{}", told(&output));
        return;
    }
    let panics = Arc::new(AtomicU64::new(0));
    registry().with(Panics(Arc::clone(&panics))).init();
    let pcm = start(logs("levels"));
    for _ in 0..3 {
        ask(&pcm);
    }
    stop(&pcm);
    assert_eq!(panics.load(Ordering::Relaxed), 1 + 3 * 5 + 1);
}

/// A layer that calls the PCM at an event of an LPM, from inside a call into that LPM.
#[derive(Default)]
struct CallsBack {
    pcm: OnceLock<Weak<Pcm>>,
    pending: Mutex<Option<PendingChange<Teardown>>>,
}

struct CallsBackLayer(Arc<CallsBack>);

impl<S: Subscriber> Layer<S> for CallsBackLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "policy::audit" {
            return;
        }
        let Some(pcm) = self.0.pcm.get().and_then(Weak::upgrade) else {
            return;
        };
        thread_local!(static INSIDE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });
        if INSIDE.replace(true) {
            return;
        }
        ask(&pcm);
        pcm.refresh_trace_filters();
        let pending = pcm.demote_later().expect("in charge");
        *self.0.pending.lock().expect("no panic") = Some(pending);
        INSIDE.set(false);
    }
}

#[test]
fn a_subscriber_that_calls_the_pcm() {
    in_own_process("a_subscriber_that_calls_the_pcm", || {
        let calls_back = Arc::new(CallsBack::default());
        let capture = Capture::default();
        registry()
            .with(CallsBackLayer(Arc::clone(&calls_back)))
            .with(capture.clone())
            .init();
        let pcm = start(logs("levels"));
        calls_back.pcm.set(Arc::downgrade(&pcm)).expect("set once");
        ask(&pcm);
        assert_eq!(capture.events("with a target").len(), 2);
        let pending = calls_back.pending.lock().expect("no panic").take();
        let teardown = pending.expect("it was demoted").wait();
        assert_gone(&teardown.libraries[0].outcome);
    });
}

/// A thread's own subscriber gets what is logged on that thread.
#[test]
fn a_subscriber_of_one_thread() {
    in_own_process("a_subscriber_of_one_thread", || {
        let (global, scoped) = (Capture::default(), Capture::default());
        registry().with(global.clone()).init();
        let pcm = start(logs("spans"));
        ask(&pcm);
        tracing::subscriber::with_default(registry().with(scoped.clone()), || ask(&pcm));
        stop(&pcm);
        for capture in [&global, &scoped] {
            assert_eq!(capture.event("in both").path, ["outer", "inner"]);
            assert_eq!(capture.event("in the one aside").path, ["aside"]);
        }
    });
}
