//! The clock of the schedules.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::tz::{self, TimeZone};

/// A time zone. That of the system is found when it is first asked for: to list all zones takes
/// longer than to read a policy, and most policies have no schedules.
#[derive(Debug, Default)]
pub(super) struct Zone(OnceLock<TimeZone>);

/// Whether zones were listed, in a static of `jiff`'s.
static ARE_LISTED: AtomicBool = AtomicBool::new(false);

impl Zone {
    /// The zone with this name; `None` if the system has none.
    pub(super) fn named(name: &str) -> Option<Self> {
        ARE_LISTED.store(true, Ordering::Relaxed);
        Some(Self(TimeZone::get(name).ok()?.into()))
    }

    pub(super) fn get(&self) -> &TimeZone {
        self.0.get_or_init(|| {
            ARE_LISTED.store(true, Ordering::Relaxed);
            TimeZone::try_system().unwrap_or(TimeZone::UTC)
        })
    }
}

/// Frees the list of zones, 100 KB that unloading the library would leave behind.
pub(crate) fn forget_list() {
    if ARE_LISTED.swap(false, Ordering::Relaxed) {
        tz::db().reset();
    }
}
