//! An initialized LPM as the PCM sees it.
// What the macro generates is neither documented nor placed by us.
#![allow(missing_docs, non_local_definitions)]

use abi_stable::sabi_trait;
use abi_stable::std_types::{RBox, ROption, RResult, RSlice, RSliceMut, RStr, RVec};

use crate::extension::AbiExtension;
use crate::types::{
    AbiAddressRow, AbiAdmit, AbiAnswer, AbiCommit, AbiDecision, AbiDeinitialize, AbiDeleteState,
    AbiFailure, AbiObjectsRequest,
};

/// The methods of an initialized LPM. None of them unwinds. A `u32` that is returned is 0 or the status of a failure.
#[sabi_trait]
pub trait AbiLpm: Send + Sync {
    /// Decides on a message; the buffer has one place per flow descriptor.
    fn admit(&self, request: &AbiAdmit<'_>, decisions: RSliceMut<'_, AbiDecision>) -> AbiAnswer;

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

/// An initialized LPM, owned by the PCM; its code and memory are the library's.
pub type AbiLpmBox = AbiLpm_TO<'static, RBox<()>>;
