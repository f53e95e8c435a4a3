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
pub(crate) struct Deadlines(BTreeSet<(Moment, Due)>);

/// A time of the node's clock, in half the room that it has elsewhere: there are several for each
/// session. Those in more than 500 years are never reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl From<Duration> for Moment {
    fn from(time: Duration) -> Self {
        Self(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Moment> for Duration {
    fn from(Moment(nanoseconds): Moment) -> Self {
        Self::from_nanos(nanoseconds)
    }
}

impl Deadlines {
    pub(crate) fn add(&mut self, time: impl Into<Moment>, due: Due) {
        self.0.insert((time.into(), due));
    }

    pub(crate) fn remove(&mut self, time: Moment, due: Due) {
        self.0.remove(&(time, due));
    }

    pub(crate) fn first(&self) -> Option<Duration> {
        self.0.first().map(|(time, _)| (*time).into())
    }

    /// Takes out what is due first, if that is now or before.
    pub(crate) fn take(&mut self, now: Moment) -> Option<(Moment, Due)> {
        match self.0.first() {
            Some((time, _)) if *time <= now => self.0.pop_first(),
            _ => None,
        }
    }
}
