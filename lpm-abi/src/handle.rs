//! Handles: how the PCM and its LPMs name each other and their requests.

use std::fmt;

/// Names one initialization of an LPM (lpmapi `LPM_HANDLE`).
///
/// Unique in the process and never used twice, so a handle kept past deinitialization names
/// nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LpmHandle(u64);

impl LpmHandle {
    /// A handle with this number; for PCMs, which number the LPMs they initialize.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The handle's number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LpmHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one request that a PCM puts to an LPM (lpmapi `RHANDLE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestHandle(u64);

impl RequestHandle {
    /// A handle with this number; for PCMs.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The handle's number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RequestHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
