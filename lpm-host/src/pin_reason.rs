//! What became of an LPM's library, with what a PCM knows of it besides the library itself.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::event::{Event, EventId};

/// What became of a library that was to be unloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnloadOutcome {
    /// Nothing of the library is mapped any more: the loader does not list it, and (on Linux)
    /// neither does the kernel.
    Unmapped,

    /// The library stays mapped until the process ends and is never called again: unmapping it
    /// could have crashed the process, or the platform did not unmap it.
    Pinned {
        /// Everything that was found to stand in the way; never empty.
        reasons: Vec<PinReason>,
    },
}

impl UnloadOutcome {
    /// Pinned, for one reason.
    pub(crate) fn pinned(reason: PinReason) -> Self {
        Self::Pinned {
            reasons: vec![reason],
        }
    }

    /// The event that puts this outcome for a library on record.
    pub(crate) fn event(&self, library: &Path) -> Event {
        let id = match self {
            Self::Unmapped => EventId::LibraryUnmapped,
            Self::Pinned { .. } => EventId::LibraryPinned,
        };
        Event::new(id, self.to_string()).library(library)
    }
}

impl From<libunload::UnloadOutcome> for UnloadOutcome {
    fn from(outcome: libunload::UnloadOutcome) -> Self {
        match outcome {
            libunload::UnloadOutcome::Unmapped => Self::Unmapped,
            libunload::UnloadOutcome::Pinned { reasons } => Self::Pinned {
                reasons: reasons.into_iter().map(PinReason::Library).collect(),
            },
        }
    }
}

impl fmt::Display for UnloadOutcome {
    /// "unmapped", or "stays mapped" with all reasons, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmapped => f.write_str("unmapped"),
            Self::Pinned { reasons } => {
                f.write_str("stays mapped: ")?;
                for (index, reason) in reasons.iter().enumerate() {
                    write!(f, "{}{reason}", if index == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
        }
    }
}

/// Something that keeps a library mapped. [`Display`](fmt::Display) gives one line for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PinReason {
    /// Something about the library itself.
    Library(libunload::PinReason),

    /// Calls into the library did not return in time.
    CallsInside {
        /// How many calls are still inside.
        count: usize,
        /// How long they were waited for.
        waited: Duration,
    },

    /// Objects made by the library are still held.
    ObjectsHeld {
        /// How many holders there are.
        count: usize,
    },

    /// The LPM's `deinitialize` did not return in time.
    DeinitializeOverdue {
        /// How long it was waited for.
        limit: Duration,
    },

    /// The LPM's `hand_over` did not return in time.
    HandOverOverdue {
        /// How long it was waited for.
        limit: Duration,
    },

    /// Loading the library, or the LPM's `initialize`, did not return in time.
    InitializeOverdue {
        /// How long it was waited for.
        limit: Duration,
    },

    /// The library's own code did not return while it was unloaded: the destructors of its statics
    /// and thread-locals run then.
    UnloadOverdue {
        /// How long it was waited for.
        limit: Duration,
    },
}

impl fmt::Display for PinReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library(reason) => reason.fmt(f),
            Self::CallsInside { count, waited } => {
                write!(
                    f,
                    "{count} calls into the library did not return within {waited:?}"
                )
            }
            Self::ObjectsHeld { count } => {
                write!(f, "objects of the library are still held in {count} places")
            }
            Self::DeinitializeOverdue { limit } => {
                write!(f, "deinitialize did not return within {limit:?}")
            }
            Self::HandOverOverdue { limit } => {
                write!(f, "hand_over did not return within {limit:?}")
            }
            Self::InitializeOverdue { limit } => {
                write!(f, "loading and initialize did not return within {limit:?}")
            }
            Self::UnloadOverdue { limit } => {
                write!(
                    f,
                    "the library's destructors did not return within {limit:?}"
                )
            }
        }
    }
}

impl From<libunload::PinReason> for PinReason {
    fn from(reason: libunload::PinReason) -> Self {
        Self::Library(reason)
    }
}
