//! Calls that failed.

use abi_stable::StableAbi;
use abi_stable::std_types::RString;

/// A call that failed.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct AbiFailure {
    /// A status other than 0.
    pub status: u32,
    /// What went wrong.
    pub message: RString,
}
