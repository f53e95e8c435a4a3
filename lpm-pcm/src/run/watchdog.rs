//! Word to systemd's watchdog (`WatchdogSec=`), from the loop itself: where the loop hangs, none
//! comes.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

/// When the next word is due.
pub struct Watchdog(Option<(Duration, Instant)>);

impl Watchdog {
    /// As often as systemd wants it: twice within `WATCHDOG_USEC`.
    #[must_use]
    pub fn of_environment() -> Self {
        let limit = sd_notify::watchdog_enabled();
        Self(limit.map(|limit| (limit / 2, Instant::now())))
    }

    /// Gives word, if that is due; when it is next, or in an hour where nobody waits for it.
    pub fn due(&mut self, now: Instant) -> Instant {
        /// Later than anything else.
        const NEVER: Duration = Duration::from_secs(3600);
        let Some((period, due)) = &mut self.0 else {
            return now + NEVER;
        };
        if now >= *due {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            *due = now + *period;
        }
        *due
    }
}
