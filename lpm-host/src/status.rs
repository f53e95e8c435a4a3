//! How a PCM is and what it counts, for those who look after it.

use std::path::PathBuf;
use std::sync::Arc;

use lpm_api::{LpmHandle, PeType};

use crate::config::Isolation;
use crate::pin_reason::PinReason;
use crate::source::LpmSource;

pub use crate::metrics::{Latencies, LpmMetrics};

/// How a PCM is, at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Where it is in its life.
    pub phase: Phase,
    /// Its LPMs, in configured order.
    pub lpms: Vec<LpmStatusReport>,
    /// The libraries that could not be unloaded, in the order in which that was found.
    pub pinned: Vec<PinnedLibrary>,
}

/// Where a PCM is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// No LPM is initialized.
    Standby,
    /// LPMs are being started, stopped or replaced.
    Changing,
    /// It decides: the node is the Designated SBM.
    InCharge,
    /// It is at its end.
    ShutDown,
}

impl Phase {
    /// The phase in snake_case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::Changing => "changing",
            Self::InCharge => "in_charge",
            Self::ShutDown => "shut_down",
        }
    }
}

/// How an LPM is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LpmStatusReport {
    /// Its configured name.
    pub name: Arc<str>,
    /// What it comes from.
    pub source: LpmSource,
    /// Whether it runs in a process of its own.
    pub isolation: Isolation,
    /// How it is.
    pub health: LpmHealth,
    /// What is known of its initialization; `None` where it is not initialized.
    pub initialized: Option<InitializedStatus>,
}

/// What is known of an LPM that is initialized.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InitializedStatus {
    /// Its handle.
    pub handle: LpmHandle,
    /// The policy element type that it serves.
    pub pe_type: PeType,
    /// The version of the package that its library was built from; `None` for an LPM of this
    /// program.
    pub version: Option<Arc<str>>,
    /// The number of the process that runs it; `None` where that is this one.
    pub process: Option<u32>,
    /// How many requests it has put off and not answered yet, or has not been asked yet on its own
    /// threads.
    pub open_requests: usize,
}

/// How an LPM is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LpmHealth {
    /// It is asked.
    Serving,
    /// A call hangs in it: it is not asked, and all flows are rejected.
    Quarantined,
    /// Its process has ended: it is not asked, and all flows are rejected, until it starts again.
    Ended,
    /// It is configured, and not initialized: the PCM is not in charge, or the LPM is optional and
    /// failed.
    NotInitialized,
}

impl LpmHealth {
    /// The health in snake_case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Quarantined => "quarantined",
            Self::Ended => "ended",
            Self::NotInitialized => "not_initialized",
        }
    }
}

/// A library that could not be unloaded. It stays mapped, and is never called again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PinnedLibrary {
    /// The library, as configured.
    pub library: PathBuf,
    /// Why; never empty.
    pub reasons: Vec<PinReason>,
}

/// The counters of one LPM (extension [`Statistics`](lpm_api::Statistics)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LpmStatistics {
    /// The LPM's configured name.
    pub name: Arc<str>,
    /// Its handle.
    pub handle: LpmHandle,
    /// Each counter with its name; `None` where the LPM does not offer the extension, or is in
    /// quarantine.
    pub counters: Option<Vec<(String, u64)>>,
}
