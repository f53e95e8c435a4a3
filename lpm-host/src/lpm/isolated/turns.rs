//! Places for calls, however they cross, and who has the turn there.

/// How many calls may be under way at once.
#[cfg(not(all(test, loom)))]
pub(crate) const PLACES: usize = 48;
#[cfg(all(test, loom))]
pub(crate) const PLACES: usize = 2;

/// Words in a place: more than the longest message takes, with an index of objects that have no
/// bodies.
#[cfg(not(all(test, loom)))]
pub(super) const ROOM: usize = 40_960;
#[cfg(all(test, loom))]
pub(super) const ROOM: usize = 2;

/// What a caller has the turn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Answered,
    AsksForHandle,
    Ended,
    /// Nobody's: the runner does not keep to the protocol.
    #[cfg_attr(
        any(lpm_pipes, not(target_os = "linux")),
        allow(dead_code, reason = "such frames are malformed")
    )]
    Nonsense,
}

/// There is no room for so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;
