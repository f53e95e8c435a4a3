//! An initialized LPM as the PCM sees it.
// What the macro generates is neither documented nor placed by us.
#![allow(missing_docs, non_local_definitions)]

use abi_stable::std_types::{RBox, ROption, RResult, RSlice, RStr, RVec};
use abi_stable::{StableAbi, sabi_trait};

use crate::decision::AbiAnswer;
use crate::extension::AbiExtension;
use crate::failure::AbiFailure;
use crate::interface::AbiAddressRow;
use crate::objects::AbiObjectsRequest;
use crate::tell::{AbiCommit, AbiDeleteState};

/// Why an LPM is deinitialized.
#[repr(u8)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub enum AbiDeinitialize {
    /// The node is no longer DSBM.
    Demotion = 1,
    /// The system shuts down.
    Shutdown = 2,
    /// The configuration changed.
    Reconfiguration = 3,
}

/// The methods of an initialized LPM, but for [`Admit`](crate::Admit). None of them unwinds. A
/// `u32` that is returned is 0 or the status of a failure.
#[sabi_trait]
pub trait AbiLpm: Send + Sync {
    /// Supplies POLICY_DATA objects, in network order, for an outgoing message.
    fn rsvp_objects(&self, request: &AbiObjectsRequest<'_>, objects: &mut RVec<u8>) -> AbiAnswer;

    /// Tells that resources were reserved.
    fn commit_resv(&self, commit: &AbiCommit<'_>) -> u32;

    /// Tells that state is gone.
    fn delete_state(&self, request: &AbiDeleteState<'_>) -> u32;

    /// Tells the addresses of the host.
    fn ip_address_table(&self, table: RSlice<'_, AbiAddressRow>) -> u32;

    /// The ability of this name, where the LPM has it.
    fn extension(&self, id: RStr<'_>) -> ROption<AbiExtension<'_>>;

    /// Ends the LPM; later calls fail.
    #[sabi(last_prefix_field)]
    fn deinitialize(&mut self, reason: AbiDeinitialize) -> RResult<(), AbiFailure>;
}

/// An LPM, owned by the PCM; its code and memory are the library's.
pub type AbiLpmBox = AbiLpm_TO<'static, RBox<()>>;
