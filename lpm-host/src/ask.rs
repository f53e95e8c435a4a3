//! Asking the LPMs, and telling them: what happens to one message.

pub(crate) mod admission;
mod alone;
pub(crate) mod asking;
mod at_once;
pub(crate) mod decide;
pub(crate) mod explain;
pub(crate) mod outgoing;
pub(crate) mod statistics;
pub(crate) mod tell;
