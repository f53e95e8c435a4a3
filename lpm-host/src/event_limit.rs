//! An event log that a misbehaving LPM cannot flood.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lpm_api::LpmHandle;

use crate::event::{Event, EventId, EventLog};

/// Events of one kind about one LPM that are recorded at once…
const BURST: u32 = 20;
/// … and then one in this time.
const INTERVAL: Duration = Duration::from_secs(1);

/// Passes on what LPMs cannot cause at will, and the rest up to a rate.
pub(crate) struct Limited {
    inner: Arc<dyn EventLog>,
    rates: Mutex<BTreeMap<Key, Rate>>,
}

/// What is counted together.
type Key = (EventId, Option<LpmHandle>, Option<PathBuf>);

struct Rate {
    /// Events that may still be recorded at once.
    left: u32,
    refilled: Instant,
    suppressed: u64,
}

impl Limited {
    pub(crate) fn new(inner: Arc<dyn EventLog>) -> Self {
        Self {
            inner,
            rates: Mutex::default(),
        }
    }

    /// Whether to record the event, and how many like it were not recorded before.
    fn admit(&self, event: &Event, now: Instant) -> Option<u64> {
        let key = (event.id, event.handle, event.library.clone());
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = rates.entry(key).or_insert(Rate {
            left: BURST,
            refilled: now,
            suppressed: 0,
        });
        let refills = now.saturating_duration_since(rate.refilled).as_secs() / INTERVAL.as_secs();
        if refills > 0 {
            let refills = u32::try_from(refills).unwrap_or(BURST);
            rate.left = rate.left.saturating_add(refills).min(BURST);
            rate.refilled = now;
        }
        if rate.left == 0 {
            rate.suppressed += 1;
            return None;
        }
        rate.left -= 1;
        Some(std::mem::take(&mut rate.suppressed))
    }

    /// Says what was not recorded, about LPMs that are gone.
    fn forget(&self, event: &Event) {
        let Some(handle) = event.handle else { return };
        let gone: Vec<_> = {
            let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
            let all = std::mem::take(&mut *rates);
            let (gone, rest) = all
                .into_iter()
                .partition(|((_, of, _), _)| *of == Some(handle));
            *rates = rest;
            let gone: BTreeMap<Key, Rate> = gone;
            gone.into_iter().collect()
        };
        for ((id, ..), rate) in gone {
            if rate.suppressed > 0 {
                self.inner.record(&suppressed(event, id, rate.suppressed));
            }
        }
    }
}

impl EventLog for Limited {
    fn record(&self, event: &Event) {
        if !caused_by_calls(event.id) {
            if matches!(
                event.id,
                EventId::LpmDeinitialized | EventId::LpmDeinitializeFailed
            ) {
                self.forget(event);
            }
            return self.inner.record(event);
        }
        if let Some(before) = self.admit(event, Instant::now()) {
            if before > 0 {
                self.inner.record(&suppressed(event, event.id, before));
            }
            self.inner.record(event);
        }
    }
}

/// Whether an LPM can cause any number of these events.
const fn caused_by_calls(id: EventId) -> bool {
    matches!(
        id,
        EventId::LpmPanicked
            | EventId::LpmCallFailed
            | EventId::LpmInvalidDecision
            | EventId::LpmResultRefused
            | EventId::LpmTimedOut
            | EventId::LpmQuarantined
            | EventId::LpmReleased
    )
}

fn suppressed(about: &Event, id: EventId, count: u64) -> Event {
    Event {
        id: EventId::EventsSuppressed,
        severity: EventId::EventsSuppressed.severity(),
        status: None,
        detail: format!("{count} more events of the kind {id} were not recorded"),
        ..about.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Remembers(Mutex<Vec<Event>>);

    impl EventLog for Remembers {
        fn record(&self, event: &Event) {
            self.0.lock().unwrap().push(event.clone());
        }
    }

    #[test]
    fn a_flood_is_told_in_few_events_and_counted() {
        let log = Arc::new(Remembers::default());
        let limited = Limited::new(Arc::<Remembers>::clone(&log));
        let one = Event::new(EventId::LpmCallFailed, "again").handle(LpmHandle::new(1));
        let other = Event::new(EventId::LpmCallFailed, "another").handle(LpmHandle::new(2));
        let start = Instant::now();
        let admitted = |event, after| limited.admit(event, start + Duration::from_millis(after));
        let recorded = (0..1000).filter_map(|_| admitted(&one, 0)).count();
        assert_eq!(recorded, BURST as usize);
        assert_eq!(admitted(&other, 0), Some(0), "another LPM is not concerned");
        assert_eq!(admitted(&one, 999), None);
        assert_eq!(admitted(&one, 1000), Some(1001 - u64::from(BURST)));
        assert_eq!(admitted(&one, 1001), None);

        limited.record(&Event::new(EventId::LpmDeinitialized, "").handle(LpmHandle::new(1)));
        let log = log.0.lock().unwrap();
        assert_eq!(log.len(), 2);
        assert_eq!(log[0].id, EventId::EventsSuppressed);
        assert!(log[0].detail.starts_with("1 more"), "{}", log[0].detail);
    }

    #[test]
    fn lifecycle_events_are_never_held_back() {
        let log = Arc::new(Remembers::default());
        let limited = Limited::new(Arc::<Remembers>::clone(&log));
        for _ in 0..1000 {
            limited.record(&Event::new(EventId::LpmInitialized, ""));
        }
        assert_eq!(log.0.lock().unwrap().len(), 1000);
    }
}
