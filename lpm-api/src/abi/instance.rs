//! An initialized LPM, as its functions across the boundary find it.

use crate::admit::Terms;

/// An LPM and what holds for all requests to it.
pub(super) struct Instance<L> {
    pub(super) lpm: L,
    pub(super) terms: Terms,
}
