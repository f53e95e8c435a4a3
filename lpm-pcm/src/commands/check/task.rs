//! What a child process is to check, and what it answers.

use std::time::Duration;

use lpm_host::Isolation;
use serde::{Deserialize, Serialize};

use super::finding::Finding;
use crate::commands::lpm_text::LpmText;

/// Whether libraries are ever unmapped on this platform. Elsewhere it is not the LPM's fault that
/// they are not.
pub(super) const UNMAPS: bool = cfg!(any(
    windows,
    all(
        target_os = "linux",
        target_env = "gnu",
        target_pointer_width = "64"
    )
));

/// A part of the contract, checked in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Start, requests, stop for every reason, and start again
    Lifecycle,
    /// Several initializations of one library, stopped one by one
    Instances,
    /// Malformed policy data, unusual and huge messages
    Messages,
    /// State that the LPM never had, and refreshes
    State,
    /// Answers in time, and requests that are open when the LPM is stopped
    Deadlines,
    /// Eight threads at once, and a stop meanwhile
    Threads,
    /// Many starts and stops: memory, threads, open files
    Cycles,
}

impl Check {
    /// All of them, in the order they are run in.
    pub const ALL: [Self; 7] = [
        Self::Lifecycle,
        Self::Instances,
        Self::Messages,
        Self::State,
        Self::Deadlines,
        Self::Threads,
        Self::Cycles,
    ];

    /// The check in one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lifecycle => "lifecycle",
            Self::Instances => "instances",
            Self::Messages => "messages",
            Self::State => "state",
            Self::Deadlines => "deadlines",
            Self::Threads => "threads",
            Self::Cycles => "cycles",
        }
    }
}

/// Where the LPM runs that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Isolated {
    /// In the process that makes the check
    None,
    /// In a process of its own
    Process,
}

impl From<Isolated> for Isolation {
    fn from(isolated: Isolated) -> Self {
        match isolated {
            Isolated::None => Self::None,
            Isolated::Process => Self::Process,
        }
    }
}

/// What a child is to do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Task {
    pub(super) check: Check,
    pub(super) configs: Vec<LpmText>,
    pub(super) time_limit: Duration,
    pub(super) cycles: u32,
    pub(super) isolation: Isolated,
}

/// What a child writes down.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Record {
    Finding(Finding),
    /// The LPM has accepted a flow.
    Accepted,
    /// The check cannot go on: a call does not return.
    GaveUp,
    /// The check is over.
    Done,
}
