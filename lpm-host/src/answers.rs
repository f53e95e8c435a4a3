//! What the LPMs say, and how their answers become one.

pub(crate) mod admitting;
pub(crate) mod aggregate;
pub(crate) mod decisions;
pub(crate) mod faults;
pub(crate) mod objects;
mod only;
pub(crate) mod pending;
