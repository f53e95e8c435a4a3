//! State handed over: from an LPM that is replaced to the one in its place.
// What the derive generates is neither documented nor placed by us.
#![allow(missing_docs)]

use abi_stable::StableAbi;
use abi_stable::std_types::{ROption, RResult, RSlice, RVec};

use crate::extension::{Erased, ExtensionFunctions};
use crate::failure::AbiFailure;

/// State handed over, version 1.
///
/// The PCM lets the old LPM write once no other function of it runs any more, gives that to the new
/// one after it was initialized and before it is asked, and then deinitializes the old one.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct AbiHandOver {
    /// Writes into the PCM's buffer what the next one should know, not more than so many bytes, and
    /// says in which format; none where there is nothing to hand over. The first argument is the
    /// LPM that came with this function.
    pub hand_over:
        unsafe extern "C" fn(&Erased, u64, &mut RVec<u8>) -> RResult<ROption<u32>, AbiFailure>,
    /// Reads what another one wrote, in this format. The first argument is the LPM that came with
    /// this function; where it fails it goes on with what it had.
    pub take_over: unsafe extern "C" fn(&Erased, u32, RSlice<'_, u8>) -> RResult<(), AbiFailure>,
}

// SAFETY: this version of the crate is the first, and the type is frozen.
unsafe impl ExtensionFunctions for AbiHandOver {
    const ID: &'static str = "lpm.hand-over.1";
}

impl AbiHandOver {
    /// Appends to `state`, within `limit` bytes, what the LPM hands over, and gives its format.
    ///
    /// # Safety
    ///
    /// `lpm` came with these functions from
    /// [`AbiExtension::functions`](crate::AbiExtension::functions).
    ///
    /// # Errors
    ///
    /// It panicked, or has more to hand over.
    pub unsafe fn hand_over(
        &self,
        lpm: &Erased,
        limit: u64,
        state: &mut RVec<u8>,
    ) -> Result<Option<u32>, AbiFailure> {
        // SAFETY: the caller's promise.
        let format = unsafe { (self.hand_over)(lpm, limit, state) };
        format.into_result().map(ROption::into_option)
    }

    /// Gives the LPM what another one handed over.
    ///
    /// # Safety
    ///
    /// As for [`hand_over`](Self::hand_over).
    ///
    /// # Errors
    ///
    /// It does not know the format, cannot use the bytes, or panicked.
    pub unsafe fn take_over(
        &self,
        lpm: &Erased,
        format: u32,
        state: &[u8],
    ) -> Result<(), AbiFailure> {
        // SAFETY: the caller's promise.
        unsafe { (self.take_over)(lpm, format, state.into()) }.into_result()
    }
}
