//! The life of a PCM: its LPMs are started, watched, exchanged and stopped.

pub(crate) mod addresses;
pub(crate) mod deadline;
mod hand_over;
mod later;
pub(crate) mod lifecycle;
pub(crate) mod pending_change;
pub(crate) mod pinned;
pub(crate) mod reconfigure;
pub(crate) mod renew;
mod report;
pub(crate) mod startup;
pub(crate) mod stopping;
pub(crate) mod teardown;
pub(crate) mod watch;
