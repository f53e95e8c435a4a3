//! Initializing an LPM: what it is told, and what the PCM gets.

use std::ptr;

use abi_stable::StableAbi;
use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RBox, ROption, RStr};

use crate::admit::{AbiAdmit, Admit};
use crate::decision::AbiAnswer;
use crate::failure::AbiFailure;
use crate::lpm::{AbiDeinitialize, AbiLpm, AbiLpm_TO, AbiLpmBox};
use crate::results::AbiCallbacks;

/// What an LPM is told when it is initialized.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct AbiInit<'a> {
    /// The handle of this initialization.
    pub handle: u64,
    /// Milliseconds the PCM would have an answer take at most.
    pub result_time_limit: u64,
    /// How many LPMs are configured.
    pub lpm_count: u32,
    /// Version of the API the PCM speaks.
    pub pcm_version: u32,
    /// The LPM's name in the configuration.
    pub name: RStr<'a>,
    /// The LPM's configuration.
    pub config: RStr<'a>,
    /// Where the configuration comes from.
    pub config_source: RStr<'a>,
    /// From where relative paths in it are meant.
    pub config_dir: ROption<RStr<'a>>,
    /// For deferred results.
    pub callbacks: AbiCallbacks,
}

/// An initialized LPM.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiInitialized {
    lpm: AbiLpmBox,
    pe_type: u32,
    /// [`Admit::admit`] of the type that `lpm` is behind.
    admit: unsafe extern "C" fn(*const (), &AbiAdmit<'_>) -> AbiAnswer,
    /// What `lpm` owns.
    context: *const (),
}

// SAFETY: `context` refers to what `lpm` owns, which is `Send`, as `AbiLpm` demands.
unsafe impl Send for AbiInitialized {}
// SAFETY: the same, for `Sync`.
unsafe impl Sync for AbiInitialized {}

impl AbiInitialized {
    /// An LPM that serves the policy element type of this number; 0 for all.
    #[must_use]
    pub fn new<L: AbiLpm + Admit + 'static>(lpm: L, pe_type: u32) -> Self {
        let lpm = RBox::new(lpm);
        let context = ptr::from_ref::<L>(&lpm).cast();
        Self {
            lpm: AbiLpm_TO::from_ptr(lpm, TD_Opaque),
            pe_type,
            admit: admit::<L>,
            context,
        }
    }

    /// The policy element type it serves.
    #[must_use]
    pub const fn pe_type(&self) -> u32 {
        self.pe_type
    }

    /// Decides on a message.
    #[inline]
    #[must_use]
    pub fn admit(&self, request: &AbiAdmit<'_>) -> AbiAnswer {
        // SAFETY: `new`, on whichever side of the boundary it ran, took both from the value that
        // `lpm` owns, and nobody exchanges it.
        unsafe { (self.admit)(self.context, request) }
    }

    /// The LPM's other functions.
    #[inline]
    #[must_use]
    pub const fn lpm(&self) -> &AbiLpmBox {
        &self.lpm
    }

    /// Ends the LPM.
    ///
    /// # Errors
    ///
    /// The LPM says that this went wrong; it is gone all the same.
    pub fn deinitialize(&mut self, reason: AbiDeinitialize) -> Result<(), AbiFailure> {
        self.lpm.deinitialize(reason).into_result()
    }
}

/// # Safety
///
/// `context` comes from a reference to an `L` that is still valid.
unsafe extern "C" fn admit<L: Admit>(context: *const (), request: &AbiAdmit<'_>) -> AbiAnswer {
    // SAFETY: the caller's promise.
    unsafe { &*context.cast::<L>() }.admit(request)
}
