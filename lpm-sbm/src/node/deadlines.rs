//! When something is to be done.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use lpm_api::FlowKey;
use lpm_rsvp::{FilterSpec, Session};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// Look at a Path: refresh it, or remove it.
    Path(Session, FilterSpec),
    /// Look at a Resv: remove it.
    Resv(FlowKey),
    /// Refresh what is asked of a previous hop.
    Upstream(Session, Neighbour),
    /// Look at the blockades of a session.
    Blockade(Session),
    /// Follow routes that have changed.
    Repair,
    /// Send a message again that is not acknowledged.
    Retry(u32),
    /// Refresh what a neighbour has acknowledged.
    Summary(Neighbour),
}

/// A neighbour, and the interface that leads there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Neighbour {
    pub(crate) address: IpAddr,
    pub(crate) interface: u32,
}

/// All that is to be done, by time.
///
/// An entry is looked at when its time comes; that it is to be done later by then is found out
/// there. So a refresh that comes in changes nothing here.
#[derive(Debug, Default)]
pub(crate) struct Deadlines(BTreeSet<(Nanoseconds, Due)>);

/// A time, in half the room that it has elsewhere: there are several for each session.
type Nanoseconds = u64;

impl Deadlines {
    pub(crate) fn add(&mut self, time: Duration, due: Due) {
        self.0.insert((nanoseconds(time), due));
    }

    pub(crate) fn remove(&mut self, time: Duration, due: Due) {
        self.0.remove(&(nanoseconds(time), due));
    }

    pub(crate) fn first(&self) -> Option<Duration> {
        self.0.first().map(|(time, _)| Duration::from_nanos(*time))
    }

    /// Takes out what is due first, if that is now or before.
    pub(crate) fn take(&mut self, now: Duration) -> Option<(Duration, Due)> {
        match self.first() {
            Some(time) if time <= now => self.0.pop_first().map(|(_, due)| (time, due)),
            _ => None,
        }
    }
}

/// Times in more than 500 years are never reached.
fn nanoseconds(time: Duration) -> Nanoseconds {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
