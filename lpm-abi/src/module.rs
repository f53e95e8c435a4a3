//! The root module: what a library offers before anything of it is initialized.
// The documentation of what the derive generates is not ours to write.
#![allow(missing_docs)]

use abi_stable::StableAbi;
use abi_stable::declare_root_module_statics;
use abi_stable::library::RootModule;
use abi_stable::prefix_type::PrefixRef;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RResult, RStr};

use crate::failure::AbiFailure;
use crate::host::AbiHost;
use crate::init::{AbiInit, AbiInitialized};

/// The package an LPM library was built from.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiPackage {
    /// Its name.
    pub name: RStr<'static>,
    /// Its version.
    pub version: RStr<'static>,
    /// Its authors, separated by colons.
    pub authors: RStr<'static>,
    /// The version of `lpm-api` it was built with.
    pub lpm_api: RStr<'static>,
}

/// The functions of an LPM library.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = AbiLpmModuleRef)))]
#[sabi(missing_field(panic))]
pub struct AbiLpmModule {
    /// Version of the LPM API, 1.
    pub api_version: u32,
    /// The package the library was built from.
    pub package: AbiPackage,
    /// Connects the library to its PCM; called once, before anything else.
    pub attach: extern "C" fn(AbiHost),
    /// Initializes the LPM once more.
    pub initialize: extern "C" fn(AbiInit<'_>) -> RResult<AbiInitialized, AbiFailure>,
    /// Tells the most verbose level that the PCM now wants events and spans of: 0 nothing, 1 error,
    /// … 5 trace; all callsites are registered anew.
    pub set_level: extern "C" fn(u32),
    /// Severs the connection and writes out what is buffered; called once, last.
    #[sabi(last_prefix_field)]
    pub detach: extern "C" fn(),
}

impl AbiLpmModuleRef {
    /// The module behind a reference that an LPM library, or this program, made of it.
    #[must_use]
    pub const fn of(module: PrefixRef<AbiLpmModule_Prefix>) -> Self {
        Self(module)
    }
}

impl RootModule for AbiLpmModuleRef {
    declare_root_module_statics! {AbiLpmModuleRef}
    const BASE_NAME: &'static str = "lpm";
    const NAME: &'static str = "lpm";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new("1.0.0");
}
