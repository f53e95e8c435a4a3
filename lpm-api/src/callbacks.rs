//! What an LPM may call in its PCM: the results of deferred requests.

use std::fmt;

use lpm_abi::{AbiCallbacks, AbiDecision, AbiResult, LpmHandle, LpmStatus, RequestHandle};

use crate::decision::Decision;

/// The PCM's callbacks for deferred results (lpmapi `cbAdmitResult`, `cbGetRsvpObjects`).
///
/// [`Deferral`](crate::Deferral) and [`ObjectsDeferral`](crate::ObjectsDeferral) use them, and are
/// what an LPM in Rust wants: they answer once, and never with the wrong request. Adapters for LPMs
/// in other languages use them directly. May be called from any thread; never blocks for long.
#[derive(Clone, Copy)]
pub struct PcmCallbacks {
    lpm: LpmHandle,
    abi: AbiCallbacks,
}

impl PcmCallbacks {
    pub(crate) const fn new(lpm: LpmHandle, abi: AbiCallbacks) -> Self {
        Self { lpm, abi }
    }

    /// The handle of the LPM whose requests these are.
    #[must_use]
    pub const fn lpm(&self) -> LpmHandle {
        self.lpm
    }

    /// Answers a deferred request for decisions (lpmapi `cbAdmitResult`), one decision per flow
    /// descriptor of its message.
    ///
    /// # Errors
    ///
    /// Why the PCM did not take the answer.
    pub fn admit_result(
        &self,
        request: RequestHandle,
        immediate_refresh: bool,
        decisions: &[Decision],
    ) -> Result<(), ResultError> {
        /// Flow descriptors whose decisions are passed without an allocation.
        const FEW: usize = 8;
        let mut few = [AbiDecision::UNANSWERED; FEW];
        let many: Vec<AbiDecision>;
        let abi = match few.get_mut(..decisions.len()) {
            Some(few) => {
                for (abi, decision) in few.iter_mut().zip(decisions) {
                    *abi = (*decision).into();
                }
                &*few
            }
            None => {
                many = decisions.iter().copied().map(AbiDecision::from).collect();
                &many
            }
        };
        let flags = match immediate_refresh {
            true => AbiResult::FORCE_IMMEDIATE_REFRESH,
            false => 0,
        };
        self.call_admit(request, LpmStatus::OK, flags, abi)
    }

    /// Says that the LPM cannot decide on a deferred request: its flows are rejected.
    ///
    /// # Errors
    ///
    /// As [`admit_result`](Self::admit_result).
    pub fn admit_failed(
        &self,
        request: RequestHandle,
        status: LpmStatus,
    ) -> Result<(), ResultError> {
        self.call_admit(request, status, 0, &[])
    }

    /// Answers a deferred request for objects (lpmapi `cbGetRsvpObjects`) with POLICY_DATA objects
    /// in network byte order, one after the other; none is an answer as well.
    ///
    /// # Errors
    ///
    /// Why the PCM did not take the answer.
    pub fn objects_result(
        &self,
        request: RequestHandle,
        policy_data: &[u8],
    ) -> Result<(), ResultError> {
        self.call_objects(request, LpmStatus::OK, 0, policy_data)
    }

    /// Answers a deferred request for objects: the message must not go out (lpmapi
    /// `LPV_DROP_MSG`).
    ///
    /// # Errors
    ///
    /// Why the PCM did not take the answer.
    pub fn drop_message(&self, request: RequestHandle) -> Result<(), ResultError> {
        self.call_objects(request, LpmStatus::OK, AbiResult::DROP_MESSAGE, &[])
    }

    /// Says that the LPM has no objects since it failed.
    ///
    /// # Errors
    ///
    /// Why the PCM did not take the answer.
    pub fn objects_failed(
        &self,
        request: RequestHandle,
        status: LpmStatus,
    ) -> Result<(), ResultError> {
        self.call_objects(request, status, 0, &[])
    }

    fn result(&self, request: RequestHandle, status: LpmStatus, flags: u32) -> AbiResult {
        AbiResult {
            lpm: self.lpm.number(),
            request: request.number(),
            status: status.0,
            flags,
        }
    }

    fn call_admit(
        &self,
        request: RequestHandle,
        status: LpmStatus,
        flags: u32,
        decisions: &[AbiDecision],
    ) -> Result<(), ResultError> {
        let result = self.result(request, status, flags);
        ResultError::check((self.abi.admit_result)(result, decisions.into()))
    }

    fn call_objects(
        &self,
        request: RequestHandle,
        status: LpmStatus,
        flags: u32,
        policy_data: &[u8],
    ) -> Result<(), ResultError> {
        let result = self.result(request, status, flags);
        ResultError::check((self.abi.objects_result)(result, policy_data.into()))
    }
}

impl fmt::Debug for PcmCallbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PcmCallbacks")
            .field("lpm", &self.lpm)
            .finish_non_exhaustive()
    }
}

/// Why the PCM did not take a deferred result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// The LPM is deinitialized, or never was initialized (lpmapi `INV_LPM_HANDLE`).
    #[error("the LPM is deinitialized: its outstanding requests were rejected")]
    LpmGone,
    /// The result time limit is over, and the request was rejected (lpmapi `LPM_TIME_OUT`).
    #[error("the result came after the time limit: the request was rejected")]
    TimeOut,
    /// The PCM never issued this request to this LPM (lpmapi `INV_REQ_HANDLE`).
    #[error("the PCM never issued this request to this LPM")]
    UnknownRequest,
    /// The request was answered before (lpmapi `DUP_RESULTS`).
    #[error("the request was answered before")]
    Duplicate,
    /// The result is none: another number of decisions than the message has flow descriptors, or
    /// objects that are no POLICY_DATA (lpmapi `INV_RESULTS`). The request was rejected.
    #[error(
        "the result is invalid, and the request rejected: expected one decision per flow descriptor, or well-formed POLICY_DATA objects that fit"
    )]
    Invalid,
    /// The PCM gave a reason that this version does not know.
    #[error("the PCM did not take the result: {0}")]
    Other(LpmStatus),
}

impl ResultError {
    /// The value of lpmapi.h.
    #[must_use]
    pub const fn status(self) -> LpmStatus {
        match self {
            Self::LpmGone => LpmStatus::INVALID_LPM_HANDLE,
            Self::TimeOut => LpmStatus::TIME_OUT,
            Self::UnknownRequest => LpmStatus::INVALID_REQUEST_HANDLE,
            Self::Duplicate => LpmStatus::DUPLICATE_RESULTS,
            Self::Invalid => LpmStatus::INVALID_RESULTS,
            Self::Other(status) => status,
        }
    }

    fn check(status: u32) -> Result<(), Self> {
        Err(match LpmStatus(status) {
            LpmStatus::OK => return Ok(()),
            LpmStatus::INVALID_LPM_HANDLE => Self::LpmGone,
            LpmStatus::TIME_OUT => Self::TimeOut,
            LpmStatus::INVALID_REQUEST_HANDLE => Self::UnknownRequest,
            LpmStatus::DUPLICATE_RESULTS => Self::Duplicate,
            LpmStatus::INVALID_RESULTS => Self::Invalid,
            other => Self::Other(other),
        })
    }
}
