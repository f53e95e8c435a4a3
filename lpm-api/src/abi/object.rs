//! An initialized LPM as the PCM sees it.
// What the macro generates is neither documented nor placed by us.
#![allow(missing_docs, non_local_definitions)]

use abi_stable::sabi_trait;
use abi_stable::std_types::{RBox, RResult, RSliceMut};

use super::types::{AbiAdmit, AbiAnswer, AbiDecision, AbiDeinitialize, AbiDeleteState, AbiFailure};

/// The methods of an initialized LPM. None of them unwinds: [`export_lpm!`](crate::export_lpm)
/// wraps every one in `catch_unwind`.
#[sabi_trait]
pub trait AbiLpm: Send + Sync {
    /// Decides on a message; the buffer has one place per flow descriptor.
    fn admit(&self, request: &AbiAdmit<'_>, decisions: RSliceMut<'_, AbiDecision>) -> AbiAnswer;

    /// Tells that state is gone; the result is 0 or the status of a failure.
    fn delete_state(&self, request: &AbiDeleteState<'_>) -> u32;

    /// Ends the LPM; later calls fail.
    #[sabi(last_prefix_field)]
    fn deinitialize(&mut self, reason: AbiDeinitialize) -> RResult<(), AbiFailure>;
}

/// An initialized LPM, owned by the PCM; its code and memory are the library's.
pub type AbiLpmBox = AbiLpm_TO<'static, RBox<()>>;
