//! What can go wrong, and whose doing it is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use lpm_api::LpmStatus;

use crate::lpm::error::LpmError;
use crate::lpm::isolated::NotStarted;
use crate::source::LpmSource;

pub use crate::lpm::compatibility::Incompatibility;
pub use crate::lpm::isolated::error::IsolationError;
pub use crate::lpm::module::LoadError;

/// A PCM cannot be built from this configuration: the embedder's mistake.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Nobody would accept anything.
    #[error(
        "no LPM is configured: a PCM without LPMs rejects every message; configure at least one"
    )]
    NoLpms,
    /// The LPM could not be told of it, and would look for its files elsewhere.
    #[error("the configuration directory of LPM `{name}`, {}, is not UTF-8", path.display())]
    ConfigDir {
        /// The LPM.
        name: Arc<str>,
        /// The directory.
        path: PathBuf,
    },
    /// An LPM depends on one that is not configured before it.
    #[error("LPM `{name}` has to come after `{other}`, but no LPM of this name stands before it")]
    After {
        /// The LPM.
        name: Arc<str>,
        /// The one it names.
        other: Arc<str>,
    },
    /// It is part of this program.
    #[error("LPM `{name}` is built in: it runs in this process, and in no other")]
    BuiltInIsolated {
        /// The LPM.
        name: Arc<str>,
    },
    /// It would confine the PCM.
    #[error("LPM `{name}` is to be confined, which takes a process of its own: give it isolation")]
    ConfinedHere {
        /// The LPM.
        name: Arc<str>,
    },
    /// Events and verdicts would not tell the two apart.
    #[error("two LPMs are named `{name}`; give each a name of its own")]
    DuplicateName {
        /// The name.
        name: Arc<str>,
    },
}

/// A method of a [`Pcm`](crate::Pcm) was called in the wrong state: the embedder's mistake, or a
/// race with another thread that drives the same PCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PcmError {
    /// There are no LPMs to ask or to deinitialize.
    #[error("the PCM is not in charge: `become_dsbm` was not called, or `demote` was")]
    NotDsbm,
    /// The LPMs are initialized already.
    #[error("the PCM is in charge already: `become_dsbm` was called before")]
    AlreadyDsbm,
    /// `shutdown` is final.
    #[error("the PCM was shut down; build a new one")]
    ShutDown,
    /// Another thread is starting or stopping the LPMs.
    #[error("another thread is starting or stopping the PCM's LPMs")]
    Busy,
    /// Another list of LPMs came, or the end, before this one could be put in force; nothing has
    /// changed.
    #[error("a newer list of LPMs takes the place of this one")]
    Superseded,
    /// Waiting for all calls into LPMs to end would wait for this one too.
    #[error("a stop cannot be waited for inside a call into an LPM; use `demote_later`")]
    CalledFromLpm,
    /// The system refused a thread to start or stop the LPMs on; nothing has changed.
    #[error("no thread to start or stop the LPMs on: {0}")]
    NoThread(io::ErrorKind),
}

/// The PCM did not become ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The PCM was not in a state to start.
    #[error(transparent)]
    Pcm(#[from] PcmError),
    /// The new list of LPMs is none that a PCM can be built from.
    #[error(transparent)]
    Config(#[from] BuildError),
    /// LPMs that are not optional did not load or initialize. Those that did were deinitialized
    /// and unloaded again; those that ran before go on.
    #[error("{}", Failures(failures))]
    Lpms {
        /// Every LPM that failed, in configured order.
        failures: Vec<LpmFailure>,
    },
}

/// An LPM that did not load or initialize.
#[derive(Debug)]
#[non_exhaustive]
pub struct LpmFailure {
    /// Its configured name.
    pub name: Arc<str>,
    /// What it was to come from.
    pub source: LpmSource,
    /// Why.
    pub error: LpmStartError,
}

impl fmt::Display for LpmFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LPM `{}`: {}", self.name, self.error)
    }
}

impl std::error::Error for LpmFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<LpmError> for LpmStartError {
    fn from(LpmError { status, message }: LpmError) -> Self {
        Self::Initialize { status, message }
    }
}

/// Why an LPM did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LpmStartError {
    /// Its library cannot be loaded, or is no LPM.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The LPM refused: its own word.
    #[error("initialize failed ({status}): {message}")]
    Initialize {
        /// The status it returned.
        status: LpmStatus,
        /// What it said.
        message: String,
    },
    /// It was to run in a process of its own.
    #[error(transparent)]
    Isolation(#[from] IsolationError),
    /// A misbehaving LPM.
    #[error("initialize returned the PE type {found}; expected 0 (all types) to 65535")]
    InvalidPeType {
        /// The type it returned.
        found: u32,
    },
    /// A misbehaving LPM; its library stays mapped.
    #[error("loading and initialize did not return within {limit:?}; the library stays mapped")]
    Deadline {
        /// The limit.
        limit: Duration,
    },
    /// A misbehaving LPM in a process of its own, which was ended.
    #[error("loading and initialize did not return within {limit:?}; the LPM's process was killed")]
    Killed {
        /// The limit.
        limit: Duration,
    },
}

impl From<NotStarted> for LpmStartError {
    fn from(why: NotStarted) -> Self {
        match why {
            NotStarted::Process(error) => Self::Isolation(error),
            NotStarted::NotLoaded(reason) => Self::Load(LoadError::InItsProcess { reason }),
            NotStarted::NotInitialized(error) => error.into(),
        }
    }
}

impl LpmStartError {
    /// The status to put on record.
    pub(crate) fn status(&self) -> Option<LpmStatus> {
        match self {
            Self::Initialize { status, .. } => Some(*status),
            Self::Deadline { .. } | Self::Killed { .. } => Some(LpmStatus::DEADLINE),
            _ => None,
        }
    }
}

/// All failures on one line.
struct Failures<'a>(&'a [LpmFailure]);

impl fmt::Display for Failures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, failure) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{failure}")?;
        }
        Ok(())
    }
}
