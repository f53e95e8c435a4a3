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

impl Package {
    /// What Cargo told the compiler; where it told nothing, what Cargo would say of a crate without
    /// a manifest.
    #[must_use]
    pub const fn of(
        module: &'static str,
        name: Option<&'static str>,
        version: Option<&'static str>,
        authors: Option<&'static str>,
    ) -> Self {
        let name = match name {
            Some(name) => name,
            None => crate_of(module),
        };
        let version = match version {
            Some(version) => version,
            None => "0.0.0",
        };
        let authors = match authors {
            Some(authors) => authors,
            None => "",
        };
        Self {
            name,
            version,
            authors,
        }
    }
}

/// The first name of a module's path.
const fn crate_of(module: &'static str) -> &'static str {
    let bytes = module.as_bytes();
    let mut end = 0;
    while end < bytes.len() && bytes[end] != b':' {
        end += 1;
    }
    match std::str::from_utf8(bytes.split_at(end).0) {
        Ok(name) => name,
        Err(_) => module,
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
///
/// A library has one LPM. A crate that other LPMs build on exports its own only where it is asked
/// to, by a feature:
///
/// ```toml
/// [lib]
/// crate-type = ["cdylib", "rlib"]
///
/// [features]
/// default = ["export"]
/// export = []
/// ```
///
/// ```ignore
/// #[cfg(feature = "export")]
/// lpm_api::export_lpm!(MyLpm);
/// ```
///
/// They depend on it with `default-features = false`. Where it is forgotten, the linker speaks of
/// two definitions of `EXPORT_LPM_IS_CALLED_TWICE_IN_THIS_LIBRARY`.
#[macro_export]
macro_rules! export_lpm {
    ($lpm:ty $(; $($extension:ident),+ $(,)?)?) => {
        const _: () = {
            struct ExportedLpm;

            impl $crate::abi::Export for ExportedLpm {
                type Lpm = $lpm;
                const PACKAGE: $crate::abi::Package = $crate::abi::Package::of(
                    ::core::module_path!(),
                    ::core::option_env!("CARGO_PKG_NAME"),
                    ::core::option_env!("CARGO_PKG_VERSION"),
                    ::core::option_env!("CARGO_PKG_AUTHORS"),
                );

                fn extension<'a>(
                    lpm: &'a Self::Lpm,
                    id: &str,
                ) -> ::core::option::Option<$crate::abi::AbiExtension<'a>> {
                    let _ = (lpm, id);
                    ::core::option::Option::None
                        $($(.or_else(|| $crate::abi::extension::$extension(lpm, id)))+)?
                }
            }

            // What compiler and linker complain of when there are two; nobody would know what to
            // make of the name below. The compiler stops at the first name by ASCII, where capital
            // letters come before `_`.
            #[unsafe(export_name = "EXPORT_LPM_IS_CALLED_TWICE_IN_THIS_LIBRARY")]
            static ONCE: u8 = 0;

            // `abi_stable::library::ROOT_MODULE_LOADER_NAME`
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static LPM_LIBRARY: $crate::abi::LibHeader = $crate::abi::header::<ExportedLpm>();
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_cargo_is_named_by_its_crate() {
        for module in ["my_lpm", "my_lpm::inner::deep"] {
            let Package {
                name,
                version,
                authors,
            } = Package::of(module, None, None, None);
            assert_eq!((name, version, authors), ("my_lpm", "0.0.0", ""));
        }
        let told = Package::of("my_lpm", Some("my-lpm"), Some("1.2.3"), Some("Ada"));
        assert_eq!(
            (told.name, told.version, told.authors),
            ("my-lpm", "1.2.3", "Ada")
        );
    }
}
