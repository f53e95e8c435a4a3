//! What an event or span of an LPM costs.
//!
//! ```text
//! trace_cost                          # nanoseconds of each kind
//! trace_cost above-the-level 1000000  # so many of one kind, for `valgrind --tool=callgrind`
//! ```
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use lpm_host::Pcm;
use lpm_tests::messages::{admit, path};
use lpm_tests::{RecordedEvents, fixture};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, registry};

/// Kinds, and how many are measured: of those that reach the host no more than may pass at once.
const KINDS: [(&str, u32); 4] = [
    ("above-the-level", 50_000_000),
    ("of-no-interest", 50_000_000),
    ("flood", 9_000),
    ("enabled-spans", 9_000),
];
const ROUNDS: u32 = 21;

/// Takes events, and does nothing with them.
struct Sink;

impl<S: Subscriber> Layer<S> for Sink {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {}
}

fn main() -> ExitCode {
    let filter = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("policy::chatter", LevelFilter::OFF);
    registry().with(filter).with(Sink).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => {
            for (kind, count) in KINDS {
                let mut rounds: Vec<_> = (0..ROUNDS).map(|_| run(kind, count)).collect();
                rounds.sort();
                let median = rounds[rounds.len() / 2].as_secs_f64() * 1e9;
                println!("{kind}: {:.2} ns each", median / f64::from(count));
            }
        }
        [kind, count] => {
            let Ok(count) = count.parse() else {
                eprintln!("expected how many, found {count}");
                return ExitCode::FAILURE;
            };
            run(kind, count);
        }
        _ => {
            eprintln!("expected nothing, or a kind and how many");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// How long it takes an LPM.
fn run(kind: &str, count: u32) -> Duration {
    let lpm = fixture("logs").config(format!("{kind} {count}"));
    let pcm = Pcm::builder().lpm(lpm).event_log(RecordedEvents::default());
    let pcm = pcm.build().expect("builds");
    pcm.become_dsbm().expect("starts");
    let begun = Instant::now();
    admit(&pcm, &path(4000)).expect("in charge");
    begun.elapsed()
}
