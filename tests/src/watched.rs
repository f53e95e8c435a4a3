//! An LPM beside one that behaves well and counts its calls, in time that the test lets pass.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lpm_host::event::{Event, EventId};
use lpm_host::{LpmConfig, LpmHandle, LpmStatus, ManualClock, Pcm, PinReason, Teardown, Verdict};

use crate::messages::{admit, path};
use crate::platform::{assert_gone, reasons_of_its_own};
use crate::{RecordedEvents, fixture, here, runner};

/// The PCM with the two.
pub struct Watched {
    /// In charge.
    pub pcm: Arc<Pcm>,
    /// Stands still until it is advanced.
    pub clock: ManualClock,
    /// What was put on record.
    pub events: RecordedEvents,
    /// The LPM that is watched, configured first.
    pub lpm: LpmHandle,
    /// The one that behaves well.
    pub other: LpmHandle,
    name: String,
}

impl Watched {
    /// Starts the LPM and one that accepts everything.
    ///
    /// # Panics
    ///
    /// When they do not start.
    #[must_use]
    pub fn start(lpm: LpmConfig) -> Self {
        Self::start_while(lpm, |_| {})
    }

    /// Like [`start`](Self::start), while the test does something on another thread.
    ///
    /// # Panics
    ///
    /// When they do not start.
    #[must_use]
    pub fn start_while(lpm: LpmConfig, meanwhile: impl FnOnce(&ManualClock)) -> Self {
        let (clock, events) = (ManualClock::new(), RecordedEvents::default());
        let name = lpm.name().to_owned();
        let lpm = here(lpm);
        let pcm = Pcm::builder()
            .lpm(lpm)
            .lpm(fixture("counts"))
            .clock(&clock)
            .runner(runner())
            .event_log(events.clone())
            .build()
            .expect("builds");
        let startup = thread::scope(|scope| {
            let starting = scope.spawn(|| pcm.become_dsbm());
            meanwhile(&clock);
            starting.join().expect("no panic")
        });
        let lpms = startup.expect("starts").lpms;
        Self {
            pcm: Arc::new(pcm),
            clock,
            events,
            lpm: lpms[0].handle,
            other: lpms[1].handle,
            name,
        }
    }

    /// Has the PCM decide on a Path.
    ///
    /// # Panics
    ///
    /// When it is not in charge.
    #[must_use]
    pub fn admit(&self) -> Verdict {
        admit(&self.pcm, &path(4000)).expect("in charge")
    }

    /// How often a method of the LPM that behaves well was called.
    ///
    /// # Panics
    ///
    /// When it does not say.
    #[must_use]
    pub fn calls(&self, method: &str) -> u64 {
        let all = self.pcm.statistics().expect("in charge");
        let counters = all[1].counters.as_ref().expect("it counts");
        let mut of_method = counters.iter().filter(|(name, _)| name == method);
        of_method.next().expect("it counts these calls").1
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// The events of a kind about the watched LPM.
    #[must_use]
    pub fn about(&self, id: EventId) -> Vec<Event> {
        let mut events = self.events.of(id);
        events.retain(|event| event.lpm.as_deref() == Some(&*self.name));
        events
    }

    /// The one event of a kind about the watched LPM, which has this status.
    ///
    /// # Panics
    ///
    /// When there is none, or several, or it has another status.
    #[must_use]
    pub fn only(&self, id: EventId, status: LpmStatus) -> Event {
        let mut events = self.about(id);
        assert_eq!(events.len(), 1, "{:#?}", self.events.all());
        assert_eq!(events[0].status, Some(status));
        assert_eq!(events[0].handle.unwrap_or(self.lpm), self.lpm);
        events.remove(0)
    }

    /// Demotes the PCM. The other LPM ends well, and its library is unmapped; returns what became
    /// of the one that is watched, and why its library stays, if it does.
    ///
    /// # Panics
    ///
    /// When it is not so.
    pub fn end(&self) -> (LpmStatus, Vec<PinReason>) {
        let Teardown {
            lpms, libraries, ..
        } = self.pcm.demote().expect("in charge");
        assert_eq!(lpms.len(), 2);
        assert_eq!(
            (lpms[0].handle, lpms[0].status),
            (self.other, LpmStatus::OK)
        );
        assert_eq!(lpms[1].handle, self.lpm);
        assert_eq!(libraries.len(), 2);
        assert_gone(&libraries[0].outcome);
        (lpms[1].status, reasons_of_its_own(&libraries[1].outcome))
    }
}
