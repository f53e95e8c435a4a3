//! How long threads that call LPMs are waited for when a library goes, so that they destroy what it
//! keeps in them.

use std::time::Duration;

/// How long to wait, and for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VisitLimit {
    /// In all.
    pub(crate) longest: Duration,
    /// While no thread comes by.
    pub(crate) idle: Duration,
}

impl Default for VisitLimit {
    /// For threads that are at work: they come by at once. Threads that have nothing to do hold
    /// nobody up.
    fn default() -> Self {
        Self {
            longest: Duration::from_millis(10),
            idle: Duration::from_micros(100),
        }
    }
}

impl VisitLimit {
    /// For all threads, whether or not they have anything to do.
    pub(crate) const fn for_all(limit: Duration) -> Self {
        Self {
            longest: limit,
            idle: limit,
        }
    }
}
