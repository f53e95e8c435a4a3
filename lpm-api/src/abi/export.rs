//! `export_lpm!`: the one symbol a library exports.

use abi_stable::library::{CheckTypeLayout, LibHeader, RootModuleResult};
use abi_stable::prefix_type::{PrefixRef, WithMetadata};
use abi_stable::staticref;
use abi_stable::std_types::{RResult, RStr};

use super::extension::AbiExtension;
use super::module::{AbiLpmModule, AbiLpmModuleRef};
use super::types::AbiPackage;
use super::{API_VERSION, adapter, panic_report, trace};
use crate::Lpm;

/// What [`export_lpm!`](crate::export_lpm) needs to know; implemented by its expansion.
pub trait Export: 'static {
    /// The LPM.
    type Lpm: Lpm;
    /// The package it comes from.
    const PACKAGE: Package;
    /// The extension of this name, where the LPM has it.
    fn extension<'a>(lpm: &'a Self::Lpm, id: &str) -> Option<AbiExtension<'a>>;
}

/// Name, version and authors of a package.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    /// `CARGO_PKG_NAME`.
    pub name: &'static str,
    /// `CARGO_PKG_VERSION`.
    pub version: &'static str,
    /// `CARGO_PKG_AUTHORS`.
    pub authors: &'static str,
}

/// The header that the library exports under abi_stable's name.
#[must_use]
pub const fn header<E: Export>() -> LibHeader {
    // SAFETY: `root_module` returns the module whose type is named here.
    unsafe {
        LibHeader::from_constructor::<AbiLpmModuleRef>(root_module::<E>, CheckTypeLayout::Yes)
    }
}

/// The module that a library of `E` would export, in this very program: for PCMs that run an LPM without
/// a library, as in a unit test.
#[must_use]
pub fn module<E: Export>() -> AbiLpmModuleRef {
    AbiLpmModuleRef::of(ModuleOf::<E>::MODULE.as_prefix())
}

extern "C" fn root_module<E: Export>() -> RootModuleResult {
    let module: PrefixRef<_> = ModuleOf::<E>::MODULE.as_prefix();
    // SAFETY: the PCM reads the module only after it has compared the layout in the header, which
    // is that of the same type, with its own.
    RResult::ROk(unsafe { module.cast() })
}

/// Carries the module of `E` in a constant, so that loading a library allocates nothing.
struct ModuleOf<E>(E);

impl<E: Export> ModuleOf<E> {
    staticref! {
        const MODULE: WithMetadata<AbiLpmModule> = WithMetadata::new(AbiLpmModule {
            api_version: API_VERSION,
            package: AbiPackage {
                name: RStr::from_str(E::PACKAGE.name),
                version: RStr::from_str(E::PACKAGE.version),
                authors: RStr::from_str(E::PACKAGE.authors),
            },
            attach: panic_report::attach,
            initialize: adapter::initialize::<E>,
            set_level: trace::set_level,
            detach: panic_report::detach,
        });
    }
}

/// Exports a type that implements [`Lpm`](crate::Lpm) as the LPM of this library.
///
/// Stands once in a crate of type `cdylib`:
///
/// ```toml
/// [lib]
/// crate-type = ["cdylib"]
/// ```
///
/// Extensions of the API that the LPM implements are named behind it:
/// `export_lpm!(MyLpm; Statistics)` for [`Statistics`](crate::Statistics).
#[macro_export]
macro_rules! export_lpm {
    ($lpm:ty $(; $($extension:ident),+ $(,)?)?) => {
        const _: () = {
            struct ExportedLpm;

            impl $crate::abi::Export for ExportedLpm {
                type Lpm = $lpm;
                const PACKAGE: $crate::abi::Package = $crate::abi::Package {
                    name: ::core::env!("CARGO_PKG_NAME"),
                    version: ::core::env!("CARGO_PKG_VERSION"),
                    authors: ::core::env!("CARGO_PKG_AUTHORS"),
                };

                fn extension<'a>(
                    lpm: &'a Self::Lpm,
                    id: &str,
                ) -> ::core::option::Option<$crate::abi::AbiExtension<'a>> {
                    let _ = (lpm, id);
                    ::core::option::Option::None
                        $($(.or_else(|| $crate::abi::extension::$extension(lpm, id)))+)?
                }
            }

            // `abi_stable::library::ROOT_MODULE_LOADER_NAME`
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static LPM_LIBRARY: $crate::abi::LibHeader = $crate::abi::header::<ExportedLpm>();
        };
    };
}
