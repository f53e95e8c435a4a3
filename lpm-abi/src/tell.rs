//! What LPMs are told: reservations that were made, and state that is gone.

use abi_stable::StableAbi;
use abi_stable::std_types::{ROption, RSlice};

use crate::interface::AbiInterface;
use crate::message::AbiMessage;

/// A reservation that was made or changed.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiCommit<'a> {
    /// What the SBM did: 1 allocated, 2 modified (lpmapi `RESOURCES_*`).
    pub decision: u32,
    /// Index of the flow descriptor.
    pub flow: u16,
    /// Where the resources are.
    pub interface: AbiInterface,
    /// The Resv message.
    pub message: AbiMessage<'a>,
    /// The merged FLOWSPEC object with its header; empty where nothing was merged.
    pub merged: RSlice<'a, u8>,
}

/// State that is gone.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiDeleteState<'a> {
    /// Why: the number of the reason in lpmapi.h (`RCVD_PATH_TEAR` is 1).
    pub reason: u32,
    /// Index of the one flow descriptor concerned, or all of the message's.
    pub flow: ROption<u16>,
    /// Where the message was received.
    pub interface: ROption<AbiInterface>,
    /// The message that names the flows.
    pub message: AbiMessage<'a>,
}
