//! Abilities beyond version 1: asked for by name, each with frozen types of its own.
//!
//! An LPM answers [`AbiLpm::extension`](crate::AbiLpm::extension) with an [`AbiExtension`], and the
//! PCM compares its layout with that of the type it knows under the name before it calls anything.
//! An LPM without the ability has none, and a PCM that does not know it never asks.
// What the derive generates is neither documented nor placed by us.
#![allow(missing_docs)]

use abi_stable::StableAbi;
use abi_stable::type_layout::TypeLayout;

/// An ability of an LPM, not yet compared with what the PCM knows under its name.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct AbiExtension<'a> {
    /// The LPM.
    lpm: &'a Erased,
    /// The extension's functions.
    functions: &'static Erased,
    /// The type of `functions`.
    layout: &'static TypeLayout,
}

/// Stands for a type that the other side may not know.
#[repr(C)]
#[derive(StableAbi)]
pub struct Erased {
    nothing: [u8; 0],
}

/// The functions of an extension; each version of one is a type of its own.
///
/// # Safety
///
/// [`ID`](Self::ID) names this type and no other, in this and all versions of the crate.
pub unsafe trait ExtensionFunctions: StableAbi + 'static {
    /// The name with the version, such as `lpm.statistics.1`.
    const ID: &'static str;
}

impl<'a> AbiExtension<'a> {
    /// Offers the functions to the PCM.
    ///
    /// # Safety
    ///
    /// The functions are for LPMs of type `L`.
    #[must_use]
    pub const unsafe fn new<L, F: ExtensionFunctions>(lpm: &'a L, functions: &'static F) -> Self {
        Self {
            // SAFETY: a reference to nothing is valid where one to `L` is.
            lpm: unsafe { &*std::ptr::from_ref(lpm).cast() },
            // SAFETY: as above.
            functions: unsafe { &*std::ptr::from_ref(functions).cast() },
            layout: F::LAYOUT,
        }
    }

    /// The layout of the functions, for the PCM to compare.
    #[must_use]
    pub const fn layout(&self) -> &'static TypeLayout {
        self.layout
    }

    /// The functions, and the LPM to call them with.
    ///
    /// # Safety
    ///
    /// The [`layout`](Self::layout) was compared with that of `F`.
    #[must_use]
    pub const unsafe fn functions<F: ExtensionFunctions>(&self) -> (&'a Erased, &'static F) {
        // SAFETY: the caller compared the layouts.
        let functions = unsafe { &*std::ptr::from_ref(self.functions).cast() };
        (self.lpm, functions)
    }
}
