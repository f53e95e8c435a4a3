//! Decisions, and how a request was answered.

use abi_stable::StableAbi;

use crate::status::LpmStatus;

/// A decision as it is written into the PCM's buffer.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbiDecision {
    /// LPM priority value.
    pub lpv: u32,
    /// Error code of a rejection.
    pub error_code: u16,
    /// Error value of a rejection.
    pub error_value: u16,
}

impl AbiDecision {
    /// What stands in the buffer before the LPM answers; no decision.
    pub const UNANSWERED: Self = Self {
        lpv: 0,
        error_code: 0,
        error_value: 0,
    };
}

/// How a request was answered: one word, which is zero after nearly every call.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiAnswer(u64);

impl AbiAnswer {
    /// Bit of the flags that asks for a refresh at once (`FORCE_IMMEDIATE_REFRESH`).
    pub const FORCE_IMMEDIATE_REFRESH: u32 = 1;
    /// Bit of the flags that stops an outgoing message (`LPV_DROP_MSG`).
    pub const DROP_MESSAGE: u32 = 2;
    /// Bit of the flags that says that the answer comes later (`LPM_RESULT_DEFER`).
    pub const DEFERRED: u32 = 1 << 31;

    /// The answer is in the buffer, with these flags; or comes later, as they say.
    #[inline]
    #[must_use]
    pub const fn with_flags(flags: u32) -> Self {
        Self((flags as u64) << 32)
    }

    /// No answer: the call failed.
    #[inline]
    #[must_use]
    pub const fn failed(status: LpmStatus) -> Self {
        Self(status.0 as u64)
    }

    /// [`LpmStatus::OK`], or the status of a failure.
    #[inline]
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the other half are the flags"
    )]
    pub const fn status(self) -> LpmStatus {
        LpmStatus(self.0 as u32)
    }

    /// The flags.
    #[inline]
    #[must_use]
    pub const fn flags(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether the answer is in the buffer, and nothing besides.
    #[inline]
    #[must_use]
    pub const fn is_plain(self) -> bool {
        self.0 == 0
    }
}
