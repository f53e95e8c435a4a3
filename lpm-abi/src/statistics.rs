//! Counters of an LPM.
// What the derive generates is neither documented nor placed by us.
#![allow(missing_docs)]

use abi_stable::StableAbi;
use abi_stable::std_types::{RString, RVec};

use crate::extension::{Erased, ExtensionFunctions};

/// Counters of an LPM, version 1.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct AbiStatistics {
    /// The counters. The argument is the LPM that came with these functions.
    pub collect: unsafe extern "C" fn(&Erased) -> RVec<AbiCounter>,
}

// SAFETY: this version of the crate is the first, and the type is frozen.
unsafe impl ExtensionFunctions for AbiStatistics {
    const ID: &'static str = "lpm.statistics.1";
}

/// A counter.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct AbiCounter {
    /// Its name in snake_case.
    pub name: RString,
    /// Its value.
    pub value: u64,
}

impl AbiStatistics {
    /// The counters of an LPM.
    ///
    /// # Safety
    ///
    /// `lpm` came with these functions from
    /// [`AbiExtension::functions`](crate::AbiExtension::functions).
    #[must_use]
    pub unsafe fn collect(&self, lpm: &Erased) -> RVec<AbiCounter> {
        // SAFETY: the caller's promise.
        unsafe { (self.collect)(lpm) }
    }
}
