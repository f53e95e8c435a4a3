//! Answers that come later.

use abi_stable::StableAbi;
use abi_stable::std_types::RSlice;

use crate::decision::{AbiAnswer, AbiDecision};

/// The result of a deferred request; decisions or objects come with it.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiResult {
    /// The LPM's handle.
    pub lpm: u64,
    /// The request's handle.
    pub request: u64,
    /// 0, or the [`LpmStatus`](crate::LpmStatus) of a failure.
    pub status: u32,
    /// Bit 0: refresh at once. Bit 1: drop the message.
    pub flags: u32,
}

impl AbiResult {
    /// Bit of `flags` that asks for a refresh at once (`FORCE_IMMEDIATE_REFRESH`).
    pub const FORCE_IMMEDIATE_REFRESH: u32 = AbiAnswer::FORCE_IMMEDIATE_REFRESH;
    /// Bit of `flags` that stops an outgoing message (`LPV_DROP_MSG`).
    pub const DROP_MESSAGE: u32 = AbiAnswer::DROP_MESSAGE;
}

/// The PCM's functions for deferred results. Valid in every thread until the process ends; what
/// they return is an [`LpmStatus`](crate::LpmStatus).
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct AbiCallbacks {
    /// Takes decisions, one per flow descriptor.
    pub admit_result: extern "C" fn(AbiResult, RSlice<'_, AbiDecision>) -> u32,
    /// Takes POLICY_DATA objects in network order.
    pub objects_result: extern "C" fn(AbiResult, RSlice<'_, u8>) -> u32,
}
