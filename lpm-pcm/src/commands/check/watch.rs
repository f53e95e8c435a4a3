//! Who watches a check from outside: that each step ends, and how much the LPM logs.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, filter::LevelFilter};

use super::finding::{Finding, Kind};
use super::recorder::Recorder;

/// Says what is being done; each step has a limit in time.
#[derive(Clone)]
pub(super) struct Watch(Arc<Mutex<Step>>);

/// What is under way, and since when.
struct Step {
    name: &'static str,
    begun: Instant,
}

impl Watch {
    /// Ends the process when a step takes longer than this, which is more than the PCM's own
    /// limits: those say more.
    pub(super) fn start(patience: Duration, recorder: &Recorder) -> Self {
        let watch = Self(Arc::new(Mutex::new(Step {
            name: "start",
            begun: Instant::now(),
        })));
        let (steps, recorder) = (watch.clone(), recorder.clone());
        let look = move || {
            loop {
                thread::sleep(Duration::from_millis(50));
                let (name, elapsed) = {
                    let step = steps.0.lock().unwrap_or_else(PoisonError::into_inner);
                    (step.name, step.begun.elapsed())
                };
                if elapsed > patience {
                    recorder.found(Finding::hangs(format!(
                        "{name} did not end within {patience:?}"
                    )));
                    recorder.give_up();
                }
            }
        };
        // Without it the parent still ends the process.
        let _ = thread::Builder::new()
            .name("check-watch".to_owned())
            .spawn(look);
        watch
    }

    /// Says which step begins.
    pub(super) fn step(&self, name: &'static str) {
        let mut step = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *step = Step {
            name,
            begun: Instant::now(),
        };
    }
}

/// Hears when the PCM cuts an LPM's log short.
pub(super) fn listen(recorder: &Recorder) {
    let layer = CutShort(recorder.clone()).with_filter(LevelFilter::INFO);
    let subscriber = tracing_subscriber::registry().with(layer);
    // Nobody else sets one in this process.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

struct CutShort(Recorder);

impl<S: tracing::Subscriber> Layer<S> for CutShort {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if metadata.target() == "lpm_host::trace" && *metadata.level() == tracing::Level::WARN {
            let what = "logs more than a PCM takes: it was cut short";
            self.0.found(Finding::new(Kind::FloodsLog, what));
        }
    }
}
