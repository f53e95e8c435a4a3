//! `export_lpm!`: the one symbol a library exports, and what it is made from.

use lpm_abi::AbiExtension;

use crate::lpm::Lpm;

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
