//! What the LPM counts of its decisions, like the performance counters of the original.

use std::sync::atomic::{AtomicU64, Ordering};

use lpm_api::{Decision, Direction, LpmPolicyError, Metric};

/// Counters, for Path and for Resv messages.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    path: PerMessage,
    resv: PerMessage,
}

/// One for each flow of a message.
#[derive(Debug, Default)]
struct PerMessage {
    admitted: AtomicU64,
    bad_identities: AtomicU64,
    rejected_flow_count: AtomicU64,
    rejected_flow_duration: AtomicU64,
    rejected_rate: AtomicU64,
    rejected_other: AtomicU64,
}

impl Counters {
    /// A decision on a flow.
    pub(crate) fn count(&self, direction: Direction, decision: Decision) {
        let counters = self.of(direction);
        let counter = match decision {
            Decision::Reject(reason) => match LpmPolicyError::from_value(reason.value()) {
                Some(LpmPolicyError::Limit(Metric::FlowCount, _)) => &counters.rejected_flow_count,
                Some(LpmPolicyError::Limit(Metric::FlowDuration, _)) => {
                    &counters.rejected_flow_duration
                }
                Some(LpmPolicyError::Limit(..)) => &counters.rejected_rate,
                _ => &counters.rejected_other,
            },
            _ => &counters.admitted,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A flow whose user or application cannot be read.
    pub(crate) fn count_bad_identity(&self, direction: Direction) {
        let counters = self.of(direction);
        counters.bad_identities.fetch_add(1, Ordering::Relaxed);
    }

    /// Reports all of them by name.
    pub(crate) fn report(&self, report: &mut dyn FnMut(&str, u64)) {
        let mut tell = |name: &str, counter: &AtomicU64| {
            report(name, counter.load(Ordering::Relaxed));
        };
        tell("path_admitted", &self.path.admitted);
        tell("path_bad_identities", &self.path.bad_identities);
        tell("path_rejected_flow_count", &self.path.rejected_flow_count);
        tell(
            "path_rejected_flow_duration",
            &self.path.rejected_flow_duration,
        );
        tell("path_rejected_rate", &self.path.rejected_rate);
        tell("path_rejected_other", &self.path.rejected_other);
        tell("resv_admitted", &self.resv.admitted);
        tell("resv_bad_identities", &self.resv.bad_identities);
        tell("resv_rejected_flow_count", &self.resv.rejected_flow_count);
        tell(
            "resv_rejected_flow_duration",
            &self.resv.rejected_flow_duration,
        );
        tell("resv_rejected_rate", &self.resv.rejected_rate);
        tell("resv_rejected_other", &self.resv.rejected_other);
    }

    fn of(&self, direction: Direction) -> &PerMessage {
        match direction {
            Direction::Sends => &self.path,
            Direction::Receives => &self.resv,
        }
    }
}
