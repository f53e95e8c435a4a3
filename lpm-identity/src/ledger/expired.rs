//! Flows whose time is up, remembered so that their refreshes do not begin anew.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use lpm_api::FlowKey;

/// How long nobody must ask for a flow until it is taken for a new one. Longer than the state of
/// RSVP lives without a refresh, which is three minutes at the usual refresh time (RFC 2205 section
/// 3.7).
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// What is remembered of expired flows.
#[derive(Debug, Default)]
pub(super) struct Expired {
    flows: BTreeMap<FlowKey, Times>,
    /// When the forgotten ones were last cleared away.
    cleared: Option<SystemTime>,
}

#[derive(Clone, Copy, Debug)]
struct Times {
    since: SystemTime,
    last_asked: SystemTime,
}

impl Expired {
    /// When an expired flow began that is asked for now.
    pub(super) fn since(&self, flow: &FlowKey, now: SystemTime) -> Option<SystemTime> {
        let times = self.flows.get(flow)?;
        (!times.is_forgotten(now)).then_some(times.since)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    pub(super) fn remember(&mut self, flow: FlowKey, since: SystemTime, now: SystemTime) {
        let cleared = *self.cleared.get_or_insert(now);
        if now.duration_since(cleared).unwrap_or_default() > FORGOTTEN_AFTER {
            self.flows.retain(|_, times| !times.is_forgotten(now));
            self.cleared = Some(now);
        }
        let last_asked = now;
        self.flows.insert(flow, Times { since, last_asked });
    }

    /// All that are remembered: since when each lasted, and when it was last asked for.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&FlowKey, SystemTime, SystemTime)> {
        let flows = self.flows.iter();
        flows.map(|(flow, times)| (flow, times.since, times.last_asked))
    }

    /// Remembers one that was remembered elsewhere.
    pub(super) fn take_over(&mut self, flow: FlowKey, since: SystemTime, last_asked: SystemTime) {
        self.flows.insert(flow, Times { since, last_asked });
    }

    pub(super) fn forget(&mut self, flow: &FlowKey) {
        if !self.flows.is_empty() {
            self.flows.remove(flow);
        }
    }
}

impl Times {
    fn is_forgotten(self, now: SystemTime) -> bool {
        let unasked = now.duration_since(self.last_asked).unwrap_or_default();
        unasked > FORGOTTEN_AFTER
    }
}
