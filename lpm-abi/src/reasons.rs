//! Reasons as text: why an LPM decided as it did.
// What the derive generates is neither documented nor placed by us.
#![allow(missing_docs)]

use abi_stable::StableAbi;
use abi_stable::std_types::RSliceMut;

use crate::admit::AbiAdmit;
use crate::decision::AbiDecision;
use crate::extension::{Erased, ExtensionFunctions};

/// Reasons of an LPM, version 1.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct AbiReasons {
    /// Writes into the buffer, in UTF-8, why the LPM made this decision on the flow descriptor of
    /// this index, and says how many bytes it wrote; 0 where it has nothing to say. The first
    /// argument is the LPM that came with this function. It may not put anything off.
    pub explain:
        unsafe extern "C" fn(&Erased, &AbiAdmit<'_>, u16, AbiDecision, RSliceMut<'_, u8>) -> usize,
}

// SAFETY: this version of the crate is the first, and the type is frozen.
unsafe impl ExtensionFunctions for AbiReasons {
    const ID: &'static str = "lpm.reasons.1";
}

impl AbiReasons {
    /// How many bytes a reason has room for.
    pub const LIMIT: usize = 1024;

    /// Why the LPM made this decision on the flow descriptor of this index; at most
    /// [`LIMIT`](Self::LIMIT) bytes.
    ///
    /// # Safety
    ///
    /// `lpm` came with these functions from
    /// [`AbiExtension::functions`](crate::AbiExtension::functions).
    #[must_use]
    pub unsafe fn explain(
        &self,
        lpm: &Erased,
        request: &AbiAdmit<'_>,
        flow: u16,
        decision: AbiDecision,
    ) -> Option<String> {
        let mut buffer = [0; Self::LIMIT];
        let room = RSliceMut::from_mut_slice(&mut buffer);
        // SAFETY: the caller's promise.
        let length = unsafe { (self.explain)(lpm, request, flow, decision, room) };
        // What an LPM says of itself is not relied on.
        let text = buffer.get(..length).unwrap_or(&buffer);
        (length > 0).then(|| String::from_utf8_lossy(text).into_owned())
    }
}
