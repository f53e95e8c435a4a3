//! Points in time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use abi_stable::StableAbi;

/// A point in time: whole seconds since the Unix epoch, rounded down, and nanoseconds on top.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiTime {
    /// Seconds since 1970-01-01 00:00 UTC, negative before.
    pub seconds: i64,
    /// 0 to 999 999 999.
    pub nanoseconds: u32,
}

impl From<SystemTime> for AbiTime {
    fn from(time: SystemTime) -> Self {
        let (since, negative) = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => (since, false),
            Err(before) => (before.duration(), true),
        };
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        match (negative, since.subsec_nanos()) {
            (false, nanoseconds) => Self {
                seconds,
                nanoseconds,
            },
            (true, 0) => Self {
                seconds: -seconds,
                nanoseconds: 0,
            },
            (true, nanoseconds) => Self {
                seconds: -seconds - 1,
                nanoseconds: 1_000_000_000 - nanoseconds,
            },
        }
    }
}

impl From<AbiTime> for SystemTime {
    fn from(abi: AbiTime) -> Self {
        let (seconds, nanoseconds) = (abi.seconds.unsigned_abs(), abi.nanoseconds);
        let time = if abi.seconds < 0 {
            UNIX_EPOCH
                .checked_sub(Duration::from_secs(seconds))
                .and_then(|whole| whole.checked_add(Duration::from_nanos(nanoseconds.into())))
        } else {
            // Does not overflow: there are fewer than 2⁶³ seconds.
            UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
        };
        time.unwrap_or(UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip_on_both_sides_of_the_epoch() {
        for nanos in [
            0u64,
            1,
            999_999_999,
            1_000_000_000,
            1_700_000_000_123_456_789,
        ] {
            let offset = Duration::from_nanos(nanos);
            for time in [UNIX_EPOCH + offset, UNIX_EPOCH - offset] {
                assert_eq!(SystemTime::from(AbiTime::from(time)), time, "{nanos}");
            }
        }
    }
}
