//! Status values that cross the API.

use std::fmt;

/// What a call of the LPM API came to: `LPM_OK` (0) or a failure, as recorded in the event log.
///
/// An LPM may use values of its own; those named here are the ones of lpmapi.h and,
/// from `0xFFFF_FF00` up, those the host uses for failures the original API has no value for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LpmStatus(pub u32);

impl LpmStatus {
    /// Success (lpmapi `LPM_OK`).
    pub const OK: Self = Self(0);
    /// No such LPM, or already deinitialized (lpmapi `INV_LPM_HANDLE`).
    pub const INVALID_LPM_HANDLE: Self = Self(1);
    /// The answer came after the result time limit (lpmapi `LPM_TIME_OUT`).
    pub const TIME_OUT: Self = Self(2);
    /// The request was never issued to this LPM (lpmapi `INV_REQ_HANDLE`).
    pub const INVALID_REQUEST_HANDLE: Self = Self(3);
    /// The request was answered before (lpmapi `DUP_RESULTS`).
    pub const DUPLICATE_RESULTS: Self = Self(4);
    /// Wrong count, reserved LPV, rejection without a reason (lpmapi `INV_RESULTS`).
    pub const INVALID_RESULTS: Self = Self(5);
    /// The LPM panicked. Not in lpmapi.h.
    pub const PANICKED: Self = Self(0xFFFF_FF01);
    /// The call did not return within its deadline. Not in lpmapi.h.
    pub const DEADLINE: Self = Self(0xFFFF_FF02);
    /// The LPM could not use its configuration. Not in lpmapi.h.
    pub const BAD_CONFIGURATION: Self = Self(0xFFFF_FF03);
    /// The LPM dropped a deferred request without an answer. Not in lpmapi.h.
    pub const FORGOTTEN: Self = Self(0xFFFF_FF04);
    /// The LPM answered FALSE, or will not take what it was given. Not in lpmapi.h.
    pub const REFUSED: Self = Self(0xFFFF_FF05);
    /// A call into the LPM hangs, so it is not called: quarantine. Not in lpmapi.h.
    pub const QUARANTINED: Self = Self(0xFFFF_FF06);
    /// The LPM could not do it, for a reason that only its message tells. Not in lpmapi.h.
    pub const FAILED: Self = Self(0xFFFF_FF07);
    /// The process that ran the LPM has ended. Not in lpmapi.h.
    pub const ENDED: Self = Self(0xFFFF_FF08);

    /// Whether this is [`OK`](Self::OK).
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == Self::OK.0
    }
}

impl fmt::Display for LpmStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::OK => "LPM_OK",
            Self::INVALID_LPM_HANDLE => "INV_LPM_HANDLE",
            Self::TIME_OUT => "LPM_TIME_OUT",
            Self::INVALID_REQUEST_HANDLE => "INV_REQ_HANDLE",
            Self::DUPLICATE_RESULTS => "DUP_RESULTS",
            Self::INVALID_RESULTS => "INV_RESULTS",
            Self::PANICKED => "panicked",
            Self::DEADLINE => "deadline exceeded",
            Self::BAD_CONFIGURATION => "bad configuration",
            Self::FORGOTTEN => "dropped without an answer",
            Self::REFUSED => "refused",
            Self::QUARANTINED => "quarantined",
            Self::FAILED => "failed",
            Self::ENDED => "process ended",
            Self(value) => return write!(f, "status {value}"),
        };
        f.write_str(name)
    }
}
