//! The thread of a sink.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use lpm_host::event::Severity;

use super::entry::Entry;
use super::queue::{CAPACITY, MOST_BYTES, Queue};
use super::sink::{Sink, Tell};

/// How long the first wait for a sink that does not work is; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// How long a wait for a sink that does not work is at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A sink at work.
pub(super) struct Writer {
    place: String,
    min_severity: Severity,
    is_required: bool,
    queue: Arc<Queue>,
    tell: Tell,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        place: String,
        advice: &'static str,
        min_severity: Severity,
        sink: Box<dyn Sink>,
        tell: &Tell,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(CAPACITY));
        let at_work = AtWork {
            queue: Arc::clone(&queue),
            sink,
            place: place.clone(),
            advice,
            tell: Arc::clone(tell),
        };
        thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || at_work.run())?;
        Ok(Self {
            place,
            min_severity,
            is_required: false,
            queue,
            tell: Arc::clone(tell),
        })
    }

    pub(super) fn min_severity(&self) -> Severity {
        self.min_severity
    }

    /// Nothing is to be granted while it does not work.
    pub(super) fn required(mut self, is_required: bool) -> Self {
        self.is_required = is_required;
        self
    }

    /// Whether it has written everything, or need not have. Waits for it, no longer than the limit.
    pub(super) fn is_kept(&self, limit: Duration) -> bool {
        !self.is_required || self.queue.is_written(limit)
    }

    pub(super) fn put(&self, entry: &Arc<Entry>) {
        self.queue.put(entry);
    }

    /// Takes nothing more, and writes what there is until `deadline`.
    pub(super) fn close(&self, deadline: Instant) {
        self.queue.close(deadline);
    }

    /// Waits for that, and tells what was not written; whether everything was that had to be. A
    /// thread that is held in the sink is left behind.
    pub(super) fn finish(&self, deadline: Instant) -> bool {
        let counts = self.queue.wait_until_left(deadline);
        if counts.lost() > 0 {
            (self.tell)(&format_args!(
                "events to {}: {} of {} events were not written",
                self.place,
                counts.lost(),
                counts.recorded
            ));
        }
        !self.is_required || counts.lost() == 0
    }
}

struct AtWork {
    queue: Arc<Queue>,
    sink: Box<dyn Sink>,
    place: String,
    advice: &'static str,
    tell: Tell,
}

impl AtWork {
    fn run(mut self) {
        while let Some(entry) = self.queue.take() {
            if !self.write(&entry) {
                break;
            }
            self.queue.written(&entry);
        }
    }

    /// Writes an entry as soon as the sink works; `false` when there is no time left for that.
    fn write(&mut self, entry: &Entry) -> bool {
        let mut pause = FIRST_PAUSE;
        let mut is_told = false;
        while let Err(error) = self.sink.write(entry) {
            if !is_told {
                is_told = true;
                self.queue.fails();
                (self.tell)(&format_args!(
                    "events to {}: {error}; {}; up to {CAPACITY} events ({} MiB) wait for it",
                    self.place,
                    self.advice,
                    MOST_BYTES >> 20
                ));
            }
            if !self.queue.pause(pause) {
                return false;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        if is_told {
            (self.tell)(&format_args!("events to {}: works again", self.place));
        }
        true
    }
}

/// Also when the sink panics.
impl Drop for AtWork {
    fn drop(&mut self) {
        self.queue.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use lpm_host::event::{Event, EventId};

    use super::super::Events;
    use super::*;

    /// Fails as often as told, and then sends on what it is given.
    struct Flaky {
        failures: u32,
        out: mpsc::Sender<String>,
    }

    impl Sink for Flaky {
        fn write(&mut self, entry: &Entry) -> io::Result<()> {
            if self.failures > 0 {
                self.failures -= 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.out.send(entry.detail()).map_err(io::Error::other)
        }
    }

    /// Never comes back from its first entry.
    struct Held(mpsc::Receiver<()>);

    impl Sink for Held {
        fn write(&mut self, _: &Entry) -> io::Result<()> {
            let _ = self.0.recv();
            Ok(())
        }
    }

    fn told() -> (Tell, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&lines);
        let tell: Tell = Arc::new(move |what| to.lock().unwrap().push(what.to_string()));
        (tell, lines)
    }

    fn start(place: &str, sink: impl Sink + 'static, tell: &Tell) -> Writer {
        Writer::start(
            place.to_owned(),
            "mend it",
            Severity::Info,
            Box::new(sink),
            tell,
        )
        .unwrap()
    }

    fn event(detail: impl Into<String>) -> Event {
        Event::new(EventId::Demoted, detail)
    }

    #[test]
    fn an_entry_waits_for_a_sink_that_fails_and_it_is_told_once() {
        let (tell, lines) = told();
        let (out, written) = mpsc::channel();
        let events = Events {
            writers: vec![start("there", Flaky { failures: 2, out }, &tell)],
        };
        events.record(&event("a"), None);
        events.record(&event("b"), None);
        assert_eq!(written.recv().unwrap(), "a");
        assert_eq!(written.recv().unwrap(), "b");
        assert!(events.finish());
        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("events to there: "), "{lines:?}");
        assert!(lines[0].contains("mend it"), "{lines:?}");
        assert_eq!(lines[1], "events to there: works again");
    }

    #[test]
    fn a_sink_that_is_held_keeps_no_other_and_its_losses_are_told() {
        let (tell, lines) = told();
        let (out, written) = mpsc::channel();
        let (release, held) = mpsc::channel();
        let events = Events {
            writers: vec![
                start("nowhere", Held(held), &tell),
                start("there", Flaky { failures: 0, out }, &tell),
            ],
        };
        let count = CAPACITY + 100;
        for number in 0..count {
            events.record(&event(number.to_string()), None);
            assert_eq!(written.recv().unwrap(), number.to_string());
        }
        assert!(events.finish(), "it need not be there");
        let expected = format!("events to nowhere: {count} of {count} events were not written");
        assert_eq!(*lines.lock().unwrap(), [expected]);
        drop(release);
    }

    #[test]
    fn a_sink_that_panics_is_left_and_told() {
        struct Panics;
        impl Sink for Panics {
            fn write(&mut self, _: &Entry) -> io::Result<()> {
                std::panic::resume_unwind(Box::new("out of order"))
            }
        }
        let (tell, lines) = told();
        let events = Events {
            writers: vec![start("there", Panics, &tell).required(true)],
        };
        events.record(&event("a"), None);
        assert!(!events.finish(), "it had to be there");
        let lines_of_required = std::mem::take(&mut *lines.lock().unwrap());
        assert_eq!(lines_of_required.len(), 1, "{lines_of_required:?}");
        let events = Events {
            writers: vec![start("there", Panics, &tell)],
        };
        events.record(&event("a"), None);
        assert!(events.finish(), "it need not be there");
        assert_eq!(
            *lines.lock().unwrap(),
            ["events to there: 1 of 1 events were not written"]
        );
    }
}
