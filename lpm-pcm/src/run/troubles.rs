//! What goes wrong while the service goes on: messages that are dropped, and what failed. Said once
//! in a while, so that nobody can fill a log.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use lpm_sbm::DropReason;
use tokio::time::Instant;

use crate::output::plain;

/// How often what went wrong is said.
pub const TELL_EVERY: Duration = Duration::from_secs(10);

/// How many different failures are told apart between two times.
const MOST: usize = 20;

/// What went wrong.
#[derive(Debug)]
pub struct Troubles {
    /// What was dropped since it was last said.
    dropped: BTreeMap<DropReason, u64>,
    /// What was dropped before that.
    told: BTreeMap<DropReason, u64>,
    /// What failed since it was last said, and how often.
    failures: HashMap<String, u64>,
    /// How often other things did: strangers choose what some of them say.
    others: u64,
    tell_at: Instant,
}

impl Troubles {
    /// No trouble yet; what comes is said some time from now.
    #[must_use]
    pub fn since(now: Instant) -> Self {
        Self {
            dropped: BTreeMap::new(),
            told: BTreeMap::new(),
            failures: HashMap::new(),
            others: 0,
            tell_at: now + TELL_EVERY,
        }
    }

    /// When there is something to be said.
    #[must_use]
    pub const fn due(&self) -> Instant {
        self.tell_at
    }

    /// A message was dropped.
    pub fn dropped(&mut self, reason: DropReason) {
        *self.dropped.entry(reason).or_default() += 1;
    }

    /// Something failed.
    pub fn failed(&mut self, what: String) {
        let is_full = self.failures.len() >= MOST;
        match self.failures.get_mut(&what) {
            Some(count) => *count += 1,
            None if is_full => self.others += 1,
            None => drop(self.failures.insert(what, 1)),
        }
    }

    /// Says what went wrong since the last time, where it is time for that.
    pub fn tell(&mut self, now: Instant) {
        if now >= self.tell_at {
            self.tell_at = now + TELL_EVERY;
            self.tell_all();
        }
    }

    /// Says what went wrong since the last time.
    pub fn tell_all(&mut self) {
        for (reason, count) in std::mem::take(&mut self.dropped) {
            *self.told.entry(reason).or_default() += count;
            plain::tell(format_args!("{count} messages dropped: {}", reason.name()));
        }
        for (what, count) in std::mem::take(&mut self.failures) {
            plain::tell(format_args!("{what} ({count} times)"));
        }
        match std::mem::take(&mut self.others) {
            0 => {}
            others => plain::tell(format_args!("and {others} failures of other kinds")),
        }
    }

    /// How many messages were dropped since the start.
    #[must_use]
    pub fn all_dropped(&self) -> BTreeMap<DropReason, u64> {
        let mut dropped = self.told.clone();
        for (reason, count) in &self.dropped {
            *dropped.entry(*reason).or_default() += count;
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_fill_the_memory_or_the_log() {
        let mut troubles = Troubles::since(Instant::now());
        for number in 0..1_000 {
            troubles.failed("the first".to_owned());
            troubles.failed(format!("a message of 10.0.0.{number}"));
        }
        assert_eq!(troubles.failures.len(), MOST);
        assert_eq!(troubles.failures.get("the first"), Some(&1_000));
        assert_eq!(troubles.others, 1_000 - (MOST as u64 - 1));
        troubles.tell_all();
        assert_eq!((troubles.failures.len(), troubles.others), (0, 0));
    }
}
