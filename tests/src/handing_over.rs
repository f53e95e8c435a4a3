//! The fixture that hands over what it has counted.

use lpm_host::event::{Event, EventId};
use lpm_host::{LpmConfig, Outcome, Pcm};

use crate::messages::{admit, path};
use crate::{RecordedEvents, runner};

/// A PCM that runs an LPM.
///
/// # Panics
///
/// When it does not start.
#[must_use]
pub fn started(lpm: LpmConfig) -> (Pcm, RecordedEvents) {
    let events = RecordedEvents::default();
    let pcm = Pcm::builder().lpm(lpm).runner(runner());
    let pcm = pcm.event_log(events.clone()).build().expect("builds");
    pcm.become_dsbm().expect("starts");
    (pcm, events)
}

/// Has it accept a flow.
///
/// # Panics
///
/// When it does not.
pub fn accepted(pcm: &Pcm) {
    let verdict = admit(pcm, &path(4000)).expect("in charge");
    assert_eq!(verdict.outcome(), Outcome::Accept);
}

/// How often the LPM says it was called: `admit`, `rsvp_objects`, `commit_resv`, `delete_state`.
///
/// # Panics
///
/// When it does not say so.
#[must_use]
pub fn counts(pcm: &Pcm) -> Vec<u64> {
    let statistics = pcm.statistics().expect("in charge").remove(0);
    let counters = statistics.counters.expect("it counts").into_iter();
    counters.map(|(_, count)| count).collect()
}

/// The event of this kind.
///
/// # Panics
///
/// When there is not exactly one.
#[must_use]
pub fn only(events: &RecordedEvents, id: EventId) -> Event {
    let mut found = events.of(id);
    assert_eq!(found.len(), 1, "{:?}", events.all());
    found.remove(0)
}
