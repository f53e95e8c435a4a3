//! The extensions that an LPM offers, filled in for its type.

mod hand_over;
mod reasons;
mod statistics;

pub(super) use self::hand_over::hand_over;
pub(super) use self::reasons::reasons;
pub use self::statistics::Statistics;
