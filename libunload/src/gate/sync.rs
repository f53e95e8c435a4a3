//! The primitives of the standard library, or those that the model checker watches.

#[cfg(all(test, loom))]
pub(super) use loom::{sync::*, thread_local};
#[cfg(not(all(test, loom)))]
pub(super) use std::{sync::*, thread_local};
