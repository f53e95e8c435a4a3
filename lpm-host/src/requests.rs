//! Requests that LPMs put off, and the results that they hand in.

pub(crate) mod asked;
pub(crate) mod registry;
pub(crate) mod relay;
pub(crate) mod results;
pub(crate) mod shard;
pub(crate) mod table;
