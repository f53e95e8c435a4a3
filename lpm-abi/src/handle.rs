//! Handles: how the PCM and its LPMs name each other and their requests.

use std::fmt;
use std::num::NonZeroU64;

/// Names one initialization of an LPM (lpmapi `LPM_HANDLE`).
///
/// Unique in the process and never used twice, so a handle kept past deinitialization names
/// nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LpmHandle(NonZeroU64);

impl LpmHandle {
    /// A handle with this number; for PCMs, which number the LPMs they initialize from 1 on. 0
    /// names no LPM, and is taken for the last number, which never names one either.
    #[inline]
    #[must_use]
    pub const fn new(number: u64) -> Self {
        match NonZeroU64::new(number) {
            Some(number) => Self(number),
            None => Self(NonZeroU64::MAX),
        }
    }

    /// The handle's number.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0.get()
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
