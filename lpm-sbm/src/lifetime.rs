//! How long state lives: refreshes (RFC 2205 §3.7), and the flow's duration.

use std::time::{Duration, SystemTime};

use lpm_api::DeleteReason;
use lpm_rsvp::TimeValues;

/// A point of the messages' clock: nanoseconds since the Unix epoch. Earlier is the epoch, too, and
/// later than in the year 2554 is then: there are several for each flow, and they take half the
/// room that the system's take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(u64);

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        Self(nanoseconds(since.unwrap_or_default()))
    }
}

impl From<Time> for SystemTime {
    fn from(Time(since): Time) -> Self {
        Self::UNIX_EPOCH + Duration::from_nanos(since)
    }
}

impl Time {
    /// Nothing is later.
    const NEVER: Self = Self(u64::MAX);

    const fn after(self, nanoseconds: u64) -> Self {
        Self(self.0.saturating_add(nanoseconds))
    }
}

/// The most that there can be where it is more.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How the SBM's timers are set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timers {
    /// K of RFC 2205 §3.7.
    pub(crate) missed_refreshes: u32,
    /// What a longer refresh period is taken for.
    pub(crate) max_refresh: Duration,
    pub(crate) max_duration: Option<Duration>,
}

/// The timers of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    refreshed: Time,
    /// In nanoseconds.
    lifetime: u64,
    /// Until when the flow may last, whatever is refreshed.
    ends: Time,
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
            ends: self
                .max_duration
                .map_or(Time::NEVER, |duration| now.after(nanoseconds(duration))),
        }
    }

    /// (K + 0.5) · 1.5 · R, in nanoseconds.
    fn lifetime(self, refresh: TimeValues) -> u64 {
        let quarters = (2 * u64::from(self.missed_refreshes) + 1) * 3;
        let refresh = self.bounded(refresh).as_millis();
        // Both are below 2³⁵.
        let milliseconds = refresh * u128::from(quarters) / 4;
        u64::try_from(milliseconds * 1_000_000).unwrap_or(u64::MAX)
    }

    /// The refresh period that state is kept by.
    fn bounded(self, TimeValues { refresh_ms }: TimeValues) -> Duration {
        Duration::from_millis(refresh_ms.into()).min(self.max_refresh)
    }

    /// The refresh period of a message where it is longer than what it is taken for.
    pub(crate) fn too_long(self, refresh: Option<TimeValues>) -> Option<Duration> {
        let announced = Duration::from_millis(refresh?.refresh_ms.into());
        (announced > self.max_refresh).then_some(announced)
    }
}

impl Life {
    /// These timers for a flow that began as the other one did.
    pub(crate) fn continuing(mut self, earlier: Self) -> Self {
        self.ends = earlier.ends;
        self
    }

    /// The flow was refreshed, by a message that says the same as the one before.
    pub(crate) fn refresh(&mut self, now: Time) {
        self.refreshed = now;
    }

    /// The flow is removed after this time, not at it.
    pub(crate) fn deadline(self) -> Deadline {
        let timeout = self.refreshed.after(self.lifetime);
        let (time, reason) = match self.ends < timeout {
            true => (self.ends, DeleteReason::FlowDuration),
            false => (timeout, DeleteReason::StateTimeout),
        };
        Deadline { time, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timers(missed_refreshes: u32, max_refresh: Duration) -> Timers {
        Timers {
            missed_refreshes,
            max_refresh,
            max_duration: None,
        }
    }

    fn lifetime(missed_refreshes: u32, refresh_ms: u32) -> Duration {
        let timers = timers(missed_refreshes, Duration::MAX);
        Duration::from_nanos(timers.lifetime(TimeValues { refresh_ms }))
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
        assert_eq!(longest, Duration::from_nanos(u64::MAX));
        let never = Time(u64::MAX).after(1);
        assert_eq!(never, Time(u64::MAX));
        // Windows counts in steps of 100 ns.
        let back = Time::from(SystemTime::from(never));
        assert!(never.0 - back.0 < 100, "{back:?}");
    }

    #[test]
    fn a_long_refresh_period_is_taken_for_the_longest() {
        let timers = timers(3, Duration::from_secs(3_600));
        let hours = |refresh_ms| timers.lifetime(TimeValues { refresh_ms }) / 3_600_000_000_000;
        assert_eq!([3_600_000, 3_600_001, u32::MAX].map(hours), [5, 5, 5]);
        let too_long = |refresh_ms| timers.too_long(Some(TimeValues { refresh_ms }));
        assert_eq!(too_long(3_600_000), None);
        assert_eq!(too_long(3_600_001), Some(Duration::from_millis(3_600_001)));
    }
}
