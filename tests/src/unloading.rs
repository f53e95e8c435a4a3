//! The life of an LPM among threads that outlive it, and what becomes of its library.

use std::sync::Arc;

use lpm_fixtures::file_name;
use lpm_host::event::EventId;
use lpm_host::{LpmConfig, Pcm, PcmBuilder, PinReason, Teardown, UnloadOutcome, UnloadedLibrary};

use crate::callers::Callers;
use crate::messages::{admit, path};
use crate::platform::{self, assert_gone, gone, reasons_of_its_own};
use crate::{RecordedEvents, fixture, mappings_of};

/// Loads the LPM, asks it from three long-lived threads and from this one, and unloads it; checks
/// that it is unmapped, that it can be loaded again, and that all threads then end well and another
/// LPM goes on. Returns what was put on record.
///
/// # Panics
///
/// When it is not so.
pub fn unmaps(name: &str) -> RecordedEvents {
    let others = Others::start();
    let callers = Callers::start(3);
    let events = RecordedEvents::default();
    for _ in 0..2 {
        let unloaded = ask_and_unload(Pcm::builder().lpm(fixture(name)), &callers, &events);
        assert_gone(&unloaded.outcome);
        assert_eq!(mappings_of(&file_name(name)) == 0, platform::unmaps());
        others.go_on(&callers);
    }
    assert_eq!(events.of(gone()).len(), 2);
    let pinned = if platform::unmaps() { 0 } else { 2 };
    assert_eq!(events.of(EventId::LibraryPinned).len(), pinned);
    callers.end();
    others.end();
    events
}

/// The same for an LPM whose library has to stay mapped; returns the reasons given, and checks that
/// they are on record.
///
/// # Panics
///
/// When it is not so.
#[must_use]
pub fn reasons_to_pin(lpm: LpmConfig) -> Vec<PinReason> {
    let others = Others::start();
    let callers = Callers::start(3);
    let events = RecordedEvents::default();
    let file = file_name(lpm.name());
    let unloaded = ask_and_unload(Pcm::builder().lpm(lpm), &callers, &events);
    assert_ne!(mappings_of(&file), 0);
    let recorded = events.of(EventId::LibraryPinned);
    let [pinned] = &recorded[..] else {
        panic!("{recorded:?}")
    };
    assert_eq!(pinned.detail, unloaded.outcome.to_string());
    assert_eq!(pinned.library.as_ref(), Some(&unloaded.library));
    assert_eq!(events.of(EventId::LibraryUnmapped), []);
    others.go_on(&callers);
    callers.end();
    others.end();
    reasons(&unloaded.outcome)
}

/// Why the library stays mapped, besides the platform.
///
/// # Panics
///
/// When it was unmapped.
#[must_use]
pub fn reasons(outcome: &UnloadOutcome) -> Vec<PinReason> {
    assert_ne!(*outcome, UnloadOutcome::Unmapped);
    reasons_of_its_own(outcome)
}

/// Starts a PCM with one LPM, asks it from every caller and from this thread, and demotes it.
///
/// # Panics
///
/// When one of these fails.
#[must_use]
pub fn ask_and_unload(
    pcm: PcmBuilder,
    callers: &Callers,
    events: &RecordedEvents,
) -> UnloadedLibrary {
    let pcm = Arc::new(pcm.event_log(events.clone()).build().expect("builds"));
    pcm.become_dsbm().expect("starts");
    callers.ask(&pcm);
    admit(&pcm, &path(4000)).expect("in charge");
    only_library(pcm.demote().expect("in charge"))
}

/// The outcome of a teardown of one library.
///
/// # Panics
///
/// When it is not one.
#[must_use]
pub fn only_library(teardown: Teardown) -> UnloadedLibrary {
    let mut libraries = teardown.libraries;
    assert_eq!(libraries.len(), 1);
    libraries.remove(0)
}

/// An LPM that has nothing to do with all this, and must not notice.
pub struct Others(Arc<Pcm>);

impl Others {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        let pcm = Pcm::builder().lpm(works()).build().expect("builds");
        pcm.become_dsbm().expect("starts");
        Self(Arc::new(pcm))
    }

    /// Checks that it still decides, for the callers and for this thread.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn go_on(&self, callers: &Callers) {
        callers.ask(&self.0);
        admit(&self.0, &path(4000)).expect("in charge");
    }

    /// Checks that it still decides for a new thread, and unloads.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn end(self) {
        let callers = Callers::start(1);
        self.go_on(&callers);
        callers.end();
        let unloaded = only_library(self.0.demote().expect("in charge"));
        assert_gone(&unloaded.outcome);
    }
}

fn works() -> LpmConfig {
    fixture("office-hours").config("0-24")
}
