//! How long state lives: refreshes (RFC 2205 §3.7), and the flow's duration.

use std::time::{Duration, SystemTime};

use lpm_api::DeleteReason;
use lpm_rsvp::TimeValues;

/// A point of the messages' clock: the time since the Unix epoch. Earlier is the epoch, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(Duration);

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Self {
        Self(
            time.duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default(),
        )
    }
}

/// A time that the system cannot tell is the epoch.
impl From<Time> for SystemTime {
    fn from(Time(since): Time) -> Self {
        let epoch = Self::UNIX_EPOCH;
        epoch.checked_add(since).unwrap_or(epoch)
    }
}

impl Time {
    fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// How the SBM's timers are set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timers {
    /// K of RFC 2205 §3.7.
    pub(crate) missed_refreshes: u32,
    pub(crate) max_duration: Option<Duration>,
}

/// The timers of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    refreshed: Time,
    lifetime: Duration,
    /// When the flow began, and how long it may last.
    duration: Option<(Time, Duration)>,
}

/// When state is to be removed, and why then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) time: Time,
    pub(crate) reason: DeleteReason,
}

impl Timers {
    /// The timers of a flow that begins now. A message without TIME_VALUES is taken to come every
    /// 30 seconds.
    pub(crate) fn start(self, refresh: Option<TimeValues>, now: Time) -> Life {
        Life {
            refreshed: now,
            lifetime: self.lifetime(refresh.unwrap_or(TimeValues::DEFAULT)),
            duration: self.max_duration.map(|duration| (now, duration)),
        }
    }

    /// (K + 0.5) · 1.5 · R.
    fn lifetime(self, TimeValues { refresh_ms }: TimeValues) -> Duration {
        let quarters = (2 * u64::from(self.missed_refreshes) + 1) * 3;
        // Below 2³² · 6 · 2³².
        let milliseconds = u128::from(refresh_ms) * u128::from(quarters) / 4;
        Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX))
    }
}

impl Life {
    /// These timers for a flow that began as the other one did.
    pub(crate) fn continuing(mut self, earlier: Self) -> Self {
        self.duration = earlier.duration;
        self
    }

    /// The flow was refreshed, by a message that says the same as the one before.
    pub(crate) fn refresh(&mut self, now: Time) {
        self.refreshed = now;
    }

    /// The flow is removed after this time, not at it.
    pub(crate) fn deadline(self) -> Deadline {
        let timeout = Deadline {
            time: self.refreshed.after(self.lifetime),
            reason: DeleteReason::StateTimeout,
        };
        let duration = self.duration.map(|(start, duration)| Deadline {
            time: start.after(duration),
            reason: DeleteReason::FlowDuration,
        });
        match duration {
            Some(duration) if duration.time < timeout.time => duration,
            _ => timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetime(missed_refreshes: u32, refresh_ms: u32) -> Duration {
        let timers = Timers {
            missed_refreshes,
            max_duration: None,
        };
        timers.lifetime(TimeValues { refresh_ms })
    }

    #[test]
    fn the_default_of_rfc_2205_is_157_5_seconds() {
        assert_eq!(lifetime(3, 30_000), Duration::from_millis(157_500));
        for refresh_ms in [0, 1, 3, 1_000, u32::MAX] {
            let time_values = TimeValues { refresh_ms };
            assert_eq!(lifetime(3, refresh_ms), time_values.lifetime());
        }
        assert_eq!(lifetime(1, 1_000), Duration::from_millis(2_250));
    }

    #[test]
    fn the_longest_lifetime_is_bounded() {
        let longest = lifetime(u32::MAX, u32::MAX);
        let never = Time(Duration::MAX).after(longest);
        assert_eq!(never, Time(Duration::MAX));
        assert_eq!(SystemTime::from(never), SystemTime::UNIX_EPOCH);
    }
}
