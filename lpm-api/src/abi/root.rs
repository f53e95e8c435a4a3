//! The root module: what a library offers before anything of it is initialized.

use abi_stable::library::{CheckTypeLayout, LibHeader, RootModuleResult};
use abi_stable::prefix_type::{PrefixRef, WithMetadata};
use abi_stable::staticref;
use abi_stable::std_types::{RResult, RStr};
use lpm_abi::{API_VERSION, AbiLpmModule, AbiLpmModuleRef, AbiPackage};

use super::export::Export;
use super::{adapter, attach, trace};

/// The version of this crate, which an LPM says it was built with.
pub const LPM_API_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The header that the library exports under abi_stable's name.
#[must_use]
pub const fn header<E: Export>() -> LibHeader {
    // SAFETY: `root_module` returns the module whose type is named here.
    unsafe {
        LibHeader::from_constructor::<AbiLpmModuleRef>(root_module::<E>, CheckTypeLayout::Yes)
    }
}

/// The module that a library of `E` would export, in this very program: for PCMs that run an LPM
/// without a library, as in a unit test.
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
                lpm_api: RStr::from_str(LPM_API_VERSION),
            },
            attach: attach::attach,
            initialize: adapter::initialize::<E>,
            set_level: trace::set_level,
            detach: attach::detach,
        });
    }
}
